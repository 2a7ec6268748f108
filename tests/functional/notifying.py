"""Helpers for watches with notifications."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from tests.support.builders import JOB_NAME, job_payload
from tests.support.canary import WORD
from tests.support.kubernetes import NAME, NAMESPACE, KubernetesApi

if TYPE_CHECKING:
    from demo.simulator import Vault
    from tests.support.operator import Operator

ALL: Final = ["Running", "Succeeded", "Failed"]
TOKEN: Final = f"signing-key-{WORD}"
BEARER: Final = f"bearer-token-{WORD}"
SECRET: Final = "hooks"
SETTINGS: Final[dict[str, Any]] = {"notify_http_hosts": "127.0.0.1"}
EVERYBODYS_TURN: Final[dict[str, Any]] = {"azure_read_burst": 250, "azure_reads_per_second": 25.0}
"""A read budget to poll hundreds of watches at the same time. By default, most wait for the next tick."""


def webhook(url: str, name: str = "hook", **fields: Any) -> dict[str, Any]:
    """Return a webhook entry with a URL."""
    return {"name": name, "webhook": {"url": url}, **fields}


def put_secret(api: KubernetesApi, address: str, *, namespace: str = NAMESPACE, **keys: str) -> dict[str, Any]:
    """Create a Secret with an address and keys, and return the notify entry that names it."""
    data = {"address": address, "token": TOKEN, "bearer": BEARER, **keys}
    labels = {"azurebackup.dev/notify": "true"}
    api.identities.put_secret(SECRET, data, namespace=namespace, labels=labels)
    return {"name": "hook", "webhook": {"secretName": SECRET}}


def notifications(api: KubernetesApi, name: str = NAME) -> dict[str, dict[str, Any]]:
    """Return the notifications of the status by the name of their entry."""
    status = api.get(name).get("status", {})
    return {entry["name"]: entry for entry in status.get("notifications", ())}


async def settled(api: KubernetesApi, *names: str, watch: str = NAME) -> dict[str, dict[str, Any]]:
    """Wait until these entries are settled for the current phase."""

    def find() -> dict[str, dict[str, Any]] | None:
        found = notifications(api, watch)
        phase = api.get(watch)["status"].get("phase")
        return found if all(is_settled(found.get(name, {}), phase) for name in names) else None

    return await api.until(find)


def is_settled(entry: dict[str, Any], phase: object) -> bool:
    return entry.get("phase") == phase and entry.get("state") not in (None, "Retrying")


def create(api: KubernetesApi, vault: Vault, *entries: dict[str, Any]) -> None:
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "notify": list(entries)})


async def attempts(operator: Operator, api: KubernetesApi, name: str = "hook") -> dict[str, Any]:
    """Advance time in small steps until an entry is settled."""

    def find() -> dict[str, Any] | None:
        entries = api.get().get("status", {}).get("notifications", ())
        return next((entry for entry in entries if entry["name"] == name and entry["state"] != "Retrying"), None)

    async with asyncio.timeout(120):
        while not (found := find()):
            await operator.pass_time(8)
    return found
