"""The moments at which a test kills the operator while it requests a backup, and how each watch must end."""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from demo.controlplane import Fault, Hold
from demo.simulator import Fault as Reply
from tests.support.rbac import OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from demo.controlplane import Faults
    from demo.simulator import AzureSimulator


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A moment at which the operator is killed, and how the watch must end."""

    name: str
    state: str
    """The state of the record at the end. With ``Requested``, the watch has failed with ``TriggerUncertain``."""
    requests: int = 1
    azure: str = ""
    """Path of the request to Azure that is held during the kill. Azure executes it afterwards."""
    is_executed: bool = False
    """Whether Azure executes the request before the kill, so that only the answer is lost."""
    is_lost: bool = False
    """Whether Azure never executes the request."""
    cluster: Mapping[str, Any] = field(default_factory=dict)
    """The request to the API server that is held during the kill, and lost afterwards."""
    is_recorded: bool = False
    """Whether the operation is in the status before the kill. Its poll may begin earlier."""

    @contextlib.contextmanager
    def hold(self, name: str, sim: AzureSimulator, faults: Faults) -> Iterator[Callable[[], None]]:
        """Hold the operator at this point for the watch *name*. Yield a function that waits until it is held."""
        if self.azure:
            path = self.azure.format(name=name)
            with sim.hold(path, state_as_of="arrival" if self.is_executed else "release") as hold:
                yield hold.wait_arrived
                if self.is_lost:
                    sim.faults.add(Reply.hang_up(executed=False), path=path, times=1)
        else:
            path = rf"/backupjobwatches/{name}(/status)?$"
            with Hold() as hold:
                faults.add(Fault(path=path, agent=OURS, times=1, hold=hold, **self.cluster))
                yield hold.wait_arrived


class AnyMoment(Point):
    """A random moment. The watch may end in either way."""

    @contextlib.contextmanager
    def hold(self, *_: object) -> Iterator[Callable[[], None]]:
        """Yield a function that waits for up to half a second."""
        yield lambda: time.sleep(random.uniform(0.0, 0.5))


_RECORD: Final = {"method": "PUT", "body": '"state": ?"Requested"'}
_PIN: Final = {"method": "PUT", "body": '"state": ?"Accepted"'}
_POST: Final = ";{name}/backup$"
POINTS: Final = (
    Point(name="items requested", azure="/backupProtectedItems$", state="Accepted"),
    Point(name="record sent, not written", cluster=_RECORD, state="Accepted"),
    Point(name="record written, no response", cluster={**_RECORD, "acted": True}, state="Requested", requests=0),
    Point(name="watch read again", cluster={"method": "GET"}, state="Requested", requests=0),
    Point(name="POST sent, never executed", azure=_POST, is_lost=True, state="Requested"),
    Point(name="POST sent, executed later", azure=_POST, state="Recovered"),
    Point(name="POST executed, no answer", azure=_POST, is_executed=True, state="Recovered"),
    Point(name="operation sent, not written", cluster=_PIN, state="Recovered"),
    Point(name="operation written, no response", cluster={**_PIN, "acted": True}, state="Accepted"),
    Point(name="operation requested", azure="/backupOperations/", is_recorded=True, state="Accepted"),
)
"""From the last moment before the record to the first poll of the operation."""
ANY_MOMENT: Final = AnyMoment(name="a random moment", state="")


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The result of a watch whose operator was killed at *point*."""

    point: Point
    phase: str
    reason: str
    state: str
    """The state of its record."""
    requests: int

    @property
    def is_uncertain(self) -> bool:
        """Whether the watch has failed, because the process that requested the backup is gone."""
        return (self.phase, self.reason, self.state) == ("Failed", "TriggerUncertain", "Requested")

    @property
    def is_right(self) -> bool:
        """Whether the watch ended as its point requires."""
        is_decided = self.phase == "Succeeded" or self.is_uncertain
        is_expected = (self.state, self.requests) == (self.point.state, self.point.requests)
        return is_decided and self.requests <= 1 and (is_expected or self.point is ANY_MOMENT)


def write_table(ends: Iterable[End]) -> str:
    """Return a Markdown table of the kills at each point."""
    rows: dict[str, list[End]] = defaultdict(list)
    for end in ends:
        rows[end.point.name].append(end)
    lines = ["| kill point | kills | followed | uncertain | most POSTs | states |", "|---|---|---|---|---|---|"]
    for name, row in {**rows, "all": [end for each in rows.values() for end in each]}.items():
        uncertain, states = sum(end.is_uncertain for end in row), Counter(end.state for end in row)
        figures = (len(row), len(row) - uncertain, uncertain, max(end.requests for end in row))
        lines.append(f"| {name} | {' | '.join(map(str, figures))} | {dict(states)} |")
    return "\n".join(lines)
