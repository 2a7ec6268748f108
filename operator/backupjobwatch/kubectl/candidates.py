"""Completion candidates from the cluster and the kubeconfig. After an error, there are no candidates."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Final

from backupjobwatch.kubectl.access import Access, Kubeconfig
from backupjobwatch.kubectl.cluster import Cluster, Scope
from backupjobwatch.kubectl.errors import PluginError
from backupjobwatch.kubectl.follow import key_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    import click

PATIENCE: Final = 3.0
"""Seconds that a completion may wait for the cluster."""


def contexts(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the contexts of the kubeconfig."""
    try:
        return _begun(Kubeconfig.find(_access(ctx).kubeconfig).contexts, incomplete)
    except PluginError:
        return []


def namespaces(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the cluster's namespaces."""
    return _begun(_ask(ctx, lambda cluster: cluster.namespaces()), incomplete)


def watches(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the namespace's watches that are not on the line yet, with the type if the word has one."""

    async def names(cluster: Cluster) -> list[str]:
        listing = await cluster.all_of(Scope(namespace=cluster.namespace))
        return [key_of(body)[1] for body in listing.items]

    kind, slash, begun = incomplete.rpartition("/")
    written = {word.rpartition("/")[2] for word in ctx.params.get("names") or ()}
    return [f"{kind}{slash}{name}" for name in _begun(_ask(ctx, names), begun) if name not in written]


def _ask(ctx: click.Context, question: Callable[[Cluster], Awaitable[list[str]]]) -> list[str]:
    # The first import is slow, so it is done before the timeout starts.
    import_module("kubernetes.aio.config")

    async def answer() -> list[str]:
        async with asyncio.timeout(PATIENCE), Cluster.connect(_access(ctx)) as cluster:
            return await question(cluster)

    try:
        return asyncio.run(answer())
    except (PluginError, TimeoutError):
        return []


def _access(ctx: click.Context) -> Access:
    """Return the access options on the line so far, before or after the command."""
    written = {
        **(ctx.parent.params if ctx.parent else {}),
        **{name: value for name, value in ctx.params.items() if value},
    }
    return Access(**{each.name: written.get(each.name) for each in fields(Access)})


def _begun(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))
