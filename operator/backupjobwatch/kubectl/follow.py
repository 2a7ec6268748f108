"""Follows watches: a list, and then every change."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.kubectl.errors import PluginError, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from backupjobwatch.kubectl.cluster import Body, Cluster, Scope

Key = tuple[str, str]
"""Namespace and name."""

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 15.0
_BETWEEN_STREAMS: Final = 0.5


async def follow(
    cluster: Cluster, scope: Scope, *, trouble: Callable[[PluginError], None]
) -> AsyncGenerator[dict[Key, Body]]:
    """Yield the watches of *scope*, and again after each change, forever.

    A stream reports every deletion, even if an object of that name is recreated at once. *trouble* receives temporary
    errors, which are retried. Raises PluginError for other errors.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            listing = await cluster.all_of(scope)
            state = {key_of(body): body for body in listing.items}
            yield dict(state)
            version, pause = listing.version, FIRST_PAUSE
            while True:
                async with aclosing(cluster.changes(scope, version)) as changes:
                    async for change in changes:
                        version = str(change["object"].get("metadata", {}).get("resourceVersion") or version)
                        if _apply(state, change):
                            yield dict(state)
                await asyncio.sleep(_BETWEEN_STREAMS)
        except PluginError as error:
            if not error.passing:
                raise
            if not (isinstance(error, Refused) and error.code == HTTPStatus.GONE):
                trouble(error)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def key_of(body: Mapping[str, Any]) -> Key:
    """Return an object's namespace and name."""
    metadata = body.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _apply(state: dict[Key, Body], change: Mapping[str, Any]) -> bool:
    body = change["object"]
    if change["type"] in ("ADDED", "MODIFIED"):
        state[key_of(body)] = body
    elif change["type"] == "DELETED":
        state.pop(key_of(body), None)
    else:
        return False
    return True
