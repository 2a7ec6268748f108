"""Find content that a status must never have, independent of Azure's response."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import jsonschema

from tests.property.oracles import check_status

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENTED: Final = frozenset(
    {
        "inprogress", "started", "cancelling", "canceling", "cancelled", "canceled", "completed", "success", "failed",
        "completedwithwarnings", "successwithwarning",
    }
)  # fmt: skip
"""Job statuses with a documented meaning, in lowercase. Azure lists ``Paused`` without a meaning."""
_SUCCESSES: Final = frozenset({"completed", "success"})
_WARNINGS: Final = frozenset({"completedwithwarnings", "successwithwarning"})
_MESSAGES: Final = frozenset({"message", "cause", "dynamicErrorMessage", "recommendations"})
_DURATIONS: Final = frozenset({"duration", "durationSeconds", "estimatedRemaining"})
_RAW_JSON = re.compile(r"""[{\[]\s*\\?"|[{,]\s*\\?"\w+\\?"\s*:""")
_INTERNAL = re.compile(
    r"net\.tcp://|(?<![\d.])(?:(?:10|127)\.\d{1,3}|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2}(?!\.?\d)",
    re.IGNORECASE,
)


def find_problems(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each problem in the status of *body*."""
    status = body["status"]
    try:
        check_status(dict(body))
    except (jsonschema.ValidationError, AssertionError) as error:
        yield f"the CRD refuses the status: {str(error).splitlines()[0][:200]}"
    yield from _texts(status, "status")
    said = str((status.get("job") or {}).get("status") or "").lower()
    if status.get("reason") == "JobStatusUnknown" and said in DOCUMENTED:
        yield f"documented status {said} is unknown"
    accepted = _SUCCESSES | (_WARNINGS if body["spec"].get("completedWithWarnings") == "Succeeded" else frozenset())
    if status.get("phase") == "Succeeded" and said not in accepted:
        yield f"the gate is open on status {said or 'none'}"


def _texts(value: object, path: str, field: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            # Azure's free-text properties may have any names and values.
            if name != "properties":
                yield from _texts(each, f"{path}.{name}", str(name))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _texts(each, f"{path}[{number}]", field)
    elif field in _DURATIONS and (str(value).startswith("-")):
        yield f"negative duration at {path}: {value}"
    elif field in _MESSAGES and isinstance(value, str):
        if _RAW_JSON.search(value):
            yield f"raw JSON at {path}: {value[:80]}"
        if _INTERNAL.search(value):
            yield f"internal address at {path}: {value[:80]}"
