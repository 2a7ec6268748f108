"""What somebody names as a job, read into a spec."""

from __future__ import annotations

import pytest

from backupjobwatch.domain.api.spec import parse_spec
from backupjobwatch.terminal.targets import InvalidTarget, NeedsVault, Vault, name_of, read_target
from tests.support.builders import JOB_ID, JOB_NAME, OPERATION, RESOURCE_GROUP, SUBSCRIPTION, VAULT, VAULT_ID
from tests.support.canary import WORD

ARM = "https://management.azure.com"
OPTIONS: Vault = {"subscriptionId": SUBSCRIPTION, "resourceGroup": "rg", "name": "other-vault", "kind": "BackupVault"}
NAMED: Vault = {
    "subscriptionId": SUBSCRIPTION,
    "resourceGroup": RESOURCE_GROUP,
    "name": VAULT,
    "kind": "RecoveryServices",
}
BASE64 = "ZmE0MDQxZmYtMzg4OC00YjQ1LWI1ZTgtMDgwMzgyMjk2N2Fj"
BACKUP_VAULT_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.DataProtection/backupVaults/other-vault"
)
SIGNED = f"?api-version=2025-02-01&t=638000000000000000&c=MII{WORD}&s={WORD}&h={WORD}"


@pytest.mark.parametrize(
    "text",
    [
        JOB_ID,
        f" {JOB_ID}\r\n",
        f'"{JOB_ID}"',
        f"{JOB_ID}/",
        f"{JOB_ID}?api-version=2025-02-01",
        f"{ARM}{JOB_ID}?api-version=2025-02-01",
        f"HTTPS://MANAGEMENT.AZURE.COM{JOB_ID}",
    ],
)
def test_a_resource_id(text: str) -> None:
    """A job's resource ID stands alone: as az prints it, quoted or not, or as a URL."""
    assert read_target(text, endpoint=ARM) == {"jobResourceId": JOB_ID}


def test_a_job_id_of_a_vault() -> None:
    """A job's GUID goes with the vault of the options."""
    assert read_target(JOB_NAME, endpoint=ARM, vault=OPTIONS) == {"jobName": JOB_NAME, "vault": OPTIONS}


@pytest.mark.parametrize(
    "path",
    [
        "backupOperations",
        "backupOperationResults",
        "backupFabrics/Azure/protectionContainers/a;b%3Bc/protectedItems/VM;x/operationsStatus",
        "backupFabrics/Azure/protectionContainers/a;b%3Bc/protectedItems/VM;x/operationResults",
    ],
)
def test_an_operation_url(path: str) -> None:
    """The URLs that Azure gives for an operation name their vault; what they are signed with is dropped."""
    spec = read_target(f"{ARM}{VAULT_ID}/{path}/{OPERATION}{SIGNED}", endpoint=ARM)
    assert spec == {"operationId": OPERATION, "vault": NAMED}


def test_an_operation_of_a_backup_vault() -> None:
    """Those of Backup vaults are base64."""
    spec = read_target(f"{ARM}{BACKUP_VAULT_ID}/operationStatus/{BASE64}{SIGNED}", endpoint=ARM)
    assert spec == {"operationId": BASE64, "vault": OPTIONS}
    assert read_target(BASE64, endpoint=ARM, vault=OPTIONS, operation=True) == spec


def test_an_operation_url_without_a_vault() -> None:
    """Backup vaults also give URLs that name a region in place of the vault: the options have to tell that."""
    url = (
        f"{ARM}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.DataProtection/locations/westeurope/operationStatus/"
        f"{BASE64}{SIGNED}"
    )
    assert read_target(url, endpoint=ARM, vault=OPTIONS) == {"operationId": BASE64, "vault": OPTIONS}
    with pytest.raises(NeedsVault):
        read_target(url, endpoint=ARM)


@pytest.mark.parametrize("operation", [True, False])
def test_an_id_alone_needs_its_vault(*, operation: bool) -> None:
    """A GUID alone could be of any vault: the options are asked for by their names."""
    with pytest.raises(
        NeedsVault, match=r"does not tell its vault: add --vault-name, --resource-group, --subscription"
    ):
        read_target(JOB_NAME, endpoint=ARM, operation=operation)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nightly",
        f"{JOB_NAME}1",
        "41f3e94b",
        "backupJobs/" + JOB_NAME,
        VAULT_ID,
        f"{VAULT_ID}/backupJobs/nightly",
        f"{VAULT_ID}/backupOperations/nightly",
        f"{VAULT_ID.replace(SUBSCRIPTION, 'mine')}/backupJobs/{JOB_NAME}",
        f"{JOB_ID}/../{JOB_NAME}",
        "https://[",
        "\x1b]0;title\x07",
    ],
)
def test_what_names_no_job(text: str) -> None:
    """The complaint says what to write instead, and is one printable line."""
    with pytest.raises(InvalidTarget, match=r"names no job\. Write its resource ID, /subscriptions/") as caught:
        read_target(text, endpoint=ARM, vault=OPTIONS)
    assert str(caught.value).isprintable()


def test_what_names_no_operation() -> None:
    """Where an operation is wanted, the complaint is about operations."""
    with pytest.raises(InvalidTarget, match=r"names no operation\. Write the URL that Azure gave"):
        read_target("nightly", endpoint=ARM, vault=NAMED, operation=True)


def test_a_url_of_another_host() -> None:
    """A URL of another cloud is not asked for at this one's host: the setting is named, and nothing of a signature."""
    with pytest.raises(InvalidTarget, match=r"management.usgovcloudapi.net is not asked, but .*BACKUPJOBWATCH_CLOUD"):
        read_target(f"https://management.usgovcloudapi.net{JOB_ID}{SIGNED}", endpoint=ARM)


def test_no_complaint_tells_a_signature() -> None:
    """However wrong a URL is, what it is signed with is not shown."""
    for text in (f"{ARM}{VAULT_ID}{SIGNED}", f"{VAULT_ID}{SIGNED}", f"https://u:{WORD}@host{JOB_ID}{SIGNED}"):
        with pytest.raises(InvalidTarget) as caught:
            read_target(text, endpoint=ARM)
        assert WORD not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [(JOB_ID.upper(), JOB_NAME), (f"{VAULT_ID}/backupOperations/{OPERATION}", f"operation-{OPERATION[:8]}")],
)
def test_the_name_of_an_object(text: str, name: str) -> None:
    """An object is called as its job is, or after its operation."""
    assert name_of(read_target(text, endpoint=ARM)) == name


def test_the_name_of_a_base64_operation() -> None:
    """Capitals make no name of an object: it gets one of its own, the same each time."""
    spec = read_target(f"{BACKUP_VAULT_ID}/operationStatus/{BASE64}", endpoint=ARM)
    assert name_of(spec) == name_of(spec) == "operation-" + name_of(spec)[-8:].lower()
    parse_spec(spec)
