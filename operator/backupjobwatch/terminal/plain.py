"""Watches as plain lines, for logs and pipes: one for each change, with its time, never the same twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backupjobwatch.domain.api.snapshot import FINISHED_PHASES
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.domain.status.transitions import BUCKET
from backupjobwatch.terminal.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime


class PlainLines:
    """Tells what has changed of watches, by their keys."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], str] = {}
        """The last line of each thing that changes: a watch as a whole, its progress, each of its tasks."""

    def changes(self, body: Mapping[str, Any], *, now: datetime, key: str = "") -> list[str]:
        """Return a line for each thing that *body* says otherwise than what came before it for the watch of that *key*.

        Without a key it is the object's name.
        """
        row = Row.from_body(body, now=now)
        key = key or row.name
        lines = []
        for thing, text in _texts(row):
            if self._told.get((key, thing)) != text:
                self._told[key, thing] = text
                lines.append(f"{format_time(now)}  {key}  {text}")
        return lines


def _texts(row: Row) -> Iterator[tuple[str, str]]:
    """What may be told of each thing. Growing durations are not in it, and progress only as far as it is worth a line."""
    for task in row.tasks:
        yield f"task {task.name}", f"{task.name}: {task.status}"
    if row.percent is not None:
        yield "progress", f"{row.percent // BUCKET * BUCKET} %"
    what = " of ".join(filter(None, (row.operation, row.item)))
    more = row.message or (row.elapsed if row.phase in FINISHED_PHASES else "")
    yield "watch", "  ".join(filter(None, (row.phase, what, more)))
