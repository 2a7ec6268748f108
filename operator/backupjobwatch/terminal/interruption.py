"""Ends the command after SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_CLEANUP: Final = 5.0
"""Seconds that the command has to end after a signal."""


class Interruption:
    """Cancels the work of the command after a signal.

    The signal handler raises no exception. An exception between any two instructions could leave a lock acquired.
    """

    def __init__(self, report: Callable[[], None]) -> None:
        """*report* tells the user what continues without the command."""
        self.code: int | None = None
        """The exit code after a signal: 128 and the signal's number, as in shells."""
        self._report = report
        self._cancel: Callable[[], object] | None = None

    def install(self) -> None:
        """Handle the first signal, and ignore further ones: they would prevent the report."""
        force_exit_after_signal(self._report)
        signal.signal(signal.SIGTERM, self._on_signal)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell ignores it for background commands
            signal.signal(signal.SIGINT, self._on_signal)

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Await *work*. Raises CancelledError after a signal."""
        task = asyncio.create_task(work)
        self._cancel = partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel)
        try:
            if self.code is not None:
                task.cancel()
            await task
        finally:
            self._cancel = None

    def _on_signal(self, number: int, _frame: object) -> None:
        if self.code is None:
            self.code = 128 + number
            if self._cancel is not None:
                self._cancel()


def force_exit_after_signal(report: Callable[[], None] | None = None) -> None:
    """End the process a few seconds after SIGINT or SIGTERM, after *report*, if the process does not end by itself.

    Its main thread may be blocked, for example because its output is a full pipe. Python calls signal handlers only in
    that thread, and not at all if the signal arrives just before the system call that blocks. Therefore, a thread waits
    for the number that Python writes to the wakeup file descriptor: https://docs.python.org/3/library/signal.html
    A later call replaces an earlier one.
    """
    numbers, wakeup = socket.socketpair()  # Windows accepts only sockets
    wakeup.setblocking(False)
    signal.set_wakeup_fd(wakeup.detach(), warn_on_full_buffer=False)
    threading.Thread(target=_force_exit, args=(numbers, report), daemon=True).start()


def _force_exit(numbers: socket.socket, report: Callable[[], None] | None) -> None:
    number = 0
    while number not in (signal.SIGINT, signal.SIGTERM):
        (number,) = numbers.recv(1)
    time.sleep(_CLEANUP)
    if report is not None:
        reporting = threading.Thread(target=report, daemon=True)
        reporting.start()
        reporting.join(1.0)
    leave(128 + number)


def leave(code: int) -> NoReturn:
    """End at once. Python would wait for requests in flight, for up to 30 s if Azure is silent."""
    os._exit(code)
