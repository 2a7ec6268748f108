"""The operator delivers to webhook receivers with Secrets, and retries until it stops."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.errors import DeliveryFailed, DeliveryRefused
from tests.functional.notifying import BEARER, SECRET, SETTINGS, TOKEN, attempts, create, put_secret, settled, webhook
from tests.support.builders import JOB_NAME, job_payload
from tests.support.canary import WORD
from tests.support.kubernetes import NAMESPACE
from tests.support.receiver import Receiver, flux_accepts, github_accepts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from demo.simulator import Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

PATH = f"/hook/{WORD}"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def operator(start: StartOperator) -> AsyncIterator[Operator]:
    async with start(**SETTINGS) as operator:
        yield operator


def address_of(receiver: Receiver) -> str:
    return receiver.url.replace("/hook", PATH)


@pytest.mark.parametrize("form", ["Structured", "Binary"])
async def test_a_secret_has_address_and_keys(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver, form: str
) -> None:
    """The operator signs the request for Flux and GitHub receivers and sends the bearer token."""
    entry = put_secret(api, f" {address_of(receiver)}\n")
    create(api, vault, {**entry, "webhook": {"secretName": SECRET, "format": form}})
    (entry,) = (await settled(api, "hook")).values()
    (delivery,) = receiver.deliveries
    assert entry["state"] == "Delivered"
    assert delivery.path == PATH
    assert flux_accepts(delivery, TOKEN.encode())
    assert github_accepts(delivery, TOKEN.encode())
    assert delivery.headers["Authorization"] == f"Bearer {BEARER}"
    assert delivery.id == entry["id"]
    assert ("ce-id" in delivery.headers) is (form == "Binary")


async def test_keys_are_optional(api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver) -> None:
    """A Secret that has only an address is enough. The request has no signature and no token."""
    create(api, vault, put_secret(api, address_of(receiver), token="", bearer=""))
    await settled(api, "hook")
    assert not {"Authorization", "X-Signature"} & receiver.deliveries[0].headers.keys()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("missing", "Secret hooks does not exist"),
        ("forbidden", "manifests/components/notify-secret"),
        ("unlabelled", 'no label azurebackup.dev/notify: "true"'),
        ("no address", "address must be https://host/path"),
        ("two lines", "address must be https://host/path"),
        ("bad bearer", "bearer must be printable ASCII"),
        ("broken", "failed to return Secret hooks"),
    ],
)
async def test_a_fixed_secret(
    *,
    api: KubernetesApi,
    vault: Vault,
    operator: Operator,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
    wrong: str,
    words: str,
) -> None:
    """The operator logs the Secret's error at once and delivers after the Secret is fixed."""
    caplog.set_level(logging.INFO)
    entry = {"name": "hook", "webhook": {"secretName": SECRET}}
    if wrong in ("forbidden", "broken"):
        put_secret(api, address_of(receiver))
    if wrong == "forbidden":
        api.identities.forbid("secrets", SECRET, namespace=NAMESPACE)
    elif wrong == "broken":
        api.traffic.fail(f"^GET .*/secrets/{SECRET}$", status=500)
    elif wrong == "unlabelled":
        api.identities.put_secret(SECRET, {"address": address_of(receiver)}, namespace=NAMESPACE)
    elif wrong == "no address":
        put_secret(api, "")
    elif wrong == "two lines":
        put_secret(api, f"{address_of(receiver)}\nhttps://x")
    elif wrong == "bad bearer":
        put_secret(api, address_of(receiver), bearer="two\nlines")
    create(api, vault, entry)
    async with asyncio.timeout(120):
        while words not in caplog.text:  # noqa: ASYNC110 -- a log record signals nothing
            await asyncio.sleep(0.01)
    assert receiver.deliveries == []
    put_secret(api, address_of(receiver))
    api.identities.allow("secrets", SECRET, namespace=NAMESPACE)
    assert (await attempts(operator, api))["state"] == "Delivered"


@pytest.mark.parametrize(("status", "most"), [(500, DeliveryFailed.attempts), (404, DeliveryRefused.attempts)])
async def test_failure_after_the_last_attempt(
    *, api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver, status: int, most: int
) -> None:
    """After the last attempt, the operator writes the failure and emits an Event."""
    receiver.then = status
    create(api, vault, webhook(receiver.url))
    entry = await attempts(operator, api)
    assert entry["state"] == "Failed"
    assert entry["message"] == f"The receiver responded with {status}. The operator made {most} attempts and stopped."
    assert len(receiver.deliveries) == most
    assert len({delivery.id for delivery in receiver.deliveries}) == 1
    await operator.advance_until(lambda: len(api.events()) == 3)
    (event,) = (event for event in api.events() if event["reason"] == "NotificationFailed")
    assert (event["type"], event["message"]) == ("Warning", f"spec.notify[hook]: {entry['message']}")


async def test_retry_after_is_respected(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver
) -> None:
    """The operator respects a receiver's Retry-After."""
    receiver.answer((429, "300"))
    create(api, vault, webhook(receiver.url))
    await receiver.received(1)
    await api.status(phase="Succeeded")
    await operator.pass_time(290)
    assert len(receiver.deliveries) == 1
    operator.advance(15)
    await receiver.received(2)
    assert (await attempts(operator, api))["state"] == "Delivered"


async def test_a_failure_is_reported_after_a_restart(
    api: KubernetesApi, vault: Vault, start: StartOperator, receiver: Receiver
) -> None:
    """If the operator could not emit the Event of a failure, the next one emits it."""
    api.traffic.fail("^POST .*/events$", status=500, times=None)
    create(api, vault, {**webhook("http://elsewhere.test/x"), "phases": ["Succeeded"]})
    async with start(**SETTINGS) as operator:
        assert (await attempts(operator, api))["state"] == "Failed"
    assert api.events() == []
    api.traffic._rules.clear()
    async with start(**SETTINGS):
        await api.events_emitted(2)
    assert {event["reason"] for event in api.events()} == {"JobCompleted", "NotificationFailed"}


async def test_this_machine_is_refused(
    api: KubernetesApi, vault: Vault, start: StartOperator, receiver: Receiver
) -> None:
    """Outside of development, the operator refuses loopback addresses, even if they are listed."""
    settings = {**SETTINGS, "development": False, "development_token": ""}
    endpoint = {"azure_endpoint": "https://127.0.0.1:1"}
    create(api, vault, webhook(receiver.url))
    async with start() as operator:
        await api.status(phase="Succeeded")
        await operator.idle()
    api.edit(notify=[webhook(receiver.url, "again")])
    async with start(**settings, **endpoint) as operator:
        entry = await attempts(operator, api, "again")
    assert entry["state"] == "Failed"
    assert "address is not allowed" in entry["message"]
    assert receiver.deliveries == []


async def test_an_invalid_entry_fails_alone(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver
) -> None:
    """An invalid entry from an older CRD fails at once and affects no other entry."""
    entries = [{"name": "bad", "webhook": {"url": "gopher://x"}}, webhook(receiver.url)]
    spec = {"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "notify": entries}
    api.create(json.loads(json.dumps(spec)), checked=False)
    found = await settled(api, "bad", "hook")
    assert (found["bad"]["state"], found["hook"]["state"]) == ("Failed", "Delivered")
    assert "spec.notify[bad].webhook.url must be https://host/path" in found["bad"]["message"]
