"""The view of watches for rich: a line for each job, with its tasks below it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from backupjobwatch.domain.jobs.job import Outcome, outcome_of
from backupjobwatch.domain.status.summary import UNSEEN
from backupjobwatch.domain.status.verdict import FAILED, PENDING, RUNNING, SUCCEEDED
from backupjobwatch.terminal.rows import TIMED_OUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from backupjobwatch.terminal.rows import Row

PHASE_STYLES: Final = {
    UNSEEN: "dim",
    PENDING: "yellow",
    RUNNING: "cyan",
    SUCCEEDED: "bold green",
    FAILED: "bold red",
    TIMED_OUT: "bold magenta",
}
"""The color of each phase. The name is always shown too: not all users see colors, and NO_COLOR disables them."""
_TASK_STYLES: Final = {
    Outcome.IN_PROGRESS: "cyan",
    Outcome.CANCELLING: "yellow",
    Outcome.COMPLETED: "green",
    Outcome.COMPLETED_WITH_WARNINGS: "yellow",
    Outcome.FAILED: "red",
    Outcome.CANCELLED: "red",
}
_BAR: Final = 12
_GAP: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line of the view: a job, one of its tasks, or the details of a task."""

    phase: Text = field(default_factory=Text)
    name: Text
    state: Text = field(default_factory=Text)
    """How long a job takes, or a task's status."""
    percent: int | None = None
    time: str = ""
    """How long the rest of a job takes, or how long a task took."""

    @property
    def words(self) -> str:
        """The text next to the bar."""
        return " ".join(filter(None, ("" if self.percent is None else f"{self.percent} %", self.time)))

    @property
    def progress_width(self) -> int:
        return len(self.words) + (0 if self.percent is None else _BAR + 1)


def jobs_view(rows: Sequence[Row]) -> RenderableType:
    """Return a view of BackupJobWatches: phase, job, duration, and progress if Azure reports it."""
    lines = [list(_lines(row)) for row in rows]
    every = [line for group in lines for line in group]
    phase = max((line.phase.cell_len for line in every), default=0)
    state = max((line.state.cell_len for line in every), default=0)
    progress = max((line.progress_width for line in every), default=0)
    parts: list[RenderableType] = []
    for row, group in zip(rows, lines, strict=True):
        parts.append(_grid(group, phase=phase, state=state, progress=progress))
        if row.message:
            text = Text(row.message, style="" if row.phase in (FAILED, TIMED_OUT) else "dim")
            parts.append(Padding(text, (0, 0, 0, phase + _GAP)))
    return Group(*parts)


def phase_text(phase: str) -> Text:
    """Return the name of a phase in its color."""
    return Text(phase, style=PHASE_STYLES.get(phase, ""))


def _lines(row: Row) -> Iterator[_Line]:
    """Yield the job itself, then its tasks with their details."""
    yield _Line(
        phase=phase_text(row.phase),
        name=Text(row.title, style="bold"),
        state=Text(row.elapsed or row.waited),
        percent=row.percent,
        time=f"{row.remaining} left" if row.remaining else "",
    )
    for task in row.tasks:
        yield _Line(
            name=Text(f"  {task.name}"),
            state=Text(task.status, style=_TASK_STYLES.get(outcome_of(task.status), "dim")),
            percent=task.percent,
            time=task.duration,
        )
        if task.details:
            # On a separate line: on a narrow terminal, it would leave too little space for the names.
            yield _Line(name=Text(f"    {task.details}", style="dim"))


def _grid(lines: Iterable[_Line], *, phase: int, state: int, progress: int) -> Table:
    """Return a grid. All grids have equal column widths; the column of names takes the rest."""
    grid = Table.grid(padding=(0, _GAP, 0, 0), expand=True)
    grid.add_column(width=phase)
    grid.add_column(ratio=1, overflow="fold")
    grid.add_column(width=state, justify="right")
    grid.add_column(width=progress)
    for line in lines:
        grid.add_row(line.phase, line.name, line.state, _progress(line))
    return grid


def _progress(line: _Line) -> RenderableType:
    if line.percent is None:
        return Text(line.words)
    progress = Table.grid(padding=(0, 1, 0, 0))
    bar = ProgressBar(total=100, completed=line.percent, width=_BAR, complete_style="cyan", finished_style="green")
    progress.add_row(bar, Text(line.words))
    return progress
