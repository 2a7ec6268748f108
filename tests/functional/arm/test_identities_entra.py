"""Errors of Entra and pages of a proxy are temporary. Only Entra can refuse an identity."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from demo.simulator import Fault
from tests.support.builders import JOB_NAME, job_payload

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.tenants import Tenants

ENTRA_TROUBLE = {
    "500": Fault.server_error(),
    "502": Fault.html(),
    "503": Fault.server_error(status=503),
    "503 for long": Fault.server_error(status=503, retry_after=4),
    "429": Fault.throttled(retry_after=None),
    "429 for long": Fault.throttled(retry_after=4),
    "a failure with 400": Fault.answer(
        status=400, body='{"error": "temporarily_unavailable", "error_description": "AADSTS90033: Try again."}'
    ),
    "a reset": Fault.reset(),
    "a cut": Fault.cut(),
    "a token in no format": Fault.answer(body='{"access_token": "a", "expires_in": 3599}', content_type="none"),
    "slow": Fault.delayed(seconds=0.6),
}
NOT_ENTRA = {
    "a page, 200": Fault.html(status=200, title="Sign in"),
    "a page, 400": Fault.html(status=400, title="Bad request"),
    "a page, 401": Fault.html(status=401, title="Proxy authentication"),
    "a page, 403": Fault.html(status=403, title="Blocked"),
    "a page, 404": Fault.html(status=404, title="Not found"),
    "a redirect": Fault.redirect(to="https://portal.invalid/"),
    "nothing, 200": Fault.empty(),
    "nothing, 403": Fault.empty(status=403),
    "a proxy's JSON": Fault.answer(status=403, body='{"message": "blocked"}', content_type="application/json"),
    "JSON, but no object": Fault.answer(status=400, body='["error"]', content_type="application/json"),
    "JSON that breaks off": Fault.answer(status=400, body='{"error": "inv', content_type="application/json"),
    "a 200 that is half a token": Fault.answer(body='{"access_token": "a"}'),
    "a 200 that is not a token": Fault.answer(status=200, body="{}", content_type="application/json"),
}
REFUSAL = Fault.answer(
    status=400,
    body='{"error": "invalid_request", "error_description": "AADSTS900021: Requested tenant identifier is not valid."}',
    content_type="application/json",
)


@pytest.mark.parametrize("field", ["serviceAccountName", "secretName"])
@pytest.mark.parametrize("trouble", ENTRA_TROUBLE)
async def test_errors_of_entra_do_not_count_for_grace(
    tenants: Tenants, sim: AzureSimulator, vault: Vault, trouble: str, field: str
) -> None:
    """Errors of Entra do not count for graceSeconds, and the watch recovers without a restart."""
    tenant, api = tenants.add(), tenants.api
    tenant.put_client_secret()
    rule = tenants.entra.faults.add(ENTRA_TROUBLE[trouble], path="oauth2", times=None)
    async with tenants.operator(azure_read_timeout="0.3s") as operator:
        started = time.monotonic()
        tenant.watch(vault.set_job(JOB_NAME, job_payload()), field, graceSeconds=0)
        status = await api.status(phase="Pending")
        assert time.monotonic() - started < 30
        assert status["reason"] == "AzureUnavailable", status["message"]
        assert "troubleSince" not in status
        await operator.pass_time(20, 30)  # about seven polls with backoff
        status = await api.status()
        # A jump of the loop's clock can also time out a request to the API server.
        assert status["reason"] in ("AzureUnavailable", "CredentialsUnavailable"), status["message"]
        assert status["phase"] == "Pending"
        assert sim.requests == ()
        tenants.entra.faults.remove(rule)
        await operator.advance_to("Succeeded", api)


@pytest.mark.parametrize(
    ("path", "field"),
    [("oauth2", "secretName"), ("oauth2", "serviceAccountName"), ("openid-configuration", "secretName")],
)
async def test_only_entra_refuses_an_identity(
    tenants: Tenants, sim: AzureSimulator, vault: Vault, path: str, field: str
) -> None:
    """A response that is not from Entra does not count for graceSeconds, and the watch recovers."""
    tenant, api = tenants.add(), tenants.api
    tenant.put_client_secret()
    async with tenants.operator() as operator:
        for number, answer in enumerate(NOT_ENTRA.values()):
            rule = tenants.entra.faults.add(answer, path=path, times=None)
            if number == 0:
                tenant.watch(vault.set_job(JOB_NAME, job_payload()), field, graceSeconds=0)
            await operator.advance_until(lambda rule=rule: rule.used)  # type: ignore[misc]
            status = await api.status(phase="Pending", reason="UnexpectedResponse")
            tenants.entra.faults.remove(rule)
        assert "is not Entra's" in status["message"]
        assert sim.requests == ()
        await operator.advance_to("Succeeded", api)
    assert [status["reason"] for status in api.writes()] == ["UnexpectedResponse", "JobCompleted"]


async def test_one_refusal_counts_once(tenants: Tenants, vault: Vault) -> None:
    """Entra refuses once, then accepts. msal's cache does not repeat the refusal."""
    tenant = tenants.add()
    tenant.put_client_secret()
    rule = tenants.entra.faults.add(REFUSAL, path="oauth2", times=1)
    async with tenants.operator() as operator:
        tenant.watch(vault.set_job(JOB_NAME, job_payload()), "secretName", graceSeconds=0)
        status = await tenants.api.status(phase="Pending", reason="AuthenticationFailed")
        assert "AADSTS900021" in status["message"]
        await operator.advance_to("Succeeded", tenants.api)
    assert rule.used == 1
    assert {status["reason"] for status in tenants.api.writes()} == {"AuthenticationFailed", "JobCompleted"}


async def test_no_token_request_before_entras_retry_after(tenants: Tenants, vault: Vault) -> None:
    """After a 429 from Entra, the operator requests no token before Retry-After has passed."""
    tenant = tenants.add()
    tenant.put_client_secret()
    tenants.entra.faults.add(Fault.throttled(retry_after=300), path="oauth2", times=1)
    async with tenants.operator() as operator:
        tenant.watch(vault.set_job(JOB_NAME, job_payload()), "secretName", graceSeconds=0)
        await tenants.api.status(reason="AzureUnavailable")
        await operator.pass_time(10, 24)
        assert len(tenants.entra.sign_ins) == 1
        await operator.advance_to("Succeeded", tenants.api)
    assert len(tenants.entra.sign_ins) == 2


async def test_an_outage_of_entra(tenants: Tenants, vault: Vault) -> None:
    """If Entra is unreachable, the status says so. The watch recovers when Entra is back."""
    tenant = tenants.add()
    await tenants.entra.stop()
    async with tenants.operator() as operator:
        tenant.watch(vault.set_job(JOB_NAME, job_payload()), graceSeconds=0)
        status = await tenants.api.status(reason="AzureUnavailable")
        assert "Entra or the metadata service could not be reached" in status["message"]
        await tenants.entra.start()
        await operator.advance_to("Succeeded", tenants.api)
