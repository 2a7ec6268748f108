"""``backupjobwatch watch`` as users run it: a process of its own, piped or on a terminal."""

from __future__ import annotations

from dataclasses import dataclass

from demo.pictures.terminal import PATIENCE, Terminal
from tests.support.canary import TOKEN, hear
from tests.support.commands import ROOT, Command
from tests.support.operator_process import backupjobwatch, clean_environment


def watch_settings(azure: str, **settings: str) -> dict[str, str]:
    """Return the environment of somebody who asks *azure*; *settings* come without their prefix."""
    usual = {"AZURE_ENDPOINT": azure, "DEVELOPMENT": "true", "DEVELOPMENT_TOKEN": TOKEN, **settings}
    prefixed = {f"BACKUPJOBWATCH_{name}": value for name, value in usual.items() if value}
    return clean_environment(TERM="xterm-256color", COLUMNS="100", **prefixed)


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


class Watching:
    """The command, with its output in pipes."""

    def __init__(self, environment: dict[str, str], *arguments: str, words: str | None = None) -> None:
        """*words* are what it finds on its standard input."""
        self._words = words
        self.process = Command("backupjobwatch", "watch", *arguments, environment=environment, stdin=words is not None)

    def wait(self) -> Done:
        """Wait for its end."""
        try:
            out, err = self.process.communicate(self._words, timeout=PATIENCE)
        finally:
            self.end()
        hear("backupjobwatch watch", out + err)
        return Done(self.process.wait(), out, err)

    def end(self) -> None:
        """End it, where it has not ended."""
        with self.process as process:
            process.kill()


class WatchTerminal(Terminal):
    """The command on a terminal of its own."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        super().__init__(backupjobwatch("watch", *arguments), environment=environment, folder=ROOT)

    def __exit__(self, *_: object) -> None:
        super().__exit__(*_)
        hear("backupjobwatch watch", self.seen)
