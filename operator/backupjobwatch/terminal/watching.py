"""Jobs followed before somebody's eyes, and their ends handed over: what ``backupjobwatch watch`` does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TextIO

import yaml
from rich.console import Console
from rich.live import Live

from backupjobwatch.errors import AuthenticationFailed, CredentialsNotFound
from backupjobwatch.terminal.exit_codes import INTERRUPTED, UNCLEAR, exit_code, worst
from backupjobwatch.terminal.following import follow
from backupjobwatch.terminal.plain import PlainLines
from backupjobwatch.terminal.view import jobs_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from backupjobwatch.settings import Settings

    Body = dict[str, Any]

Output = Literal["text", "json", "yaml"]

_REFRESH: Final = 4
"""Times a second that the live view is drawn: the seconds that it shows go on evenly."""


def watch_to_the_end(bodies: Sequence[Body], settings: Settings, *, output: Output) -> int:
    """Follow *bodies* to their ends, showing how that goes, and return the exit code for all of them.

    With *output* ``json`` or ``yaml`` standard output gets nothing but the objects as they are in the end, and standard
    error the progress. Does not return where somebody ends it before.
    """
    signal.signal(signal.SIGTERM, _terminate)
    try:
        asyncio.run(_show(bodies, settings, output))
        if output != "text":
            sys.stdout.write(as_text(bodies, output))
            sys.stdout.flush()
    except (CredentialsNotFound, AuthenticationFailed) as error:
        sys.stderr.write(f"{error.reason}: {error}\n")
        return UNCLEAR
    except KeyboardInterrupt:
        _leave(INTERRUPTED)
    except SystemExit as stop:
        _leave(int(stop.code or 0))
    except OSError as error:  # nobody reads on, or the disk is full: nor is anybody told what became of the jobs
        if not isinstance(error, BrokenPipeError):
            with contextlib.suppress(OSError):
                sys.stderr.write(f"The output could not be written: {error}\n")
        _leave(UNCLEAR)
    codes = [exit_code(body) for body in bodies]
    return worst(UNCLEAR if code is None else code for code in codes)


def as_text(bodies: Sequence[Body], output: Output) -> str:
    """Write one object as it is, and several as kubectl does: as a List."""
    whole = bodies[0] if len(bodies) == 1 else {"apiVersion": "v1", "kind": "List", "items": list(bodies)}
    if output == "json":
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=120)


async def _show(bodies: Sequence[Body], settings: Settings, output: Output) -> None:
    console = Console()
    if output == "text" and sys.stdout.isatty() and not console.is_dumb_terminal:

        def view() -> RenderableType:
            return jobs_view(bodies, now=datetime.now(UTC))

        with Live(get_renderable=view, console=console, refresh_per_second=_REFRESH):
            await follow(bodies, settings, on_change=lambda _: None)
        return
    lines, stream = PlainLines(), sys.stdout if output == "text" else sys.stderr
    await follow(bodies, settings, on_change=lambda body: _print(lines.changes(body, now=datetime.now(UTC)), stream))


def _print(lines: Sequence[str], stream: TextIO) -> None:
    stream.writelines(f"{line}\n" for line in lines)
    stream.flush()


def _terminate(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _leave(code: int) -> NoReturn:
    """End at once: Python would wait for requests under way, for half a minute where Azure is silent."""
    os._exit(code)
