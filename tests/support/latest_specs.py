"""Valid and invalid values of ``latest.completedWithin``, and the error messages of the invalid ones."""

from __future__ import annotations

from typing import Any, Final

from tests.support.specs import VAULT, Bad

_START: Final = "2026-03-04T01:00:00Z"


def _latest(**fields: Any) -> dict[str, Any]:
    return {"latest": {"item": "vm1", "operation": "Backup", **fields}, "vault": VAULT}


BAD: Final = (
    *(
        Bad(f"completed within {text!r}", _latest(completedWithin=text), "spec.latest.completedWithin", "such as 24h")
        for text in ("", "0h", "1d", "-24h", "1.5h", "30m1h")
    ),
    Bad("completed within a number", _latest(completedWithin=24), "spec.latest.completedWithin", "string"),
    Bad(
        "completed within a time after a start",
        _latest(completedWithin="24h", startedAfter=_START),
        "spec.latest.completedWithin",
        "must not be set with startedAfter",
    ),
)

GOOD: Final = {
    f"completed within {text}": {**_latest(completedWithin=text), "revision": "v1"}
    for text in ("24h", "1s", "1h30m", "90m", "24h0m0s", "624h")
}
