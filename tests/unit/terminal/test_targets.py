"""IDs, URLs and output of Azure's tools, parsed into a spec."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest

from backupjobwatch.domain.api.spec import parse_spec
from backupjobwatch.domain.api.target import parse_source
from backupjobwatch.terminal.targets import InvalidTarget, NeedsVault, Vault, digits_of, name_of, read_item, read_target
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
PORTAL = "https://portal.azure.com/#view/Microsoft_Azure_DataProtection/JobDetailsBlade/jobId/"
BASE64 = "ZmE0MDQxZmYtMzg4OC00YjQ1LWI1ZTgtMDgwMzgyMjk2N2Fj"
BACKUP_VAULT_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.DataProtection/backupVaults/other-vault"
)
REGION = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.DataProtection/locations/westeurope"
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
        f"management.azure.com{JOB_ID}",
        f"\ufeff{JOB_ID}",
        JOB_ID.lstrip("/"),
        quote(JOB_ID, safe=""),
        quote(quote(JOB_ID, safe=""), safe=""),
        f"{quote(JOB_ID)}%3Fapi-version=2025-02-01",
        f"<{ARM}{JOB_ID}>,",
        f"https://portal.azure.com/#@contoso.com/resource{JOB_ID}",
        f"https://portal.azure.com/?feature.x=true#@contoso.com/resource{JOB_ID}/overview",
        f"{PORTAL}{quote(JOB_ID, safe='')}/subtitle/vm-1%2Fdaily/isCrrContext~/false",
        f"https://ms.portal.azure.com/#blade/Microsoft_Azure_RecoveryServices/Job/jobId/{quote(JOB_ID, safe='')}",
        f"portal.azure.com/#@contoso.com/resource{JOB_ID}",
    ],
)
def test_a_resource_id(text: str) -> None:
    """A job's resource ID is enough: quoted, percent-encoded, or in a URL of Azure Resource Manager or the portal."""
    assert read_target(text, endpoint=ARM) == {"jobResourceId": JOB_ID}
    assert read_target(text, endpoint=None, vault=NAMED) == {"jobResourceId": JOB_ID}


@pytest.mark.parametrize(
    ("value", "spec"),
    [
        ({"id": JOB_ID}, {"jobResourceId": JOB_ID}),
        ({"JobId": JOB_ID, "ObjectType": "OperationJobExtendedInfo"}, {"jobResourceId": JOB_ID}),
        ([{"Id": JOB_ID, "DataSourceName": "disk-1"}], {"jobResourceId": JOB_ID}),
        ({"JobId": JOB_NAME, "WorkloadName": "vm-1"}, {"jobName": JOB_NAME, "vault": NAMED}),
    ],
)
def test_json(value: object, spec: dict[str, object]) -> None:
    """JSON of the CLI and of ConvertTo-Json is parsed. A GUID alone is combined with the vault options."""
    assert read_target(f"\ufeff{json.dumps(value)}\r\n", endpoint=ARM, vault=NAMED) == spec


def test_a_job_id_of_a_vault() -> None:
    """A job's GUID is combined with the vault options."""
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
    """Azure's URLs for an operation contain the vault. Their signature is dropped."""
    spec = read_target(f"{ARM}{VAULT_ID}/{path}/{OPERATION}{SIGNED}", endpoint=ARM)
    assert spec == {"operationId": OPERATION, "vault": NAMED}


def test_an_operation_of_a_backup_vault() -> None:
    """The operation's ID is base64 of a GUID, which identifies it as an operation of a Backup vault."""
    spec = read_target(f"{ARM}{BACKUP_VAULT_ID}/operationStatus/{BASE64}{SIGNED}", endpoint=ARM)
    assert spec == {"operationId": BASE64, "vault": OPTIONS}
    without_kind = {field: value for field, value in OPTIONS.items() if field != "kind"}
    for operation in (True, False):
        assert read_target(BASE64, endpoint=ARM, vault=OPTIONS, operation=operation) == spec
        assert read_target(BASE64, endpoint=ARM, vault=without_kind, operation=operation) == spec


@pytest.mark.parametrize(
    "url", [f"{ARM}{REGION}/operationStatus/{BASE64}{SIGNED}", f"{REGION}/operationStatus/{BASE64}/"]
)
def test_an_operation_of_a_region(url: str) -> None:
    """A regional URL contains the subscription and the kind of vault. Two options complete it, in any order."""
    spec = {"operationId": BASE64, "vault": OPTIONS}
    given: Vault = {"resourceGroup": "rg", "name": "other-vault"}
    assert read_target(url, endpoint=ARM, vault=OPTIONS) == spec
    assert read_target(url, endpoint=ARM, vault=given) == spec
    with pytest.raises(
        NeedsVault, match=r"does not identify its vault\. Add --resource-group and --vault-name\.$"
    ) as refused:
        read_target(url, endpoint=ARM)
    assert WORD not in str(refused.value)
    with pytest.raises(NeedsVault, match=r"does not identify its vault\. Add --vault-name\.$"):
        read_target(url, endpoint=ARM, vault={"resourceGroup": "rg"})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "other"}, f"belongs to --vault-name {VAULT}, got other. Remove --vault-name."),
        ({"kind": "BackupVault"}, "belongs to --vault-kind RecoveryServices, got BackupVault. Remove --vault-kind."),
    ],
)
@pytest.mark.parametrize("text", [JOB_ID, f"{VAULT_ID}/backupOperations/{OPERATION}"])
def test_options_that_contradict_the_id(text: str, given: Vault, words: str) -> None:
    """An option that contradicts the ID is an error."""
    with pytest.raises(InvalidTarget, match=re.escape(words)):
        read_target(text, endpoint=ARM, vault=given)


@pytest.mark.parametrize("operation", [True, False])
def test_an_id_alone_needs_its_vault(*, operation: bool) -> None:
    """The message names exactly the missing options."""
    words = r"does not identify its vault\. Add --subscription, --resource-group and --vault-name\.$"
    with pytest.raises(NeedsVault, match=words):
        read_target(JOB_NAME, endpoint=ARM, operation=operation)
    with pytest.raises(NeedsVault, match=words):
        read_target(JOB_NAME, endpoint=ARM, vault={"kind": "BackupVault"}, operation=operation)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nightly",
        f"{JOB_NAME}1",
        "41f3e94b",
        "backupJobs/" + JOB_NAME,
        f"{VAULT_ID}/backupJobs/nightly",
        f"{VAULT_ID}/backupPolicies/daily/jobs/{JOB_NAME}",
        f"{VAULT_ID.replace(SUBSCRIPTION, 'mine')}/backupJobs/{JOB_NAME}",
        f"{JOB_ID}/../{JOB_NAME}",
        f"/subscriptions/{SUBSCRIPTION}",
        "https://[",
        "https://portal.azure.com/#home",
        "\x1b]0;title\x07",
    ],
)
@pytest.mark.parametrize("vault", [None, NAMED])
def test_invalid_jobs(text: str, vault: Vault | None) -> None:
    """The message says what to write, with and without vault options, and is one printable line."""
    if vault is not None and "mine" in text:
        vault = None
    with pytest.raises(InvalidTarget, match=r"names no job\. Use its resource ID, /subscriptions/") as caught:
        read_target(text, endpoint=ARM, vault=vault)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (VAULT_ID, "names a vault, not a job"),
        (f"https://portal.azure.com/#@contoso.com/resource{VAULT_ID}/overview", "names a vault, not a job"),
        (
            f"{VAULT_ID}/backupFabrics/Azure/protectionContainers/c/protectedItems/i",
            "names a protected item, not a job",
        ),
        (f"{BACKUP_VAULT_ID}/backupInstances/disk-1", "names a protected item, not a job"),
    ],
)
def test_other_resources(text: str, words: str) -> None:
    """The ID of a vault or of an item is recognized, and the message says how to find the job."""
    with pytest.raises(InvalidTarget, match=rf"{words}\. Append the job's GUID .* or use --item"):
        read_target(text, endpoint=ARM)


@pytest.mark.parametrize("text", ["nightly", "x" * 300, f"{VAULT_ID}/backupOperations/nightly"])
def test_invalid_operations(text: str) -> None:
    """If an operation is expected, the message is about operations."""
    with pytest.raises(InvalidTarget, match=r"names no operation\. Use the URL of the Azure-AsyncOperation header"):
        read_target(text, endpoint=ARM, vault=NAMED, operation=True)


@pytest.mark.parametrize("host", ["management.usgovcloudapi.net", "portal.azure.us/#@contoso/resource"])
def test_a_url_of_another_cloud(host: str) -> None:
    """A URL of another cloud is rejected. The message names the setting and contains no signature."""
    words = r"The URL belongs to management.usgovcloudapi.net, but .* Set BACKUPJOBWATCH_CLOUD"
    with pytest.raises(InvalidTarget, match=words) as refused:
        read_target(f"https://{host}{JOB_ID}{SIGNED}", endpoint=ARM)
    assert WORD not in str(refused.value)


LATEST = {"item": "vm-1", "operation": "Restore", "startedAfter": "2026-03-04T01:00:00Z"}


def test_the_first_job_of_an_item() -> None:
    """Item options are combined with vault options. Equal sources get equal names."""

    def digits(**latest: str) -> str:
        return digits_of(parse_source(read_item({"latest": latest}, NAMED)))

    spec = read_item({"latest": LATEST}, NAMED)
    assert spec == {"latest": LATEST, "vault": NAMED}
    parse_spec(spec)
    assert digits(**LATEST) == digits(**{**LATEST, "item": "VM-1"})
    assert digits(**LATEST) != digits(item="vm-1", operation="Restore")
    assert re.fullmatch("[0-9a-f]{8}", digits(**LATEST))
    within = [digits(item="vm-1", completedWithin=value) for value in ("24h", "1440m", "12h")]
    assert within[0] == within[1] != within[2]


@pytest.mark.parametrize(
    ("vault", "latest", "words"),
    [
        (None, {"item": "vm-1"}, "The item vm-1 does not identify its vault. Add --subscription, --resource-group"),
        ({"name": VAULT}, {"item": "vm-1"}, "Add --subscription and --resource-group."),
        (NAMED, {"item": ""}, "--item must be "),
        (NAMED, {"item": "vm-1", "operation": ""}, "--operation must be "),
        (NAMED, {"item": "vm-1", "container": ""}, "--container must be "),
        (NAMED, {"item": "vm-1", "completedWithin": "1d"}, "--completed-within must be a duration"),
        (
            NAMED,
            {"item": "vm-1", "completedWithin": "1h", "startedAfter": "2026-03-04T01:00:00Z"},
            "--completed-within must not be set with --started-after.",
        ),
    ],
)
def test_incomplete_items(vault: Vault | None, latest: dict[str, str], words: str) -> None:
    """The message names the invalid option."""
    with pytest.raises(InvalidTarget, match=re.escape(words)):
        read_item({"latest": latest}, vault)


def test_error_messages_contain_no_signature() -> None:
    """No message about an invalid URL contains its signature."""
    for text in (f"{ARM}{VAULT_ID}{SIGNED}", f"{VAULT_ID}{SIGNED}", f"https://u:{WORD}@host{JOB_ID}{SIGNED}"):
        with pytest.raises(InvalidTarget) as caught:
            read_target(text, endpoint=ARM)
        assert WORD not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [(JOB_ID.upper(), JOB_NAME), (f"{VAULT_ID}/backupOperations/{OPERATION}", f"operation-{OPERATION[:8]}")],
)
def test_the_name_of_an_object(text: str, name: str) -> None:
    """An object is named after its job or its operation."""
    assert name_of(read_target(text, endpoint=ARM)) == name


def test_the_name_of_a_base64_operation() -> None:
    """An operation ID with uppercase letters gets a generated name, which is always the same."""
    spec = read_target(f"{BACKUP_VAULT_ID}/operationStatus/{BASE64}", endpoint=ARM)
    assert name_of(spec) == name_of(spec) == "operation-" + name_of(spec)[-8:].lower()
    parse_spec(spec)
