"""The size of a status: bounded whatever Azure sends, since etcd and every watcher of the object pay for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.jobs.text import ELLIPSIS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_BYTES: Final = 58 * 1024
"""Of the status as JSON. The contract says 64 KiB: the rest is for what a final status is still given, which is what became
of notifications and the echo of a request."""

_LEVELS = ((50, 256), (25, 256), (25, 128), (10, 128), (5, 64), (2, 48))
"""Items kept of each list and characters of each text, tried in turn until the status fits."""
_KEPT_WHOLE = frozenset({"resourceId", "name", "id", "target", "type", "reason", "lastHandledReconcileAt"})
_ALL_KEPT = frozenset({"conditions", "notifications"})
_NOTE = " Azure's answer is too large to be kept whole."


def size_of(status: Mapping[str, Any]) -> int:
    """Return the most bytes that *status* can take as JSON: Go escapes ``< > &`` as Python does other scripts."""
    text = json.dumps(status)
    return len(text) + 5 * sum(text.count(character) for character in "<>&")


def truncate_status(status: dict[str, Any], *, frozen: Collection[str] = ()) -> dict[str, Any]:
    """Return *status*, or if it is too large a version with shorter lists and texts. Its message then says so.

    The *frozen* fields are kept as they are, the message included.
    """
    message = str(status.get("message", ""))
    for items, characters in _LEVELS:
        if size_of(status) <= MAX_BYTES:
            break
        status = {
            name: value if name in frozen else _shrunk(value, items, characters, name) for name, value in status.items()
        }
        if "message" not in frozen:
            status["message"] = message[: characters - len(_NOTE)] + _NOTE
    return status


def _shrunk(value: Any, items: int, characters: int, name: str) -> Any:
    if isinstance(value, str) and len(value) > characters and name not in _KEPT_WHOLE:
        return value[: characters - 1] + ELLIPSIS
    if isinstance(value, list):
        kept = value if name in _ALL_KEPT else value[:items]
        return [_shrunk(item, items, characters, "") for item in kept]
    if isinstance(value, dict):
        pairs = list(value.items())[: 2 * items] if name == "properties" else value.items()
        return {key[:characters]: _shrunk(item, items, characters, key) for key, item in pairs}
    return value
