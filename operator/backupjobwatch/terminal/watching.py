"""Shows jobs while it follows them, and returns their outcome: the core of ``backupjobwatch watch``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

import yaml
from rich.console import Console
from rich.live import Live

from backupjobwatch.errors import CredentialsNotFound
from backupjobwatch.terminal import rows
from backupjobwatch.terminal.backup_notes import BackupNotes, RequestGuard, closing_line
from backupjobwatch.terminal.exit_codes import TIMED_OUT, UNCLEAR, exit_code, worst
from backupjobwatch.terminal.following import follow
from backupjobwatch.terminal.interruption import Interruption, leave
from backupjobwatch.terminal.option_names import with_option_names
from backupjobwatch.terminal.plain import PlainLines, reminder
from backupjobwatch.terminal.rows import Row
from backupjobwatch.terminal.view import jobs_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from backupjobwatch.settings import Settings

    Body = dict[str, Any]

Output = Literal["text", "json", "yaml"]

_REFRESH: Final = 4
"""Refreshes of the live view per second, so that durations advance evenly."""


def watch_to_the_end(bodies: Sequence[Body], settings: Settings, *, output: Output, log_interval: float) -> int:
    """Follow *bodies* until they finish, show their progress, and return the exit code for all of them.

    With *output* ``json`` or ``yaml``, standard output gets only the final objects, and standard error the progress.
    If the output is not a terminal, a line is printed at least every *log_interval* seconds. The process ends here if
    it is interrupted.
    """
    guard = RequestGuard()
    interruption = Interruption(partial(_report_rest, bodies, guard))
    interruption.install()
    failure: int | None = None
    try:
        asyncio.run(interruption.run(_show(bodies, settings, guard, output, log_interval)))
        if output != "text":
            sys.stdout.write(as_text(bodies, output))
            sys.stdout.flush()
    except CredentialsNotFound as error:
        sys.stderr.write(f"{error.reason}: {error}\n")
        return UNCLEAR
    except asyncio.CancelledError:  # after a signal
        pass
    except OSError as error:  # the pipe is closed or the disk is full, so the outcome was not reported
        failure = UNCLEAR
        if not isinstance(error, BrokenPipeError):
            with contextlib.suppress(OSError):
                sys.stderr.write(f"The output could not be written: {error}\n")
    finally:
        _report_rest(bodies, guard)
    if (end := interruption.code or failure) is not None:
        leave(end)
    codes = [exit_code(body) for body in bodies]
    return worst(UNCLEAR if code is None else code for code in codes)


def as_text(bodies: Sequence[Body], output: Output) -> str:
    """Format one object as it is, and several objects as a List, as kubectl does."""
    whole = bodies[0] if len(bodies) == 1 else {"apiVersion": "v1", "kind": "List", "items": list(bodies)}
    if output == "json":
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=120)


async def _show(
    bodies: Sequence[Body], settings: Settings, guard: RequestGuard, output: Output, log_interval: float
) -> None:
    console = Console()
    notes = BackupNotes()
    if output == "text" and sys.stdout.isatty() and not console.is_dumb_terminal:

        def view() -> RenderableType:
            return jobs_view([_row(body, now=datetime.now(UTC)) for body in bodies])

        # Rich would print what is written to standard error on standard output, even if it is a file.
        redirects = sys.stderr.isatty()
        with Live(get_renderable=view, console=console, refresh_per_second=_REFRESH, redirect_stderr=redirects):
            await follow(bodies, settings, guard, on_change=lambda body: _report(notes.lines(body)))
        return
    log = _Log(bodies, sys.stdout if output == "text" else sys.stderr, log_interval)

    def show(body: Body) -> None:
        _report(notes.lines(body))
        log.show(body)

    tasks = [
        asyncio.create_task(follow(bodies, settings, guard, on_change=show)),
        asyncio.create_task(log.remind()),
    ]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Log:
    """Prints a line for each change, and reminders, because many CI systems cancel a silent job."""

    def __init__(self, bodies: Sequence[Body], stream: TextIO, interval: float) -> None:
        self._bodies = bodies
        self._stream = stream
        self._interval = interval
        self._lines = PlainLines()
        self._printed_at = time.monotonic()

    def show(self, body: Body) -> None:
        """Print what has changed about a watch."""
        now = datetime.now(UTC)
        self._print(self._lines.changes(_row(body, now=now), now=now))

    async def remind(self) -> None:
        """Print the state of the watches whenever nothing was printed for an interval."""
        while True:
            wait = self._printed_at + self._interval - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            else:
                now = datetime.now(UTC)
                self._print(reminder([_row(body, now=now) for body in self._bodies], now=now))
                self._printed_at = time.monotonic()

    def _print(self, lines: Sequence[str]) -> None:
        if lines:
            self._stream.writelines(f"{line}\n" for line in lines)
            self._stream.flush()
            self._printed_at = time.monotonic()


def _row(body: Body, *, now: datetime) -> Row:
    """Return the row of a watch in the words of the command: its exit code 124, and its options."""
    row = Row.from_body(body, now=now)
    phase = rows.TIMED_OUT if exit_code(body) == TIMED_OUT else row.phase
    return replace(row, phase=phase, message=with_option_names(row.message))


def _report(lines: Sequence[str]) -> None:
    """Write *lines* to standard error, which a live view shows above itself. Raises OSError."""
    if lines:
        sys.stderr.writelines(f"{line}\n" for line in lines)
        sys.stderr.flush()


def _report_rest(bodies: Sequence[Body], guard: RequestGuard) -> None:
    """Report the backups that may still run after the command exits."""
    guard.close()
    lines = [line for body in bodies if (line := closing_line(body, guard)) is not None]
    with contextlib.suppress(OSError):
        _report(lines)
