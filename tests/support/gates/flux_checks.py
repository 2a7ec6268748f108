"""Flux's own checks of a controller's conditions, as in the tests of its controllers.

https://github.com/fluxcd/pkg/tree/main/runtime/conditions/check has a list for finished objects and a list for objects in
progress. FAIL0010 (the root's generation is older than that of Reconciling) is on neither list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.gates.kstatus import Body

NEGATIVE: Final = ("Failed", "Stalled", "Reconciling")
"""The operator's conditions that report a problem when True, most severe first."""

AT_REST: Final = (*(f"FAIL000{number}" for number in range(1, 10)), *(f"WARN000{number}" for number in range(1, 6)))
BEING_WORKED_ON: Final = (
    *("FAIL0002", "FAIL0004", "FAIL0005", "FAIL0006", "FAIL0011"),
    *("WARN0003", "WARN0004", "WARN0005"),
)


def complaints(body: Body) -> set[str]:
    """Return the failed checks, from the list for finished objects or the list for objects in progress."""
    seen = _Seen(body)
    applicable = AT_REST if seen.status("Finished") == "True" else BEING_WORKED_ON
    return {name for name in applicable if _CHECKS[name](seen)}


class _Seen:
    """The conditions by type, and the generations."""

    def __init__(self, body: Body) -> None:
        status = body.get("status") or {}
        self.generation: int = body["metadata"]["generation"]
        self.observed: int = status.get("observedGeneration", 0)
        self.conditions: dict[str, dict[str, Any]] = {each["type"]: each for each in status.get("conditions") or []}

    def status(self, kind: str) -> str | None:
        """Return the status of a condition, or None."""
        return self.conditions[kind]["status"] if kind in self.conditions else None

    def generations(self) -> Iterator[int]:
        """Yield the generation of each condition."""
        return (each.get("observedGeneration", 0) for each in self.conditions.values())

    @property
    def ready(self) -> bool:
        """Whether Ready is True."""
        return self.status("Ready") == "True"


def _ready_hides_the_worst(seen: _Seen) -> bool:
    worst = next((seen.conditions[kind] for kind in NEGATIVE if kind in seen.conditions), None)
    if seen.ready or worst is None or worst["type"] in ("Reconciling", "Stalled"):
        return False
    return any(seen.conditions["Ready"][field] != worst[field] for field in ("reason", "message"))


_CHECKS: Final[dict[str, Callable[[_Seen], bool]]] = {
    "FAIL0001": lambda seen: seen.ready and any(seen.status(kind) == "True" for kind in NEGATIVE),
    "FAIL0002": lambda seen: "Ready" not in seen.conditions,
    "FAIL0003": lambda seen: seen.status("Reconciling") == "True" and seen.status("Ready") not in ("False", None),
    "FAIL0004": lambda seen: seen.status("Stalled") == "True" and seen.status("Ready") not in ("False", None),
    "FAIL0005": lambda seen: {"Reconciling", "Stalled"} <= seen.conditions.keys(),
    "FAIL0006": lambda seen: seen.observed > seen.generation,
    "FAIL0007": lambda seen: seen.ready and seen.observed < seen.generation,
    "FAIL0008": lambda seen: seen.ready and any(number < seen.generation for number in seen.generations()),
    "FAIL0009": lambda seen: seen.ready and any(number != seen.observed for number in seen.generations()),
    "FAIL0011": lambda seen: seen.status("Ready") == "Unknown" and seen.status("Reconciling") != "True",
    "WARN0001": lambda seen: seen.ready and any(kind in seen.conditions for kind in NEGATIVE),
    "WARN0002": _ready_hides_the_worst,
    "WARN0003": lambda seen: seen.status("Reconciling") == "False",
    "WARN0004": lambda seen: seen.status("Stalled") == "False",
    "WARN0005": lambda seen: any(number < 1 for number in seen.generations()),
}
