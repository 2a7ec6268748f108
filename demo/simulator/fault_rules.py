"""Select the requests that a fault applies to."""

import re
import threading
from dataclasses import dataclass

from demo.simulator.faults import Fault
from demo.simulator.messages import ArmRequest


@dataclass(slots=True, kw_only=True)
class FaultRule:
    """A fault that applies to the next matching requests."""

    fault: Fault
    path: re.Pattern[str] | None
    principal: str | None
    remaining: int | None
    """The number of requests that still fail. None: all until the rule is removed."""
    skip: int = 0
    """The number of matching requests that succeed before the first fault."""
    used: int = 0
    """The number of requests that got the fault."""

    def matches(self, request: ArmRequest) -> bool:
        """Return whether the rule is still active and matches *request*."""
        return (
            self.remaining != 0
            and (self.path is None or self.path.search(request.path) is not None)
            and (self.principal is None or self.principal == request.principal)
        )


class FaultRules:
    """The active fault rules, oldest first. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[FaultRule] = []

    def add(
        self,
        fault: Fault,
        *,
        path: str | None = None,
        principal: str | None = None,
        times: int | None = 1,
        skip: int = 0,
    ) -> FaultRule:
        """
        Apply *fault* to the next *times* matching requests, or to all until it is cleared if *times* is None.

        The regular expression *path* is searched for in any letter case. The oldest matching rule applies. The first
        *skip* matching requests succeed, such as the pages of a list before the page that fails.
        """
        pattern = None if path is None else re.compile(path, re.IGNORECASE)
        rule = FaultRule(fault=fault, path=pattern, principal=principal, remaining=times, skip=skip)
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule: FaultRule) -> None:
        """Remove a rule. Do nothing if it was removed already."""
        with self._lock:
            self._rules = [other for other in self._rules if other is not rule]

    def clear(self) -> None:
        """Remove all rules."""
        with self._lock:
            self._rules.clear()

    def rules(self) -> tuple[FaultRule, ...]:
        """Return the active rules."""
        with self._lock:
            return tuple(rule for rule in self._rules if rule.remaining != 0)

    def take(self, request: ArmRequest) -> Fault | None:
        """Return the fault for *request* and count it."""
        with self._lock:
            rule = next((rule for rule in self._rules if rule.matches(request)), None)
            if rule is None:
                return None
            if rule.skip:
                rule.skip -= 1
                return None
            rule.used += 1
            if rule.remaining is not None:
                rule.remaining -= 1
            return rule.fault
