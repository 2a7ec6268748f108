"""Watches as rich shows them: a line for each job, its tasks beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from backupjobwatch.core.summary import UNSEEN
from backupjobwatch.core.verdict import FAILED, PENDING, RUNNING, SUCCEEDED
from backupjobwatch.terminal.rows import Row, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from rich.console import RenderableType

PHASE_STYLES: Final = {
    UNSEEN: "dim",
    PENDING: "yellow",
    RUNNING: "cyan",
    SUCCEEDED: "bold green",
    FAILED: "bold red",
}
"""The colour of each phase. The word is always there too: many see no colour, and NO_COLOR leaves it out."""
_TASK_STYLES: Final = {
    "inprogress": "cyan",
    "completed": "green",
    "completedwithwarnings": "yellow",
    "failed": "red",
    "cancelled": "red",
}
_BAR: Final = 16


def jobs_view(bodies: Iterable[Mapping[str, Any]], *, now: datetime) -> RenderableType:
    """Show BackupJobWatches: phase, what the job is, how long it takes, and how far it is where Azure tells that."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    for row in (Row.from_body(body, now=now) for body in bodies):
        _add(grid, row)
    return grid


def phase_text(phase: str) -> Text:
    """Return the name of a phase in its colour."""
    return Text(phase, style=PHASE_STYLES.get(phase, ""))


def _add(grid: Table, row: Row) -> None:
    remaining = f"{row.remaining} left" if row.remaining else ""
    grid.add_row(
        phase_text(row.phase),
        Text(row.title, style="bold"),
        Text(row.elapsed),
        _progress(row.percent, remaining),
    )
    for task in row.tasks:
        grid.add_row(
            _task_status(task), Text(f"  {task.name}"), Text(task.duration, style="dim"), _progress(task.percent)
        )
    if row.message:
        grid.add_row("", Text(row.message, style="" if row.phase == FAILED else "dim"), "", "")


def _task_status(task: Task) -> Text:
    return Text(f"  {task.status}", style=_TASK_STYLES.get(task.status.lower(), "dim"))


def _progress(percent: int | None, remaining: str = "") -> RenderableType:
    if percent is None:
        return Text(remaining)
    words = Text(" ".join(filter(None, (f"{percent} %", remaining))))
    progress = Table.grid(padding=(0, 1))
    progress.add_row(ProgressBar(total=100, completed=percent, width=_BAR), words)
    return progress
