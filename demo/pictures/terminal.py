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
from typing import TYPE_CHECKING, Final, Self

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


class Terminal:
    """A terminal that runs a program until the block ends."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        rows: int = 30,
        columns: int = COLUMNS,
        stdin: IO[str] | None = None,
        stderr: IO[str] | None = None,
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process = subprocess.Popen(
            command,
            env={name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")},
            cwd=folder,
            stdin=theirs if stdin is None else stdin,
            stdout=theirs,
            stderr=theirs if stderr is None else stderr,
            start_new_session=True,
        )
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

    def until(self, look: Callable[[str], object]) -> None:
        """Read until *look* returns true for the output without escape sequences."""
        deadline = time.monotonic() + PATIENCE
        while not look(self.words):
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
