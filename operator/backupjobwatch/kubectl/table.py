"""Watches, and the tasks of one, as tables: coloured at a terminal, plain for pipes and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.payloads import mapping, mappings
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.domain.status.notifications import DELIVERED
from backupjobwatch.kubectl.follow import key_of
from backupjobwatch.terminal.rows import Row
from backupjobwatch.terminal.view import phase_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

TITLES: Final = ("NAME", "PHASE", "REASON", "OPERATION", "ITEM", "PROGRESS", "DURATION", "STARTED", "AGE")
TASK_TITLES: Final = ("TASK", "STATUS", "PROGRESS", "DURATION", "DETAILS")
_ELASTIC: Final = ("REASON", "ITEM")
"""The columns that are cut first where the terminal is narrow: the others are what one looks for, and short."""
_GAP: Final = 3
_TEXT: Final = 1024
_UNITS: Final = (("y", 31_536_000), ("d", 86_400), ("h", 3_600), ("m", 60))
_LEAST: Final = 2
"""Of a unit there are two at least, so that 90 seconds are not a minute."""


def titles(*, namespaces: bool) -> list[str]:
    """Return the heads of the columns of watches."""
    return ["NAMESPACE", *TITLES] if namespaces else [*TITLES]


def cells(body: Mapping[str, Any], *, now: datetime, namespaces: bool) -> list[str]:
    """Return what the columns say of one watch; nothing for what is not known."""
    row, watch = Row.from_body(body, now=now), Watch.from_body(body)
    created = parse_time(mapping(body.get("metadata")).get("creationTimestamp"))
    started = parse_time(mapping(watch.status_for_target.get("job")).get("startTime"))
    shown = [
        *(row.name, row.phase, row.reason, row.operation, row.item),
        *("" if row.percent is None else f"{row.percent}%", row.elapsed),
        *(age(started, now), age(created, now)),
    ]
    return [watch.namespace, *shown] if namespaces else shown


def age(time: datetime | None, now: datetime) -> str:
    """Return how long ago *time* was, in one unit: ``95s``, ``41m``, ``26h``, ``12d``; nothing where it is not known."""
    if time is None:
        return ""
    seconds = max(int((now - time).total_seconds()), 0)
    return next((f"{seconds // size}{unit}" for unit, size in _UNITS if seconds >= _LEAST * size), f"{seconds}s")


def plain(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table as kubectl does: columns that begin where their heads do, three spaces between them."""
    lines = [heads, *rows]
    widths = [max(map(len, column)) + _GAP for column in zip(*lines, strict=True)]
    padded = ("".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "".join(f"{line.rstrip()}\n" for line in padded)


def coloured(bodies: Iterable[Mapping[str, Any]], *, now: datetime, namespaces: bool) -> Table:
    """Return the table of watches in colours, by phase."""
    heads = titles(namespaces=namespaces)
    table = Table(
        *heads, box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False, padding=(0, 1, 0, 0)
    )
    for column in table.columns:
        column.no_wrap = column.header not in _ELASTIC
        column.min_width = len(str(column.header))
    for body in bodies:
        shown: list[str | Text] = [*cells(body, now=now, namespaces=namespaces)]
        phase = heads.index("PHASE")
        shown[phase] = phase_text(str(shown[phase]))
        table.add_row(
            *(Text(cell, no_wrap=True, overflow="ellipsis") if isinstance(cell, str) else cell for cell in shown)
        )
    return table


def in_order(bodies: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return watches as kubectl orders them: by namespace and name."""
    return sorted(bodies, key=key_of)


def task_rows(body: Mapping[str, Any], *, now: datetime) -> list[list[str]]:
    """Return the job's tasks, a row each, under TASK_TITLES."""
    return [
        [task.name, task.status, "" if task.percent is None else f"{task.percent}%", task.duration, task.details]
        for task in Row.from_body(body, now=now).tasks
    ]


def trouble(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines for Azure's errors and warnings, each with its recommendations, and for undelivered notifications."""
    status = Watch.from_body(body).status_for_target
    for kind, found in (("Error", status.get("errors")), ("Warning", status.get("warnings"))):
        for each in mappings(found):
            words = [str(each[name]) for name in ("code", "title", "message") if each.get(name)]
            yield sanitize(f"{kind} {': '.join(words)}", _TEXT)
            if each.get("cause"):
                yield sanitize(f"  because: {each['cause']}", _TEXT)
            recommended = each.get("recommendations")
            for text in recommended if isinstance(recommended, list) else ():
                yield f"  do: {sanitize(str(text), _TEXT)}"
    for entry in mappings(status.get("notifications")):
        if entry.get("state") != DELIVERED:
            yield sanitize(f"Notification {entry['name']}: {entry['state']}: {entry.get('message')}", _TEXT)
