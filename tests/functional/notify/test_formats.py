"""The operator delivers each webhook format to receivers that reject a wrong body with 400."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from typing import TYPE_CHECKING

import pytest

from tests.functional.notifying import ALL, SECRET, SETTINGS, attempts, create, put_secret, settled
from tests.support.builders import JOB_NAME, job_payload
from tests.support.canary import WORD
from tests.support.kubernetes import NAME
from tests.support.receiver import Receiver
from tests.support.receiver_schemas import SCHEMAS, accepts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from demo.simulator import Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

ROUTING_KEY = f"{WORD:0<32}"
EACH_FORMAT = pytest.mark.parametrize("form", SCHEMAS)


@pytest.fixture
async def receiver(form: str) -> AsyncIterator[Receiver]:
    """A receiver of the format, with a secret in its path."""
    async with Receiver() as receiver:
        receiver.accepts = functools.partial(accepts, form)
        yield receiver


@pytest.fixture
async def operator(start: StartOperator) -> AsyncIterator[Operator]:
    async with start(**SETTINGS) as operator:
        yield operator


def put_keys(api: KubernetesApi, receiver: Receiver, routing_key: str = ROUTING_KEY) -> None:
    put_secret(api, receiver.url.replace("/hook", f"/services/{WORD}"), token="", bearer="", routingKey=routing_key)


@EACH_FORMAT
async def test_delivered(
    *,
    api: KubernetesApi,
    vault: Vault,
    operator: Operator,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
    form: str,
) -> None:
    """The receiver accepts all phases. No log, Event or status contains its URL or key."""
    caplog.set_level(logging.DEBUG)
    put_keys(api, receiver)
    phases = ["Failed"] if form == "PagerDuty" else ALL
    path = vault.set_job(JOB_NAME, job_payload(status="InProgress"))
    entry = {"name": "hook", "phases": phases, "webhook": {"secretName": SECRET, "format": form}}
    api.create({"jobResourceId": path, "notify": [entry]})
    if form != "PagerDuty":
        await receiver.received(1)
    vault.set_job(JOB_NAME, job_payload(status="Failed"))
    await operator.advance_until(lambda: api.get()["status"].get("phase") == "Failed")
    (outcome,) = (await settled(api, "hook")).values()

    assert outcome["state"] == "Delivered"
    assert len(receiver.deliveries) == len(phases) - ("Succeeded" in phases)
    assert all(delivery.headers["Content-Type"] == "application/json" for delivery in receiver.deliveries)
    assert receiver.deliveries[-1].path == f"/services/{WORD}"
    assert (ROUTING_KEY in receiver.deliveries[-1].body.decode()) is (form == "PagerDuty")
    assert WORD not in caplog.text + json.dumps(api.get(NAME)["status"]) + json.dumps(api.events())


@EACH_FORMAT
async def test_a_cloud_event_is_refused(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver, form: str
) -> None:
    """Receivers of these formats reject the default CloudEvent. The operator does not guess the format."""
    put_keys(api, receiver)
    create(api, vault, {"name": "hook", "webhook": {"secretName": SECRET}})
    entry = await attempts(operator, api)
    assert entry["state"] == "Failed"
    assert entry["message"].startswith("The receiver responded with 400.")
    assert form.lower() not in entry["message"].lower()


@pytest.mark.parametrize("form", ["PagerDuty"])
@pytest.mark.parametrize(
    ("wrong", "words"),
    [("", "Secret hooks has no routingKey."), ("two\nlines", "routingKey must be printable ASCII")],
    ids=["none", "two-lines"],
)
async def test_a_routing_key_that_is_fixed(
    *,
    api: KubernetesApi,
    vault: Vault,
    operator: Operator,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
    wrong: str,
    words: str,
) -> None:
    """The operator reports a missing or invalid key, sends nothing, and reads the Secret again later."""
    caplog.set_level(logging.INFO)
    put_keys(api, receiver, wrong)
    create(api, vault, {"name": "hook", "webhook": {"secretName": SECRET, "format": "PagerDuty"}})
    async with asyncio.timeout(120):
        while words not in caplog.text:  # noqa: ASYNC110 -- a log record signals nothing
            await asyncio.sleep(0.01)
    assert receiver.deliveries == []
    put_keys(api, receiver)
    assert (await attempts(operator, api))["state"] == "Delivered"
    assert json.loads(receiver.deliveries[0].body)["event_action"] == "resolve"
