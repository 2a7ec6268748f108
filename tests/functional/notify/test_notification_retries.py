"""The status and Events that the operator writes while it retries failed deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.functional.notifying import ALL, SETTINGS, attempts, create, notifications, settled, webhook
from tests.support.builders import JOB_NAME, job_payload, running_payload
from tests.support.kubernetes import NAMESPACE, STATUS_WRITES
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

PLURAL = "kustomizations.kustomize.toolkit.fluxcd.io"
ENTRY: dict[str, Any] = {"name": "hook", "flux": {"kind": "Kustomization", "name": "apps"}}
PATCHES = "^PATCH "
FORBIDDEN = f"The operator is not allowed to patch {PLURAL}/apps. Add the Role of manifests/components/flux-triggers."


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def operator(start: StartOperator) -> AsyncIterator[Operator]:
    async with start(**SETTINGS) as operator:
        yield operator


def forbid(api: KubernetesApi) -> dict[str, str]:
    """Create the Kustomization without the Role, and return its annotations."""
    api.gitops.forbid(PLURAL, "apps", namespace=NAMESPACE)
    return api.gitops.put(PLURAL, "apps", namespace=NAMESPACE)


async def retrying(api: KubernetesApi, message: str) -> dict[str, Any]:
    """Wait for a Retrying entry with that message, and return it."""

    def find() -> dict[str, Any] | None:
        entry = notifications(api).get("hook", {})
        return entry if (entry.get("state"), entry.get("message")) == ("Retrying", message) else None

    return await api.until(find)


def warnings(api: KubernetesApi) -> list[tuple[str, str]]:
    return [(event["reason"], event["message"]) for event in api.events() if event["type"] == "Warning"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("no Role", FORBIDDEN),
        ("unknown kind", f"The cluster does not serve {PLURAL}. Install its CRD."),
        ("no object", f"{PLURAL}/apps does not exist in this namespace."),
    ],
)
async def test_a_failed_attempt_is_reported_at_once(
    api: KubernetesApi, vault: Vault, operator: Operator, wrong: str, message: str
) -> None:
    """The first failure causes one status write and one Event. Further equal failures cause no write."""
    annotations = api.gitops.put(PLURAL, "apps", namespace=NAMESPACE) if wrong != "no object" else {}
    if wrong == "no Role":
        annotations = forbid(api)
    elif wrong == "unknown kind":
        api.gitops.plurals.remove(PLURAL)
    create(api, vault, ENTRY)
    entry = await retrying(api, message)
    await api.events_emitted(2)
    assert warnings(api) == [("NotificationRetrying", f"spec.notify[hook]: {message}")]
    tried = len(api.traffic.matching("^GET /apis/kustomize.toolkit.fluxcd.io$"))
    await operator.advance_until(
        lambda: len(api.traffic.matching("^GET /apis/kustomize.toolkit.fluxcd.io$")) >= tried + 3
    )
    end, retried = api.writes()
    assert retried == {**end, "notifications": [entry]}
    if wrong == "no object":
        annotations = api.gitops.put(PLURAL, "apps", namespace=NAMESPACE)
    api.gitops.allow(PLURAL, "apps", namespace=NAMESPACE)
    api.gitops.plurals.append(PLURAL)
    delivered = await attempts(operator, api)
    assert (delivered["state"], delivered["id"]) == ("Delivered", entry["id"])
    assert "message" not in delivered
    assert annotations == {"reconcile.fluxcd.io/requestedAt": entry["id"]}
    assert len(api.writes()) == 3
    assert len(warnings(api)) == 1


async def test_another_failure_is_reported_too(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver
) -> None:
    """The status has the latest error. Each change causes one write, and all together one Event."""
    receiver.answer(500, 500, 503)
    create(api, vault, webhook(receiver.url))
    await retrying(api, "The receiver responded with 500.")
    await operator.advance_until(lambda: len(receiver.deliveries) >= 2)
    await operator.advance_until(lambda: notifications(api)["hook"]["message"] == "The receiver responded with 503.")
    assert (await attempts(operator, api))["state"] == "Delivered"
    assert [entry.get("message") for write in api.writes()[1:] for entry in write["notifications"]] == [
        "The receiver responded with 500.",
        "The receiver responded with 503.",
        None,
    ]
    assert [reason for reason, _ in warnings(api)] == ["NotificationRetrying"]


async def test_a_write_without_a_response_is_reported_too(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """If the response to the write of a failure is lost, the operator still emits its Event."""
    forbid(api)
    with api.traffic.hold("kustomize.toolkit.fluxcd.io") as hold:
        create(api, vault, ENTRY)
        await api.events_emitted(1)
        await hold.arrived()
        api.traffic.fail(STATUS_WRITES, status=503, late=True)
    await operator.advance_until(lambda: len(api.events()) == 2)
    assert warnings(api) == [("NotificationRetrying", f"spec.notify[hook]: {FORBIDDEN}")]


@pytest.mark.parametrize("given_up", [False, True])
async def test_a_restart_continues_the_retries(
    api: KubernetesApi, vault: Vault, start: StartOperator, *, given_up: bool
) -> None:
    """After a restart, the operator continues the retries until the delivery succeeds or finally fails."""
    forbid(api)
    async with start():
        create(api, vault, ENTRY)
        entry = await retrying(api, FORBIDDEN)
        await api.events_emitted(2)
    before, tried = len(api.traffic.matching(STATUS_WRITES)), len(api.traffic.matching(PATCHES))
    async with start() as operator:
        await operator.advance_until(lambda: len(api.traffic.matching(PATCHES)) >= tried + 2)
        assert notifications(api) == {"hook": entry}
        assert len(api.traffic.matching(STATUS_WRITES)) == before
        if not given_up:
            api.gitops.allow(PLURAL, "apps", namespace=NAMESPACE)
        outcome = await attempts(operator, api)
        await operator.advance_until(lambda: len(api.events()) == (3 if given_up else 2))
    assert outcome["state"] == ("Failed" if given_up else "Delivered")
    assert outcome["id"] == entry["id"]
    reasons = ["NotificationRetrying", "NotificationFailed"] if given_up else ["NotificationRetrying"]
    assert [reason for reason, _ in warnings(api)] == reasons


async def test_an_event_that_was_not_posted_is_posted_after_a_restart(
    api: KubernetesApi, vault: Vault, start: StartOperator
) -> None:
    """If the operator stops between the status write and the Event, the next one emits the Event."""
    forbid(api)
    refusal = api.traffic.fail("^POST .*/events$", status=500, times=None)
    async with start():
        create(api, vault, ENTRY)
        await retrying(api, FORBIDDEN)
    refusal.end()
    async with start():
        await api.events_emitted(2)
    assert [reason for reason, _ in warnings(api)] == ["NotificationRetrying"]


async def test_a_running_watch_reports_with_its_next_poll(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A running watch reports retries with its next poll. A new phase drops the entry."""
    forbid(api)
    api.create(
        {
            "jobResourceId": vault.set_job(JOB_NAME, running_payload()),
            "pollInterval": "10s",
            "notify": [{**ENTRY, "phases": ["Running"]}],
        }
    )
    await api.until(lambda: api.traffic.matching(PATCHES))
    assert len(sim.requests) == 1
    await operator.poll(sim)
    await retrying(api, FORBIDDEN)
    writes = len(api.writes())
    for _ in range(5):
        await operator.poll(sim)
    assert len(api.writes()) == writes
    vault.set_job(JOB_NAME, job_payload())
    await operator.advance_to("Succeeded", api)
    assert notifications(api) == {}


async def test_the_end_replaces_a_running_phase(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The end is delivered under its own ID although the start is still being retried."""
    forbid(api)
    job_id = vault.set_job(JOB_NAME, running_payload())
    api.create({"jobResourceId": job_id, "pollInterval": "10s", "notify": [{**ENTRY, "phases": ALL}]})
    await api.until(lambda: api.traffic.matching(PATCHES))
    await operator.poll(sim)
    running = await retrying(api, FORBIDDEN)
    api.gitops.allow(PLURAL, "apps", namespace=NAMESPACE)
    vault.set_job(JOB_NAME, job_payload())
    api.annotate(reconcile_fluxcd_io__requestedAt="now")
    await api.status(phase="Succeeded")
    (entry,) = (await settled(api, "hook")).values()
    assert (running["phase"], entry["phase"], entry["state"]) == ("Running", "Succeeded", "Delivered")


async def test_an_edited_entry_is_retried_as_it_is_now(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver
) -> None:
    """An entry that is fixed in the spec is delivered at once. A removed entry is dropped."""
    forbid(api)
    create(api, vault, ENTRY, {**ENTRY, "name": "removed"})
    await api.until(lambda: notifications(api).keys() == {"hook", "removed"})
    api.edit(notify=[webhook(receiver.url)])
    (entry,) = (await settled(api, "hook")).values()
    assert entry["state"] == "Delivered"
    assert notifications(api).keys() == {"hook"}


async def test_a_suspended_watch_reports_at_once(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """A suspended watch has no polls, so the operator writes its report separately."""
    forbid(api)
    entry = {**ENTRY, "phases": ALL}
    job_id = vault.set_job(JOB_NAME, running_payload())
    with api.traffic.hold(PATCHES) as hold:
        api.create({"jobResourceId": job_id, "notify": [entry]})
        await hold.arrived()
        api.edit(suspend=True)
        await api.status(reason="Suspended")
    await retrying(api, FORBIDDEN)
    await api.until(lambda: [reason for reason, _ in warnings(api)] == ["NotificationRetrying"])
