"""BackupSender starts a backup with at most one request, and knows whether Azure may have started it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backupjobwatch.arm.identities import Credential
from backupjobwatch.domain.jobs.backup_requests import instance_backup
from backupjobwatch.domain.jobs.findings import PinnedJob
from backupjobwatch.domain.jobs.protected_items import parse_backup_instances
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId, VaultKind
from backupjobwatch.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    AzureError,
    CredentialsNotFound,
    InvalidTarget,
    PollDeferred,
    RequestUncertain,
    Throttled,
    VaultNotFound,
)
from demo.simulator import AzureSimulator, BackupVault, Fault, Vault, backup_instance, backup_policy
from tests.functional.arm.test_client_tokens import RenewedTokens
from tests.functional.polling import IDENTITY, TOKEN_A, A, B, pass_time
from tests.functional.sending import INSTANCE, ITEM, REQUEST_ID, Sending
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID

if TYPE_CHECKING:
    from tests.functional.conftest import OpenClient


@pytest.fixture
def sending(open_client: OpenClient, sim: AzureSimulator, vault: Vault) -> Sending:
    return Sending(open_client, sim, vault)


async def test_backup(sending: Sending, sim: AzureSimulator, vault: Vault) -> None:
    """One request starts a backup. Its operation leads to a job with the ID of the request."""
    operation = await sending.send()

    (record,) = sim.requests
    assert (record.method, record.path) == ("POST", f"{vault.id}/{ITEM.path}/backup")
    assert record.query == {"api-version": "2025-02-01"}
    assert (record.client_request_id, record.principal) == (REQUEST_ID, "principal-a")
    assert record.body == '{"properties": {"objectType": "IaasVMBackupRequest"}}'
    (started,) = vault.protection.started()
    assert operation.name == started.operation
    sim.clock.advance(2)
    assert (await sending.client.read_operation(operation)).value == (PinnedJob(name=started.job),)
    job = await sending.client.get_job(JobId(vault=operation.vault, name=started.job))
    assert job.activity_id == REQUEST_ID


async def test_backup_of_an_instance(sending: Sending, sim: AzureSimulator) -> None:
    """A backup of a Backup vault's instance is started in the same way."""
    vault: BackupVault = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "bv-harbour")
    vault.protection.add_policy("daily", backup_policy("BackupDaily"))
    item = backup_instance(INSTANCE, policy_id=f"{vault.id}/backupPolicies/daily")
    vault.protection.add(item)
    vault_id = VaultId(
        subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name="bv-harbour", kind=VaultKind.BACKUP_VAULT
    )
    entry = {"id": f"{vault.id}/{item.path}", "properties": item.properties}
    request = instance_backup(parse_backup_instances({"value": [entry]}, vault_id)[0], rule="BackupDaily")
    operation = await sending.sender.request_backup(A, IDENTITY, request, request_id=REQUEST_ID)

    (started,) = vault.protection.started()
    assert operation == OperationId(vault=vault_id, name=started.operation)
    sim.clock.advance(2)
    assert (await sending.client.read_operation(operation)).value == (PinnedJob(name=started.job),)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.throttled(retry_after=17), Throttled),
        (Fault.throttled(by_provider=True), Throttled),
        (Fault.forbidden(), AuthorizationFailed),
        (Fault.job_not_found(), InvalidTarget),
        (Fault.vault_not_found(), VaultNotFound),
        (Fault.not_registered(), InvalidTarget),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
async def test_definite_refusals(sending: Sending, sim: AzureSimulator, fault: Fault, kind: type[AzureError]) -> None:
    """A refusal of Azure is definite: one request was sent, and no backup was started."""
    sim.faults.add(fault)
    error = await sending.error()

    assert type(error) is kind
    assert (sending.posts, sending.vault.protection.started()) == (1, ())


async def test_refused_items(sending: Sending, vault: Vault) -> None:
    """Azure's own refusals of an item are definite: it is stopped, or does not exist."""
    vault.protection.change(ITEM.path, protectionState="ProtectionStopped")
    assert type(await sending.error()) is InvalidTarget
    vault.protection.remove(ITEM.path)
    error = await sending.error()
    assert type(error) is InvalidTarget
    assert "BMSUserErrorDataSourceObjectNotFound" in str(error)


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_failures_of_azure(sending: Sending, sim: AzureSimulator, status: int, executed: bool) -> None:  # noqa: FBT001
    """After a 5xx it is uncertain whether a backup was started. The request is never repeated."""
    sim.faults.add(Fault.server_error(status=status, retry_after=0, executed=executed))
    error = await sending.error()

    assert type(error) is RequestUncertain
    assert sending.posts == 1
    assert len(sending.vault.protection.started()) == executed


@pytest.mark.parametrize(
    "fault",
    [
        Fault.hang_up(),
        Fault.hang_up(executed=False),
        Fault.reset(),
        Fault.reset(executed=False),
        Fault.wrong_length(),
        Fault.html(status=502),
        Fault.html(status=200),
        Fault.html(status=403, title="Blocked"),
        Fault.empty(status=200),
        Fault.empty(status=202),
        Fault.empty(status=204),
        Fault.empty(status=403),
        Fault.empty(status=429),
        Fault.redirect(to="http://127.0.0.1:1"),
        Fault.huge(size=5 * 1024 * 1024),
        Fault.gzip_bomb(size=5 * 1024 * 1024),
        Fault.answer(status=200, body='{"value": []}', official=True),
    ],
    ids=lambda fault: fault.kind,
)
async def test_uncertain_answers(sending: Sending, sim: AzureSimulator, fault: Fault) -> None:
    """A lost connection and any answer that is not Azure's leave it uncertain. The request is never repeated."""
    sim.faults.add(fault)
    error = await sending.error()

    assert type(error) is RequestUncertain
    assert sending.posts == 1


async def test_refused_token(sending: Sending, sim: AzureSimulator) -> None:
    """After a 401, which is definite, the request is repeated once with a new token and the same ID."""
    tokens = RenewedTokens("old-token", TOKEN_A, "newer-token")
    sending.credentials.of[A] = Credential(key="a", tokens=tokens)
    await sending.send()

    assert tokens.asked == [(None, False), (None, True)]
    assert [record.client_request_id for record in sim.requests] == [REQUEST_ID, REQUEST_ID]
    assert len(sending.vault.protection.started()) == 1
    sim.tokens.revoke(TOKEN_A, claims={"access_token": {}})
    assert type(await sending.error()) is AuthenticationFailed
    assert (sending.posts, tokens.asked[-1]) == (4, ('{"access_token": {}}', True))
    assert sending.credentials.dropped == [A]


async def test_a_401_of_a_proxy(sending: Sending, sim: AzureSimulator) -> None:
    """A 401 that is not Azure's is uncertain and not repeated."""
    sim.faults.add(Fault.empty(status=401))

    assert type(await sending.error()) is RequestUncertain
    assert sending.posts == 1


async def test_permission_to_send(sending: Sending) -> None:
    """Nothing is sent without permission, which is checked right before each request."""
    error = await sending.error(may_send=lambda: False)
    assert type(error) is PollDeferred
    assert not error.is_from_request
    assert sending.posts == 0
    sending.credentials.of[A] = Credential(key="a", tokens=RenewedTokens("old-token", TOKEN_A))
    answers = iter([True, False])
    assert type(await sending.error(may_send=lambda: next(answers))) is PollDeferred
    assert (sending.posts, sending.vault.protection.started()) == (1, ())


async def test_no_credential(sending: Sending) -> None:
    """Without a credential, nothing is sent."""
    sending.credentials.of[A] = CredentialsNotFound("There is no Secret.")

    assert type(await sending.error()) is CredentialsNotFound
    assert sending.posts == 0


async def test_pause(sending: Sending, sim: AzureSimulator) -> None:
    """After a 429, no request of this principal is sent until Azure's Retry-After is over. Others are not affected."""
    sim.faults.add(Fault.throttled(retry_after=60))
    assert type(await sending.error()) is Throttled
    error = await sending.error()
    assert type(error) is PollDeferred
    assert error.retry_after is not None
    assert 0 < error.retry_after.total_seconds() <= 60
    assert "SubscriptionRequestsThrottled" in str(error)
    assert sending.posts == 1
    await sending.send(B)
    pass_time(61)
    await sending.send()
    assert sending.posts == 3
