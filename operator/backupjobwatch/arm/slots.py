"""Limits how many requests of one principal are in flight, so that no principal takes all threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backupjobwatch.arm.reader import Reader


class Slots:
    """The requests that one principal may have in flight. Its readers, one for each subscription, share them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self.readers: list[Reader] = []

    @property
    def is_free(self) -> bool:
        """Whether another request may be sent."""
        return self._taken < self._limit

    def take(self) -> None:
        """Count a request."""
        self._taken += 1

    def put_back(self) -> None:
        """Count one request less."""
        self._taken -= 1

    def pump(self) -> None:
        """Let the readers use what is free, each first in turn."""
        self.readers = [*self.readers[1:], *self.readers[:1]]
        for reader in self.readers:
            reader.pump()
