"""Run a program on its own pseudo-terminal."""

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
from typing import TYPE_CHECKING, Final, Protocol, Self

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import IO

PATIENCE: Final = 90.0
COLUMNS: Final = 100
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
_REDRAWN: Final = re.compile(r"\r?\x1b\[2K(?:\x1b\[1A\x1b\[2K)*")
"""Rich writes this before it redraws a live view: it returns to the first line and clears each line."""


class Process(Protocol):
    """What a terminal uses of ``subprocess.Popen``."""

    def send_signal(self, sig: int, /) -> None: ...
    def kill(self) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


def program(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path, stdin: IO[str] | None = None
) -> Callable[[int], Process]:
    """Return a function that starts a program on a terminal, except for *stdin* if that is a file."""

    def start(terminal: int) -> Process:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=terminal if stdin is None else stdin,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )

    return start


class Terminal:
    """A terminal that runs a program until the block ends."""

    def __init__(self, start: Callable[[int], Process], *, rows: int = 30, columns: int = COLUMNS) -> None:
        """Create a terminal, and *start* the program with its descriptor."""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process = start(theirs)
        os.close(theirs)
        self.seen = ""
        """The output so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    @property
    def words(self) -> str:
        """The output without escape sequences."""
        return _ESCAPES.sub("", self.seen)

    @property
    def frames(self) -> list[str]:
        """The frames of a live view, with colors."""
        return _REDRAWN.split(self.seen)

    def until(self, condition: Callable[[str], object]) -> None:
        """Read until *condition* returns true for the output without escape sequences."""
        deadline = time.monotonic() + PATIENCE
        while not condition(self.words):
            if not self._read() or time.monotonic() > deadline:
                raise AssertionError(self.words)

    def wait(self) -> int:
        """Read until the program ends, and return its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read() and time.monotonic() < deadline:
            pass
        return self._process.wait(PATIENCE)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program, as the terminal does for Ctrl-C."""
        self._process.send_signal(number)

    def _read(self) -> bool:
        """Read the available output. Return False at its end."""
        if not select.select([self._ours], [], [], 0.5)[0]:
            return True
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # EIO: the program has closed the terminal
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)
