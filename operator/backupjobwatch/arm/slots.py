"""The concurrency limit of one principal, so that no principal occupies all threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backupjobwatch.arm.reader import Reader


class Slots:
    """Slots for requests in flight. The readers of one principal (one per subscription) share them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self.readers: list[Reader] = []

    @property
    def is_free(self) -> bool:
        """Whether another request may be sent."""
        return self._taken < self._limit

    def take(self) -> None:
        """Take a slot for a request."""
        self._taken += 1

    def put_back(self) -> None:
        """Put a slot back."""
        self._taken -= 1

    def pump(self) -> None:
        """Let the readers use the free slots. Each call starts with the next reader."""
        self.readers = [*self.readers[1:], *self.readers[:1]]
        for reader in self.readers:
            reader.pump()
