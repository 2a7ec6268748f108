"""A namespace controller: it empties a deleted namespace before the namespace disappears."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .kinds import GROUPS, NAMESPACES
from .upstream import NOT_FOUND, OK

if TYPE_CHECKING:
    from .upstream import Upstream

CORE = f"/apis/{GROUPS['']}/v1"
PATH = f"{CORE}/{NAMESPACES}"
EVERY_CLUSTER_HAS = ("default", "kube-system")


class Namespaces:
    """Deletes the content of terminating namespaces."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def install(self) -> None:
        """Create the namespaces that every cluster has, and resume the deletions of an earlier run."""
        for name in EVERY_CLUSTER_HAS:
            await self._upstream.call("POST", PATH, namespace(name))
        _, listing = await self._upstream.call("GET", f"{PATH}?fieldSelector=status.phase%3DTerminating")
        for item in listing["items"]:
            await self.terminate(item["metadata"]["name"])

    async def terminate(self, name: str) -> None:
        """Mark a namespace as terminating, and delete its content in the background."""
        held = {"metadata": {"finalizers": ["kubernetes"]}, "status": {"phase": "Terminating"}}
        status, _ = await self._upstream.call("PATCH", f"{PATH}/{name}", held)
        if status == OK:
            task = asyncio.create_task(self._empty(name))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _empty(self, name: str) -> None:
        remaining = True
        while remaining:
            await asyncio.sleep(0.2)
            remaining = False
            for resources in await self._upstream.namespaced():
                path = resources.format(namespace=name)
                await self._upstream.call("DELETE", path)
                status, left = await self._upstream.call("GET", f"{path}?limit=1")
                if status != NOT_FOUND:  # 404: the CRD was deleted, and its objects with it
                    remaining = remaining or status != OK or bool(left["items"])
        await self._upstream.call("PATCH", f"{PATH}/{name}", {"metadata": {"finalizers": None}})


def namespace(name: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUPS['']}/v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
    }
