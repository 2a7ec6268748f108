"""Run the project's commands as separate processes, forked from a server that has imported them."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).parents[2]
SERVER: Final = "COMMAND_SERVER"
"""The variable with the name of the command server's socket, which child processes inherit."""
_START: Final = 120.0


def is_measured() -> bool:
    """Return whether coverage measures this process, and therefore also the processes that it starts."""
    coverage = sys.modules.get("coverage")
    return coverage is not None and coverage.Coverage.current() is not None


def are_commands_measured() -> bool:
    """Return whether coverage measures commands, even if it does not measure this process."""
    return is_measured() or "MEASURE_COMMANDS" in os.environ


class Done(NamedTuple):
    """The result of a finished command."""

    returncode: int
    stdout: str
    stderr: str


class Command:
    """A running command with the interface of ``subprocess.Popen``."""

    def __init__(
        self,
        command: str,
        *arguments: str,
        environment: Mapping[str, str],
        output: IO[str] | None = None,
        errors: IO[str] | None = None,
        stdin: bool = False,
        terminal: int | None = None,
        measured: bool | None = None,
        seconds_ahead: float = 0.0,
    ) -> None:
        """
        Start a command with its output in the file *output*, or in pipes.

        With *stdin*, its input is a pipe too. The descriptor *terminal* replaces all three. The file *errors* replaces
        only standard error. The wall clock of the command is *seconds_ahead*.
        """
        request = {
            "command": command,
            "arguments": arguments,
            "environment": dict(environment),
            "folder": str(ROOT),
            "measured": are_commands_measured() if measured is None else measured,
            "seconds_ahead": seconds_ahead,
        }
        self.stdin: TextIO | None = None
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None
        self.returncode: int | None = None
        with contextlib.ExitStack() as theirs:
            source = os.open(os.devnull, os.O_RDONLY) if terminal is None else os.dup(terminal)
            if stdin:
                os.close(source)
                source, ours = os.pipe()
                self.stdin = os.fdopen(ours, "w")
            theirs.callback(os.close, source)
            out = err = terminal if output is None else output.fileno()
            if errors is not None:
                err = errors.fileno()
            if out is None:
                ours, out = os.pipe()
                self.stdout = os.fdopen(ours)
                theirs.callback(os.close, out)
            if err is None:
                ours, err = os.pipe()
                self.stderr = os.fdopen(ours)
                theirs.callback(os.close, err)
            self._reply = send(request, [source, out, err])
        self.pid = int(self._read(_START))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()

    def poll(self) -> int | None:
        """Return the exit code, or None while the command runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code. Raise TimeoutExpired after *timeout* seconds."""
        if self.returncode is None:
            self.returncode = int(self._read(timeout))
            self._reply.close()
        return self.returncode

    def communicate(self, words: str | bytes | None = None, timeout: float | None = None) -> tuple[str, str]:
        """Write *words* to the command's input, wait for its end, and return its output and errors."""
        with ThreadPoolExecutor(2) as pool:
            out, err = (pool.submit(stream.read) if stream else None for stream in (self.stdout, self.stderr))
            if self.stdin is not None:
                with contextlib.suppress(BrokenPipeError), self.stdin:
                    self.stdin.buffer.write(words.encode() if isinstance(words, str) else words or b"")
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        found = out.result() if out else "", err.result() if err else ""
        self.__exit__()
        return found

    def send_signal(self, number: int) -> None:
        """Send a signal if the command is still running."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # the command just ended
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _read(self, timeout: float | None) -> str:
        if not select.select([self._reply], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("the command", timeout or 0)
        return self._reply.recv(64).decode()


@contextlib.contextmanager
def full_pipe() -> Iterator[IO[str]]:
    """Yield a file to which any write blocks."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, bytes(select.PIPE_BUF)):
            pass
    os.set_blocking(writer, True)
    with os.fdopen(reader), os.fdopen(writer, "w") as full:
        yield full


@contextlib.contextmanager
def closed_pipe() -> Iterator[IO[str]]:
    """Yield a file to which no write succeeds, because no reader is left."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        yield closed


def send(request: Mapping[str, Any], streams: list[int]) -> socket.socket:
    """Start a command with these standard streams. The result receives its process ID, and finally its exit code."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        sending.connect(f"\0{server()}")
        socket.send_fds(sending, [json.dumps(request).encode()], [*streams, theirs.fileno()])
    return ours


def server() -> str:
    """Return the name of the command server's socket. The server ends with the process that called this first."""
    if SERVER not in os.environ:
        os.environ[SERVER] = _start_server()
    return os.environ[SERVER]


def _start_server() -> str:
    name = f"commands-{uuid.uuid4()}"
    measuring = ("-m", "coverage", "run") if are_commands_measured() else ()
    reader, lifeline = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as requests:
        requests.bind(f"\0{name}")  # Linux keeps such a name without a file
        descriptors = (requests.fileno(), reader)
        process = subprocess.Popen(
            [sys.executable, *measuring, "-m", "tests.support.command_server", *map(str, descriptors)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            pass_fds=descriptors,
        )
    os.close(reader)

    def stop() -> None:
        os.close(lifeline)
        process.wait()

    atexit.register(stop)
    return name


def install(command: str, folder: Path) -> None:
    """Put a program into *folder* that runs a command like its installed program, for scripts."""
    server()
    program = folder / command
    lines = (
        f"#!{sys.executable} -IS",
        "import sys",
        f"sys.path.insert(0, {str(ROOT)!r})",
        "from tests.support.commands import forward",
        f"sys.exit(forward({command!r}))",
    )
    program.write_text("\n".join(lines) + "\n", "utf-8")
    program.chmod(0o755)


def forward(command: str) -> int:
    """Run a command with the arguments, streams and environment of this process, and return its exit code."""
    request = {
        "command": command,
        "arguments": sys.argv[1:],
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "measured": False,
        "seconds_ahead": 0.0,
    }
    with send(request, [0, 1, 2]) as reply:
        reply.recv(64)  # the process ID
        return int(reply.recv(64))
