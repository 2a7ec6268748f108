"""The concurrency limit of one principal, so that no principal occupies all threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backupjobwatch.arm.reader import Reader


class Slots:
    """Slots for requests in flight. The readers of one principal (one per subscription) and its backups share them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._backups: set[str] = set()
        """The watches whose backup requests have a slot."""
        self._waiting: set[str] = set()
        """The watches whose backup requests get the next slots."""
        self.readers: list[Reader] = []

    @property
    def is_free(self) -> bool:
        """Whether another read may be sent."""
        claims = min(len(self._waiting), self._most_backups - len(self._backups))
        return self._taken + claims < self._limit

    def take(self) -> None:
        """Take a slot for a request."""
        self._taken += 1

    def take_for_backup(self, uid: str) -> bool:
        """Take a slot for the backup request of a watch. If none is free, return False, and keep the next one for it."""
        if uid in self._backups:
            return True
        if len(self._backups) >= self._most_backups:
            return False
        if self._taken >= self._limit:
            self._waiting.add(uid)
            return False
        self._waiting.discard(uid)
        self._backups.add(uid)
        self.take()
        return True

    def end_backup(self, uid: str) -> None:
        """Put back the slot of a watch, or drop its claim to the next one."""
        self._waiting.discard(uid)
        if uid in self._backups:
            self._backups.remove(uid)
            self._waiting.clear()  # with a single slot, reads get it before the next backup
            self.put_back()
        self.pump()

    def put_back(self) -> None:
        """Put a slot back."""
        self._taken -= 1

    def pump(self) -> None:
        """Let the readers use the free slots. Each call starts with the next reader."""
        self.readers = [*self.readers[1:], *self.readers[:1]]
        for reader in self.readers:
            reader.pump()

    @property
    def _most_backups(self) -> int:
        """One slot is left for reads, because the request for a backup may take a minute."""
        return max(self._limit - 1, 1)
