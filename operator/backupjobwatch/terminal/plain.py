"""Watches as plain lines, for logs and pipes: one line with a time for each change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.job import Outcome, outcome_of
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.domain.status.transitions import BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from backupjobwatch.terminal.rows import Row, Task

MOST_REMINDED: Final = 10
"""Maximum number of watches that a reminder lists. For more watches, it prints their number."""
_INDENT: Final = "  "
_RUNNING: Final = frozenset({Outcome.IN_PROGRESS, Outcome.CANCELLING})


class PlainLines:
    """Formats the changes of watches, which it distinguishes by their keys."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, str], str] = {}
        """The last printed state of each watch, its progress and its tasks."""

    def changes(self, row: Row, *, now: datetime, key: str = "") -> list[str]:
        """Return a line for each change since the previous call for this *key*. Default: the object's name.

        The lines of tasks follow the line of their job. If the watch has ended, its line comes last.
        """
        key = key or row.name
        tasks = [(f"task {task.name}", task.status, _task_text(task)) for task in row.tasks]
        progress = [("progress", text, text) for text in _progress(row)]
        watch = ("watch", _watch_text(row), _watch_text(row))
        things = [*tasks, watch] if row.finished else [watch, *tasks, *progress]
        lines = []
        for thing, state, text in things:
            if self._shown.get((key, thing)) != state:
                self._shown[key, thing] = state
                lines.append(f"{format_time(now)}  {key}  {text}")
        return lines


def reminder(rows: Sequence[Row], *, now: datetime) -> list[str]:
    """Return lines about the watches that have not ended, with the running tasks of each."""
    waiting = [row for row in rows if not row.finished]
    time = format_time(now)
    if len(waiting) > MOST_REMINDED:
        return [f"{time}  {len(waiting)} of {len(rows)} jobs have not ended."]
    lines = []
    for row in waiting:
        lines.append(f"{time}  {row.name}  {_watch_text(row)}  {row.elapsed or row.waited}".rstrip())
        running = (task for task in row.tasks if outcome_of(task.status) in _RUNNING)
        lines += [f"{time}  {row.name}  {text}" for text in (*map(_task_text, running), *_progress(row))]
    return lines


def _watch_text(row: Row) -> str:
    """Return the line of the watch as a whole, without durations that still grow."""
    is_in_message = row.message.startswith(f"{row.job} ")  # such as "Backup of vm1 failed."
    more = row.message or (row.elapsed if row.finished else "")
    return "  ".join(filter(None, (row.phase, "" if is_in_message else row.job, more)))


def _task_text(task: Task) -> str:
    return _INDENT + "  ".join(filter(None, (f"{task.name}: {task.status}", task.details)))


def _progress(row: Row) -> Iterator[str]:
    if row.percent is not None:
        yield f"{_INDENT}{row.percent // BUCKET * BUCKET} %"
