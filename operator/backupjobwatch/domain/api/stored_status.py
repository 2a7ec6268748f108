"""A status read back from the object: what an operator wrote there, without what somebody or something else made of it.

The CRD's schema keeps most of that out, but not what an older CRD let in. A field that cannot be of our making is
taken for absent, and so is written anew: none of them may cost more than its own watch a poll.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.jobs.payloads import mapping, mappings
from backupjobwatch.domain.jobs.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable


class StoredStatus(Mapping[str, Any]):
    """The fields of a status. Objects and lists are kept as compressed JSON, and read anew each time.

    One is kept for each watch, and most are looked at once in some minutes: so it takes a fifth of the room.
    """

    __slots__ = ("_fields", "_places")

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._places = _places(tuple(fields))
        self._fields = tuple(_packed(field) for field in fields.values())

    def __getitem__(self, name: str) -> Any:
        field = self._fields[self._places[name]]
        return json.loads(zlib.decompress(field)) if isinstance(field, bytes) else field

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field, or *default* where there is none: that is asked for with each poll, and raises nothing."""
        return self[name] if name in self._places else default

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@lru_cache(maxsize=256)
def _places(names: tuple[str, ...]) -> Mapping[str, int]:
    """Return the place of each name: most statuses have the same fields, and need no names of their own."""
    return {name: place for place, name in enumerate(names)}


def _packed(field: object) -> object:
    if isinstance(field, dict | list):
        # What is no JSON can be in a file that is rendered: a time without quotes, in YAML.
        return zlib.compress(json.dumps(field, separators=(",", ":"), default=str).encode(), level=1)
    return field


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_true(value: object) -> bool:
    return value is True


def _is_time(value: object) -> bool:
    time = parse_time(value)
    return time is not None and format_time(time) == value


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_list_with(*fields: str) -> Callable[[object], bool]:
    """All or nothing: a watch that follows three jobs is not one that follows the two that can be read."""

    def check(value: object) -> bool:
        return (
            isinstance(value, list)
            and [entry for entry in mappings(value) if all(isinstance(entry.get(field), str) for field in fields)]
            == value
        )

    return check


def _is_conditions(value: object) -> bool:
    is_list = _is_list_with("type", "status", "reason", "message")(value)
    return is_list and all(_is_time(entry.get("lastTransitionTime")) for entry in mappings(value))


_FIELDS: Final[Mapping[str, Callable[[object], bool]]] = {
    **dict.fromkeys(("phase", "reason", "message", "target", "duration", "lastHandledReconcileAt"), _is_text),
    **dict.fromkeys(("observedGeneration", "jobsTotal", "durationSeconds"), _is_integer),
    **dict.fromkeys(("watchStartTime", "troubleSince", "completionTime", "lastPollTime", "searchedUntil"), _is_time),
    "detailPending": _is_true,  # the operator never writes false
    **dict.fromkeys(("job", "extendedInfo"), _is_object),
    **dict.fromkeys(("errors", "warnings"), _is_list_with()),
    "jobs": _is_list_with("name"),
    "notifications": _is_list_with("name", "id", "phase", "state"),
    "conditions": _is_conditions,
}


def read_status(value: object) -> Mapping[str, Any]:
    """Return the fields of the status *value* that can be of our making; none where it is no object."""
    fields = mapping(value)
    # By our own names: each answer brings copies of them, which thousands of watches would keep.
    return StoredStatus(
        {name: fields[name] for name, is_ours in _FIELDS.items() if name in fields and is_ours(fields[name])}
    )
