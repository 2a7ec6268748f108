"""Tables of watches and of their tasks: colored and fitted at a terminal, plain in pipes and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.payloads import mapping, mappings
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.domain.status.notifications import DELIVERED
from backupjobwatch.kubectl.follow import key_of
from backupjobwatch.terminal.exit_codes import WARNED
from backupjobwatch.terminal.rows import Row
from backupjobwatch.terminal.view import phase_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from rich.console import Console, ConsoleOptions, RenderResult

TITLES: Final = ("NAME", "PHASE", "REASON", "OPERATION", "ITEM", "PROGRESS", "DURATION", "STARTED", "AGE")
TASK_TITLES: Final = ("NAME", "STATUS", "PROGRESS", "DURATION", "DETAILS")
_GAPS: Final = (3, 2)
"""Spaces between columns: kubectl's default, and those on a narrow terminal."""
_GIVE_WAY: Final = (
    *(("AGE", 0), ("STARTED", 0), ("OPERATION", 0), ("PROGRESS", 0), ("ITEM", 10), ("ITEM", 0), ("DURATION", 0)),
    *(("REASON", 10), ("NAMESPACE", 10), ("NAME", 10), ("REASON", 0)),
)
"""Minimum widths of columns that shrink on a narrow terminal, in this order. A column of width 0 is hidden."""
_INDENT: Final = "  "
_TEXT: Final = 1024
_UNITS: Final = (("y", 31_536_000), ("d", 86_400), ("h", 3_600), ("m", 60))
_LEAST: Final = 2
"""The smallest number shown in a unit, so that 90 seconds do not become one minute."""


class WatchTable:
    """Watches in columns that fit the terminal's width, with their phases in color."""

    def __init__(self, bodies: Iterable[Mapping[str, Any]], *, now: datetime, namespaces: bool) -> None:
        self.heads = titles(namespaces=namespaces)
        self.rows = [cells(body, now=now, namespaces=namespaces) for body in bodies]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the lines."""
        widths, gap = fit(self.heads, self.rows, options.max_width)
        phase = self.heads.index("PHASE")
        for row in [self.heads, *self.rows]:
            line = Text(no_wrap=True, overflow="crop", style="bold" if row is self.heads else "")
            for index, (cell, width) in enumerate(zip(row, widths, strict=True)):
                if width == 0:
                    continue
                shown = _cut(cell, width)
                line.append(phase_text(shown) if index == phase and row is not self.heads else shown)
                line.append(" " * (width - cell_len(shown) + gap))
            line.rstrip()
            yield line


def fit(heads: Sequence[str], rows: Sequence[Sequence[str]], available: int) -> tuple[list[int], int]:
    """Return the widths of the columns, and the gap between them, so that a line has at most *available* cells.

    Nothing is truncated if everything fits. Otherwise columns shrink in a fixed order.
    """
    widths = [max(map(cell_len, column)) for column in zip(heads, *rows, strict=True)]
    gap = next((gap for gap in _GAPS if _total(widths, gap) <= available), _GAPS[-1])
    for head, least in _GIVE_WAY:
        excess = _total(widths, gap) - available
        if excess <= 0:
            break
        if head in heads:
            index = heads.index(head)
            widths[index] = min(widths[index], max(widths[index] - excess, least)) if least else 0
    return widths, gap


def _total(widths: Iterable[int], gap: int) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + gap * (len(shown) - 1)


def _cut(cell: str, width: int) -> str:
    return cell if cell_len(cell) <= width else f"{set_cell_size(cell, width - 1)}…"


def titles(*, namespaces: bool) -> list[str]:
    """Return the headings of the columns of watches."""
    return ["NAMESPACE", *TITLES] if namespaces else [*TITLES]


def cells(body: Mapping[str, Any], *, now: datetime, namespaces: bool) -> list[str]:
    """Return the columns of one watch. An unknown value is an empty text."""
    row, watch = Row.from_body(body, now=now), Watch.from_body(body)
    created = parse_time(mapping(body.get("metadata")).get("creationTimestamp"))
    started = parse_time(mapping(watch.status_for_target.get("job")).get("startTime"))
    shown = [
        *(row.name, row.phase, row.reason, row.operation, row.item),
        *(_percent(row.percent), row.elapsed),
        *(age(started, now), age(created, now)),
    ]
    return [watch.namespace, *shown] if namespaces else shown


def age(time: datetime | None, now: datetime) -> str:
    """Return how long ago *time* was, in one unit: ``95s``, ``41m``, ``26h``, ``12d``. Empty for None."""
    if time is None:
        return ""
    seconds = max(int((now - time).total_seconds()), 0)
    return next((f"{seconds // size}{unit}" for unit, size in _UNITS if seconds >= _LEAST * size), f"{seconds}s")


def plain(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table as kubectl does: columns aligned with their headings, three spaces between them."""
    lines = [heads, *rows]
    widths = [max(map(len, column)) + _GAPS[0] for column in zip(*lines, strict=True)]
    padded = ("".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "".join(f"{line.rstrip()}\n" for line in padded)


def in_order(bodies: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return watches in kubectl's order: by namespace and name."""
    return sorted(bodies, key=key_of)


def task_rows(row: Row) -> list[list[str]]:
    """Return a row for the job and, indented, one for each of its tasks, under TASK_TITLES."""
    tasks = (
        [f"{_INDENT}{task.name}", task.status, _percent(task.percent), task.duration, task.details]
        for task in row.tasks
    )
    return [[row.name, row.phase, _percent(row.percent), row.elapsed, row.job], *tasks]


def _percent(value: int | None) -> str:
    return "" if value is None else f"{value}%"


def trouble(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines for Azure's errors and warnings, each with its recommendations, and for undelivered notifications."""
    status = Watch.from_body(body).status_for_target
    errors = "Warning" if status.get("reason") == WARNED else "Error"
    for kind, found in ((errors, status.get("errors")), ("Warning", status.get("warnings"))):
        for each in mappings(found):
            words = [str(each[name]) for name in ("code", "title", "message") if each.get(name)]
            yield sanitize(f"{kind} {': '.join(words)}", _TEXT)
            if each.get("cause"):
                yield sanitize(f"  Cause: {each['cause']}", _TEXT)
            recommended = each.get("recommendations")
            for text in recommended if isinstance(recommended, list) else ():
                yield f"  Recommendation: {sanitize(str(text), _TEXT)}"
    for entry in mappings(status.get("notifications")):
        if entry.get("state") != DELIVERED:
            yield sanitize(f"Notification {entry['name']}: {entry['state']}: {entry.get('message')}", _TEXT)
