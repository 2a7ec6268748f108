"""``backupjobwatch watch`` as users run it, in a separate process with pipes or on a terminal."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo.pictures.terminal import PATIENCE, Terminal
from tests.support.canary import TOKEN, scan
from tests.support.commands import Command
from tests.support.operator_process import clean_environment

if TYPE_CHECKING:
    from pathlib import Path


def watch_settings(azure: str, **settings: str) -> dict[str, str]:
    """Return the environment of a user of *azure*. *settings* have no prefix."""
    usual = {"AZURE_ENDPOINT": azure, "DEVELOPMENT": "true", "DEVELOPMENT_TOKEN": TOKEN, **settings}
    prefixed = {f"BACKUPJOBWATCH_{name}": value for name, value in usual.items() if value}
    return clean_environment(TERM="xterm-256color", COLUMNS="100", **prefixed)


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a finished command."""

    code: int
    out: str
    err: str


class Watching:
    """The command with its output in pipes."""

    def __init__(self, environment: dict[str, str], *arguments: str, words: str | None = None) -> None:
        """Start the command with *words* on its standard input."""
        self._words = words
        self.process = Command("backupjobwatch", "watch", *arguments, environment=environment, stdin=words is not None)

    def wait(self) -> Done:
        """Wait for the command's end."""
        try:
            out, err = self.process.communicate(self._words, timeout=PATIENCE)
        finally:
            self.end()
        scan("backupjobwatch watch", out + err)
        return Done(self.process.wait(), out, err)

    def end(self) -> None:
        """Kill the command if it is still running."""
        with self.process as process:
            process.kill()


class WatchTerminal(Terminal):
    """The command on its own terminal, except for *stderr* if that is a file."""

    def __init__(self, environment: dict[str, str], *arguments: str, stderr: Path | None = None) -> None:
        shown = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
        with contextlib.nullcontext() if stderr is None else stderr.open("w") as file:
            super().__init__(
                lambda terminal: Command(
                    "backupjobwatch", "watch", *arguments, environment=shown, terminal=terminal, errors=file
                )
            )

    def __exit__(self, *_: object) -> None:
        super().__exit__(*_)
        scan("backupjobwatch watch", self.seen)
