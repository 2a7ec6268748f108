"""Watches as plain lines, for logs and pipes: one line with a time for each change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.api.snapshot import FINISHED_PHASES, Watch
from backupjobwatch.domain.jobs.job import Outcome, outcome_of
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.domain.status.transitions import BUCKET
from backupjobwatch.terminal.rows import Row, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

MOST_REMINDED: Final = 10
"""Maximum number of watches that a reminder lists. For more watches, it prints their number."""
_INDENT: Final = "  "
_RUNNING: Final = frozenset({Outcome.IN_PROGRESS, Outcome.CANCELLING})


class PlainLines:
    """Formats the changes of watches, which it distinguishes by their keys."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, str], str] = {}
        """The last printed state of each watch, its progress and its tasks."""

    def changes(self, body: Mapping[str, Any], *, now: datetime, key: str = "") -> list[str]:
        """Return a line for each thing that differs from the previous call for this *key*. Default: the object's name.

        The lines of tasks follow the line of their job. When the watch ends, its line comes last.
        """
        row = Row.from_body(body, now=now)
        key = key or row.name
        is_first = (key, "watch") not in self._shown
        tasks = [(f"task {task.name}", task.status, _task_text(task)) for task in row.tasks]
        progress = [("progress", text, text) for text in _progress(row)]
        watch = ("watch", _watch_text(row), _watch_text(row))
        is_end = row.phase in FINISHED_PHASES and not is_first
        things = [*tasks, *progress, watch] if is_end else [watch, *tasks, *progress]
        lines = []
        for thing, state, text in things:
            if self._shown.get((key, thing)) != state:
                self._shown[key, thing] = state
                lines.append(f"{format_time(now)}  {key}  {text}")
        return lines


def reminder(bodies: Sequence[Mapping[str, Any]], *, now: datetime) -> list[str]:
    """Return lines about the watches that have not ended, with the running tasks of each."""
    rows = [Row.from_body(body, now=now) for body in bodies if not Watch.from_body(body).finished]
    time = format_time(now)
    if len(rows) > MOST_REMINDED:
        return [f"{time}  {len(rows)} of {len(bodies)} jobs have not ended."]
    lines = []
    for row in rows:
        lines.append(f"{time}  {row.name}  {_watch_text(row)}  {row.elapsed}".rstrip())
        running = (task for task in row.tasks if outcome_of(task.status) in _RUNNING)
        lines += [f"{time}  {row.name}  {text}" for text in (*map(_task_text, running), *_progress(row))]
    return lines


def _watch_text(row: Row) -> str:
    """Return the line of the watch as a whole, without durations that still grow."""
    what = " of ".join(filter(None, (row.operation, row.item)))
    more = row.message or (row.elapsed if row.phase in FINISHED_PHASES else "")
    return "  ".join(filter(None, (row.phase, what, more)))


def _task_text(task: Task) -> str:
    return _INDENT + "  ".join(filter(None, (f"{task.name}: {task.status}", task.details)))


def _progress(row: Row) -> Iterator[str]:
    if row.percent is not None:
        yield f"{_INDENT}{row.percent // BUCKET * BUCKET} %"
