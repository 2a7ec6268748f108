"""Bring watches with ``spec.onDemand`` to the states that only they can have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from demo.simulator import Fault, virtual_machine
from tests.support.gates.stage import NAMESPACE, ON_DEMAND

if TYPE_CHECKING:
    from tests.support.gates.stage import Watch

_ITEM = "vm-harbour-01"
_FIRST, _SECOND, _THIRD, _FOURTH = ON_DEMAND


async def not_allowed(watch: Watch) -> None:
    """The namespace may not request backups."""
    _create(watch, _ITEM, NAMESPACE)


async def not_protected(watch: Watch) -> None:
    """The vault has no such item."""
    _create(watch, "vm-harbour-02", _FIRST)


async def answer_lost(watch: Watch, namespace: str = _FIRST) -> None:
    """Azure's answer to the request was lost."""
    watch.trouble(Fault.server_error(status=504), path="/backup$")
    _create(watch, _ITEM, namespace)


async def lost_long_ago(watch: Watch) -> None:
    """The answer was lost half an hour ago, and no job has the ID of the request."""
    await answer_lost(watch, _SECOND)
    body = await watch.until("Pending", "TriggerUncertain")
    long_ago = f"{datetime.now(UTC) - timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}"
    watch.restore(onDemand={**body["status"]["onDemand"], "requestedAt": long_ago})


async def conflict(watch: Watch) -> None:
    """Azure refuses the request, because another operation uses the item."""
    body = '{"error": {"code": "Conflict", "message": "Another operation is in progress."}}'
    watch.trouble(Fault.answer(status=409, body=body, official=True), path="/backup$")
    _create(watch, _ITEM, _FOURTH)


async def over_the_limit(watch: Watch) -> None:
    """Another watch of the namespace has requested the only backup that it may request in this hour."""
    _create(watch, _ITEM, _THIRD, name="first")
    await watch.api.status("first", namespace=_THIRD, phase="Running")
    _create(watch, _ITEM, _THIRD)


def _create(watch: Watch, item: str, namespace: str, *, name: str = "") -> None:
    watch.namespace = namespace
    watch.vault.protection.names_job_after = 0.0  # the simulator's clock stands still
    watch.vault.protection.add(virtual_machine(_ITEM))
    spec: dict[str, Any] = {"onDemand": {"item": item}, "vault": watch.in_vault, "revision": "v1"}
    watch.create(name=name, **spec)
