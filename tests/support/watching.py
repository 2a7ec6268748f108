"""``backupjobwatch watch`` as users run it: a process of its own, piped or on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from tests.support.canary import TOKEN, hear
from tests.support.operator_process import ROOT, backupjobwatch, clean_environment

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

PATIENCE: Final = 90.0
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


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
        self.process = subprocess.Popen(
            backupjobwatch("watch", *arguments),
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL if words is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> Done:
        """Wait for its end."""
        try:
            out, err = self.process.communicate(self._words, timeout=PATIENCE)
        finally:
            self.end()
        hear("backupjobwatch watch", out + err)
        return Done(self.process.returncode, out, err)

    def end(self) -> None:
        """End it, where it has not ended."""
        with self.process as process:
            process.kill()


class Terminal:
    """The command on a terminal of its own, of 100 columns."""

    def __init__(self, environment: dict[str, str], *arguments: str, rows: int = 30) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 100, 0, 0))
        kept = {name: value for name, value in environment.items() if name != "COLUMNS"}
        self._process = subprocess.Popen(
            backupjobwatch("watch", *arguments),
            env=kept,
            cwd=ROOT,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = ""
        """All that was written to the terminal."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)
        hear("backupjobwatch watch", self.seen)

    @property
    def words(self) -> str:
        """All that was written, without what moves the cursor or sets colours."""
        return _ESCAPES.sub("", self.seen)

    def until(self, look: Callable[[str], object]) -> None:
        """Read on until *look* finds something in the words."""
        deadline = time.monotonic() + PATIENCE
        while not look(self.words):
            if not self._read() or time.monotonic() > deadline:
                raise AssertionError(self.words)

    def wait(self) -> int:
        """Read to its end; return its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read() and time.monotonic() < deadline:
            pass
        return self._process.wait(PATIENCE)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, as the terminal does for Ctrl-C."""
        self._process.send_signal(number)

    def _read(self) -> bool:
        """Read what there is by now; False where there will be no more."""
        if not select.select([self._ours], [], [], 0.5)[0]:
            return True
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # EIO: the other end is closed
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)
