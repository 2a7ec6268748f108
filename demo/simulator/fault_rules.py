"""Which requests a fault meets, and how many of them."""

import re
import threading
from dataclasses import dataclass

from demo.simulator.faults import Fault
from demo.simulator.messages import ArmRequest


@dataclass(slots=True, kw_only=True)
class FaultRule:
    """A fault for the next requests that match."""

    fault: Fault
    path: re.Pattern[str] | None
    principal: str | None
    remaining: int | None
    """None: until it is removed."""
    skip: int = 0
    """How many matching requests pass before the first fault."""
    used: int = 0
    """How many requests it met."""

    def matches(self, request: ArmRequest) -> bool:
        """Tell whether the rule still applies, and to *request*."""
        return (
            self.remaining != 0
            and (self.path is None or self.path.search(request.path) is not None)
            and (self.principal is None or self.principal == request.principal)
        )


class FaultRules:
    """The faults that are yet to happen, oldest first; may be changed from any thread."""

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
        Let *fault* meet the next *times* requests; None: all, until it is cleared.

        *path* is a regular expression that is searched for in any letter case. The oldest rule that matches wins. The
        first *skip* requests that match pass, such as the pages of a list before the page that fails.
        """
        pattern = None if path is None else re.compile(path, re.IGNORECASE)
        rule = FaultRule(fault=fault, path=pattern, principal=principal, remaining=times, skip=skip)
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule: FaultRule) -> None:
        """Take back one rule; one that is used up or gone already is fine."""
        with self._lock:
            self._rules = [other for other in self._rules if other is not rule]

    def clear(self) -> None:
        """Take back all rules."""
        with self._lock:
            self._rules.clear()

    def rules(self) -> tuple[FaultRule, ...]:
        """List the rules that still apply."""
        with self._lock:
            return tuple(rule for rule in self._rules if rule.remaining != 0)

    def take(self, request: ArmRequest) -> Fault | None:
        """Find the fault for *request*, and count it."""
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
