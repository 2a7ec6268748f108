"""The client of the API server that the controllers need. ``backupjobwatch watch`` has one that keeps objects in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backupjobwatch.domain.api.snapshot import Watch


class ObjectClient(Protocol):
    """A client of the API server."""

    async def read(self, namespace: str, name: str) -> dict[str, Any]:
        """Read one watch."""

    async def write_status(self, watch: Watch, status: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the status of *watch*. Raise Conflict if the object changed after this snapshot."""
