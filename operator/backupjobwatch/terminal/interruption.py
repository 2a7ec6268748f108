"""Ends the command after SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from functools import partial
from queue import SimpleQueue
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
        self._codes: SimpleQueue[int] = SimpleQueue()  # its put() may interrupt any other code
        self._cancel: Callable[[], object] | None = None

    def install(self) -> None:
        """Handle the first signal, and ignore further ones: they would prevent the report."""
        threading.Thread(target=self._force_exit, daemon=True).start()
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
            self._codes.put(self.code)
            if self._cancel is not None:
                self._cancel()

    def _force_exit(self) -> None:
        """End the process if it does not end by itself, for example because its output is a full pipe."""
        code = self._codes.get()
        time.sleep(_CLEANUP)
        report = threading.Thread(target=self._report, daemon=True)
        report.start()
        report.join(1.0)
        leave(code)


def leave(code: int) -> NoReturn:
    """End at once. Python would wait for requests in flight, for up to 30 s if Azure is silent."""
    os._exit(code)
