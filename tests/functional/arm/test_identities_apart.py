"""Two namespaces with different identities share neither credentials nor data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo.simulator import Fault
from tests.functional.tenants import ACCOUNT, CLIENT_SECRET, SECRET
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.kubernetes import NAME

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.tenants import Tenants


@pytest.mark.parametrize("moment", ["together", "the one that may first", "the other first"])
async def test_namespaces_share_no_results(tenants: Tenants, sim: AzureSimulator, vault: Vault, moment: str) -> None:
    """Two watches of one job get the result of their own identity, whichever starts first."""
    a, b, api = tenants.add("team-a"), tenants.add("team-b"), tenants.api
    sim.access.revoke(b.client_id)
    job_id = vault.set_job(JOB_NAME, running_payload())
    async with tenants.operator() as operator:
        if moment == "together":
            with sim.hold():
                a.watch(job_id)
                b.watch(job_id)
                await sim.requests_arrived(2)
        else:
            for tenant in (a, b) if moment.startswith("the one") else (b, a):
                tenant.watch(job_id)
                await api.until(lambda ns=tenant.namespace: "phase" in api.get(namespace=ns)["status"])  # type: ignore[misc]
        await api.status(namespace="team-a", phase="Running")
        await api.status(namespace="team-b", phase="Pending", reason="AuthorizationFailed")
        await operator.poll(sim, 4)
        vault.set_job(JOB_NAME, job_payload())
        await operator.advance_until(lambda: api.get(namespace="team-a")["status"]["phase"] == "Succeeded")
        assert_never_seen(tenants, "team-b")
        sim.access.grant(b.client_id, vault.id)
        await operator.advance_until(lambda: api.get(namespace="team-b")["status"]["phase"] == "Succeeded")
    tokens = {(request.principal, request.authorization_sha256) for request in sim.requests}
    assert {principal for principal, _ in tokens} == {a.client_id, b.client_id}
    assert len(tokens) == 2  # one token per principal, none shared


def assert_never_seen(tenants: Tenants, namespace: str) -> None:
    """Check that no status of the namespace ever contained data of the job."""
    changes = [change for change in tenants.api.objects.history if change.namespace == namespace]
    assert changes
    for change in changes:
        status = change.after["status"]
        assert not {"job", "extendedInfo", "duration"} & status.keys()
        assert "uttestvmub1" not in str(status)


async def test_the_operators_own_identity_is_apart_too(tenants: Tenants, sim: AzureSimulator, vault: Vault) -> None:
    """A namespace with its own identity gets neither the operator's token nor its results."""
    tenant, api = tenants.add("team-b"), tenants.api
    sim.access.revoke(tenant.client_id)
    job_id = vault.set_job(JOB_NAME, running_payload())
    async with tenants.operator(operator_identity_namespaces="team-a"):
        with sim.hold():
            api.create({"jobResourceId": job_id})
            tenant.watch(job_id)
            await sim.requests_arrived(2)
        await api.status(phase="Running")
        await api.status(namespace="team-b", reason="AuthorizationFailed")
        assert_never_seen(tenants, "team-b")
    assert {request.principal for request in sim.requests} == {"demo-principal", tenant.client_id}


@pytest.mark.parametrize("field", ["serviceAccountName", "secretName"])
async def test_another_namespaces_objects_are_not_used(
    tenants: Tenants, sim: AzureSimulator, vault: Vault, field: str
) -> None:
    """A watch cannot use another namespace's ServiceAccount or Secret of the same name."""
    b, api = tenants.add("team-b"), tenants.api
    b.put_client_secret()
    job_id = vault.set_job(JOB_NAME, running_payload())
    name = ACCOUNT if field == "serviceAccountName" else SECRET
    async with tenants.operator() as operator:
        b.watch(job_id, field)
        await api.status(namespace="team-b", phase="Running")
        api.create({"jobResourceId": job_id, "identity": {field: name}, "pollInterval": "10s"})
        status = await api.status(reason="CredentialsNotFound")
        assert f"team-a/{name}" in status["message"]
        await operator.poll(sim, 5)
        assert_never_seen(tenants, "team-a")
    read = {request.path.split("/")[4] for request in api.traffic.matching(f"/team-a/.*/{name}$")}
    assert read == {"team-a"}


@pytest.mark.parametrize("field", ["serviceAccountName", "secretName"])
@pytest.mark.parametrize("name", ["../../team-b/secrets/backup-credential", "team-b/backup-reader", "..", "a%2Fb", "A"])
async def test_invalid_object_names_are_rejected(tenants: Tenants, vault: Vault, field: str, name: str) -> None:
    """The operator rejects an invalid object name that the CRD did not catch before it reads anything."""
    job_id = vault.set_job(JOB_NAME, running_payload())
    async with tenants.operator():
        tenants.api.create({"jobResourceId": job_id, "identity": {field: name}}, checked=False)
        await tenants.api.status(reason="InvalidSpec")
    assert tenants.api.traffic.matching("/(secrets|serviceaccounts)/") == []


async def test_one_identitys_429_is_not_anothers(tenants: Tenants, sim: AzureSimulator, vault: Vault) -> None:
    """If Azure throttles one principal, polls of another principal in the same vault continue."""
    a, b, api = tenants.add("team-a"), tenants.add("team-b"), tenants.api
    job_id = vault.set_job(JOB_NAME, running_payload())
    async with tenants.operator() as operator:
        sim.faults.add(Fault.throttled(retry_after=3000), principal=a.client_id)
        a.watch(job_id)
        await api.status(namespace="team-a", reason="Throttled")
        b.watch(job_id)
        await api.status(namespace="team-b", phase="Running")
        vault.set_job(JOB_NAME, job_payload())
        await operator.advance_until(lambda: api.get(namespace="team-b")["status"]["phase"] == "Succeeded")
    assert [request.principal for request in sim.requests].count(a.client_id) == 1


@pytest.mark.parametrize("change", ["rotation", "another annotation"])
async def test_a_change_of_the_object_does_not_end_azures_wait(
    tenants: Tenants, sim: AzureSimulator, vault: Vault, change: str
) -> None:
    """A new Secret or annotation does not end the Retry-After of the principal."""
    tenant, api = tenants.add(), tenants.api
    tenant.put_client_secret()
    field = "secretName" if change == "rotation" else "serviceAccountName"
    async with tenants.operator() as operator:
        sim.faults.add(Fault.throttled(retry_after=3000))
        tenant.watch(vault.set_job(JOB_NAME, running_payload()), field)
        await api.status(reason="Throttled")
        tenant.put_client_secret(f"{CLIENT_SECRET}-2")
        tenant.annotate()
        await operator.pass_time(100, 20)
    assert len(sim.requests) == 1


async def test_an_edit_of_the_identity_starts_over(tenants: Tenants, sim: AzureSimulator, vault: Vault) -> None:
    """A changed identity resets the status, so that no data of the old identity remains."""
    tenant, api = tenants.add(), tenants.api
    tenant.put_client_secret()
    tenant.watch(vault.set_job(JOB_NAME, running_payload()))
    async with tenants.operator():
        await api.status(phase="Running")
        sim.access.revoke(tenant.client_id)
        api.edit(NAME, identity={"secretName": SECRET})
        status = await api.status(observedGeneration=2, reason="AuthorizationFailed")
        assert (status["phase"], status["reason"]) == ("Pending", "AuthorizationFailed")
        assert not {"job", "extendedInfo"} & status.keys()
        api.edit(NAME, identity={"secretName": SECRET}, jobResourceId=vault.job_id(OTHER_JOB_NAME))
        await api.status(observedGeneration=3, reason="AuthorizationFailed")
