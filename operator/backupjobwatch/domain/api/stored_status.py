"""Read the stored status of a watch, and drop fields that the operator cannot have written.

The CRD's schema prevents most damage, but an object may date from an older CRD. A dropped field is written again.
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
    """The fields of a status. Objects and lists are stored as compressed JSON and parsed on each access.

    The operator keeps one for each watch and reads most of them rarely. Without compression, 4,000 watches need 253 MB instead of
    233 MB.
    """

    __slots__ = ("_fields", "_indexes")

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._indexes = _indexes(tuple(fields))
        self._fields = tuple(_compress(field) for field in fields.values())

    def __getitem__(self, name: str) -> Any:
        field = self._fields[self._indexes[name]]
        return json.loads(zlib.decompress(field)) if isinstance(field, bytes) else field

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field or *default*. Unlike ``Mapping.get``, this raises no exception internally, which is faster."""
        return self[name] if name in self._indexes else default

    def __contains__(self, name: object) -> bool:
        return name in self._indexes

    def __iter__(self) -> Iterator[str]:
        return iter(self._indexes)

    def __len__(self) -> int:
        return len(self._indexes)


@lru_cache(maxsize=256)
def _indexes(names: tuple[str, ...]) -> Mapping[str, int]:
    """Return the index of each name. Statuses with the same fields share one mapping."""
    return {name: index for index, name in enumerate(names)}


def _compress(field: object) -> object:
    if isinstance(field, dict | list):
        # YAML files that `render` reads can contain values that are not JSON, such as times without quotes.
        return zlib.compress(json.dumps(field, separators=(",", ":"), default=str).encode(), level=1)
    return field


def _is_a(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kind)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_time(value: object) -> bool:
    time = parse_time(value)
    return time is not None and format_time(time) == value


def _is_list_with(*fields: str) -> Callable[[object], bool]:
    """Return a check for a list of objects with these text fields. One malformed entry invalidates the whole list."""

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
    **dict.fromkeys(
        ("phase", "reason", "message", "target", "revision", "duration", "lastHandledReconcileAt"), _is_a(str)
    ),
    **dict.fromkeys(("observedGeneration", "jobsTotal", "durationSeconds"), _is_integer),
    **dict.fromkeys(("targetEditTime", "watchStartTime", "troubleSince", "completionTime"), _is_time),
    **dict.fromkeys(("lastPollTime", "searchedUntil"), _is_time),
    "detailPending": lambda value: value is True,  # The operator never writes false.
    **dict.fromkeys(("job", "extendedInfo", "onDemand"), _is_a(dict)),
    **dict.fromkeys(("errors", "warnings"), _is_list_with()),
    "jobs": _is_list_with("name"),
    "notifications": _is_list_with("name", "id", "phase", "state"),
    "conditions": _is_conditions,
}


def read_status(value: object) -> Mapping[str, Any]:
    """Return the fields of the status *value* that the operator can have written."""
    fields = mapping(value)
    # Use the names in _FIELDS, because thousands of watches would otherwise keep a copy of each name.
    return StoredStatus(
        {name: fields[name] for name, is_valid in _FIELDS.items() if name in fields and is_valid(fields[name])}
    )
