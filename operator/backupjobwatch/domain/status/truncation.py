"""Limit the size of a status, to limit the load on etcd and on clients that watch the object."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.jobs.text import ELLIPSIS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_BYTES: Final = 58 * 1024
"""Maximum bytes of the status as JSON. The contract is 64 KiB. The rest is for the notifications and the echo of a request
that a final status may still get."""

_LEVELS = ((50, 256), (25, 256), (25, 128), (10, 128), (5, 64), (2, 48))
"""Limits for list items and text characters. Each pair is tried until the status fits."""
_FULL_TEXTS = frozenset({"resourceId", "name", "id", "target", "revision", "type", "reason", "lastHandledReconcileAt"})
_FULL_LISTS = frozenset({"conditions", "notifications"})
_FULL_OBJECTS = frozenset({"onDemand"})
_NOTE = " Azure's response was truncated."


def size_of(status: Mapping[str, Any]) -> int:
    """Return the maximum size of *status* as JSON. Go also escapes ``< > &``, with six bytes each."""
    text = json.dumps(status)
    return len(text) + 5 * sum(text.count(character) for character in "<>&")


def truncate_status(status: dict[str, Any], *, frozen: Collection[str] = ()) -> dict[str, Any]:
    """Return *status* with shorter lists and strings if it is too large. Its message then says so.

    The *frozen* fields, which may include the message, do not change.
    """
    message = str(status.get("message", ""))
    for items, characters in _LEVELS:
        if size_of(status) <= MAX_BYTES:
            break
        status = {
            name: value if name in frozen or name in _FULL_OBJECTS else _truncate(value, items, characters, name)
            for name, value in status.items()
        }
        if "message" not in frozen:
            status["message"] = message[: characters - len(_NOTE)] + _NOTE
    return status


def _truncate(value: Any, items: int, characters: int, name: str) -> Any:
    if isinstance(value, str) and len(value) > characters and name not in _FULL_TEXTS:
        return value[: characters - 1] + ELLIPSIS
    if isinstance(value, list):
        kept = value if name in _FULL_LISTS else value[:items]
        return [_truncate(item, items, characters, "") for item in kept]
    if isinstance(value, dict):
        pairs = list(value.items())[: 2 * items] if name == "properties" else value.items()
        return {key[:characters]: _truncate(item, items, characters, key) for key, item in pairs}
    return value
