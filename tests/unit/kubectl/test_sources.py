"""The input that `kubectl bjw create` accepts."""

from __future__ import annotations

import json
import re

import pytest

from backupjobwatch.domain.api.spec import parse_spec
from backupjobwatch.domain.jobs.payloads import mapping
from backupjobwatch.kubectl.sources import item_source, read_source
from backupjobwatch.terminal.targets import InvalidTarget
from tests.support.azure import payload
from tests.support.builders import CRD_DEFAULTS, JOB_ID, JOB_NAME, OPERATION, VAULT_ID, VAULT_REF
from tests.support.canary import WORD

HOST = "https://management.azure.com"
SIGNED = f"?api-version=2025-02-01&t=639&c=MIIH&s={WORD}&h={WORD}"
VAULT = {**VAULT_REF, "kind": "RecoveryServices"}
BACKUP_VAULT_ID = VAULT_ID.replace("Microsoft.RecoveryServices/vaults", "Microsoft.DataProtection/backupVaults")
BACKUP_VAULT = {**VAULT_REF, "kind": "BackupVault"}
BASE64 = "MDllNzAwMDEtNWUxZg=="
REGION = f"/subscriptions/{VAULT_REF['subscriptionId']}/providers/Microsoft.DataProtection/locations/westeurope"
ITEM = "/backupFabrics/Azure/protectionContainers/IaasVMContainer;v2;rg;vm/protectedItems/VM;v2;rg;vm"
JOB = {"jobResourceId": JOB_ID}
OPERATION_OF = {"operationId": OPERATION, "vault": VAULT}


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        (JOB_ID, JOB),
        (f"  {JOB_ID}/\n", JOB),
        (f"{HOST}{JOB_ID}?api-version=2025-02-01", JOB),
        (f"{JOB_ID}?api-version=2025-02-01", JOB),
        (f"{BACKUP_VAULT_ID}/backupJobs/{JOB_NAME}", {"jobResourceId": f"{BACKUP_VAULT_ID}/backupJobs/{JOB_NAME}"}),
        (f"{HOST}{VAULT_ID}{ITEM}/operationsStatus/{OPERATION}{SIGNED}", OPERATION_OF),
        (f"{HOST}{VAULT_ID}{ITEM}/operationResults/{OPERATION}{SIGNED}", OPERATION_OF),
        (f"{HOST}{VAULT_ID}{ITEM.replace(';', '%3B')}/operationsStatus/{OPERATION}", OPERATION_OF),
        (f"{HOST}{VAULT_ID}/backupOperations/{OPERATION}{SIGNED}", OPERATION_OF),
        (f"{VAULT_ID}/backupOperationResults/{OPERATION}", OPERATION_OF),
        (f"{HOST}{BACKUP_VAULT_ID}/operationStatus/{BASE64}", {"operationId": BASE64, "vault": BACKUP_VAULT}),
        (
            f"{HOST}{BACKUP_VAULT_ID}/backupInstances/disk-1/operationResults/{BASE64}{SIGNED}",
            {"operationId": BASE64, "vault": BACKUP_VAULT},
        ),
        (json.dumps({"id": JOB_ID, "name": JOB_NAME}), JOB),
        (json.dumps([{"id": JOB_ID}]), JOB),
        (json.dumps(JOB_ID), JOB),
        (json.dumps({"jobId": JOB_ID, "objectType": "OperationJobExtendedInfo"}), JOB),
        (json.dumps({"id": OPERATION, "properties": {"jobId": JOB_ID}}), JOB),
        (json.dumps({"id": f"{VAULT_ID}/backupOperations/{OPERATION}", "properties": None}), OPERATION_OF),
    ],
)
def test_read_source(text: str, spec: dict[str, object]) -> None:
    """IDs, URLs of both headers and output of the CLI are accepted. Signatures are dropped."""
    source = read_source(text, None)
    assert source.spec == spec
    assert WORD not in f"{source}{source.name}"
    parse_spec({**CRD_DEFAULTS, **source.spec})


@pytest.mark.parametrize("header", ["Azure-AsyncOperation", "Location"])
def test_of_a_trigger(header: str) -> None:
    """Both headers of a trigger's response identify the operation."""
    source = read_source(payload("http-202-trigger-backup")["headers"][header], None)
    assert source.spec["operationId"] == "09e70001-5e1f-4000-8000-000000000001"
    assert source.spec["vault"]["name"] == "rsv-harbour"
    assert source.name == "rsv-harbour-09e70001"


def test_of_the_cli() -> None:
    """A watch of a job that the CLI printed is named after its item."""
    job = payload("job-iaasvm-inprogress")
    source = read_source(json.dumps(job), None)
    assert source.spec == {"jobResourceId": job["id"]}
    item = job["properties"]["entityFriendlyName"]
    assert source.name == f"{item}-{job['name'][:8]}"


@pytest.mark.parametrize(
    ("text", "operation", "spec"),
    [
        (JOB_NAME, False, {"jobName": JOB_NAME, "vault": VAULT}),
        (JOB_NAME, True, {"operationId": JOB_NAME, "vault": VAULT}),
        (BASE64, True, {"operationId": BASE64, "vault": BACKUP_VAULT}),
        (
            json.dumps({"name": "x", "properties": {"jobId": JOB_NAME}}),
            False,
            {"jobName": JOB_NAME, "vault": VAULT},
        ),
    ],
)
def test_short_ids(text: str, operation: bool, spec: dict[str, object]) -> None:  # noqa: FBT001
    """A GUID alone is a job ID, unless the operation option is set."""
    vault = dict(mapping(spec["vault"]))
    assert read_source(text, vault, operation=operation).spec == spec


def test_of_a_region() -> None:
    """A regional operation URL also needs the vault."""
    text = f"{HOST}{REGION}/operationStatus/{BASE64}{SIGNED}"
    assert read_source(text, BACKUP_VAULT).spec == {"operationId": BASE64, "vault": BACKUP_VAULT}
    with pytest.raises(InvalidTarget, match="--vault-name"):
        read_source(text, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no job"),
        ("nightly backup", "names no job"),
        (f"{JOB_ID}\n{JOB_ID}", "names 2 jobs. Pass one job"),
        (f"https://[::1{JOB_ID}", "names no job"),
        (VAULT_ID, "names a vault, not a job"),
        (f"{VAULT_ID}/backupJobs/nightly?{WORD}", "names no job"),
        (f"{VAULT_ID}/backupPolicies/daily/operations/{OPERATION}", "names no job"),
        (f"{HOST}/subscriptions/x/y{SIGNED}", "names no job"),
        (JOB_NAME, "does not identify its vault. Add --subscription"),
        ("[]", "names no job"),
        (json.dumps([{"id": JOB_ID}, {"id": JOB_ID}]), "names 2 jobs. Pass one job"),
        ("{", "starts like JSON"),
        ("[" * 100_000, "starts like JSON"),
        ("{}", "names no job"),
        ('{"id": 7, "properties": []}', "names no job"),
    ],
)
def test_no_source(text: str, words: str) -> None:
    """Other input is rejected, and the message says what to write. It never quotes a signature."""
    with pytest.raises(InvalidTarget, match=words.replace("(", r"\(")) as refused:
        read_source(text, None)
    assert WORD not in str(refused.value)


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (None, "abdemovault-7ddead57"),
        ("SAPHanaDatabase;HXE Ünicode_db", "saphanadatabase-hxe-nicode-db-7ddead57"),
        ("日本", "job-7ddead57"),
        ("x" * 300, f"{'x' * 40}-7ddead57"),
        ("-.-", "job-7ddead57"),
    ],
)
def test_names(item: str | None, name: str) -> None:
    """The name is a DNS label for any item, and always the same for the same job."""
    text = json.dumps(
        {"id": JOB_ID.upper().replace("/SUBSCRIPTIONS", "/subscriptions"), "properties": {"entityFriendlyName": item}}
    )
    assert read_source(text, None).name == name


def test_names_of_items() -> None:
    """A watch of an item's first job is named after the item."""
    source = item_source({"latest": {"item": "VM 1"}}, VAULT)
    assert source.spec == {"latest": {"item": "VM 1"}, "vault": VAULT}
    assert re.fullmatch("vm-1-[0-9a-f]{8}", source.name)


def test_names_of_operations() -> None:
    """Operation IDs of Backup vaults may differ only in letter case. A digest keeps their names different."""
    first, second = (read_source(f"{BACKUP_VAULT_ID}/operationStatus/{text}", None).name for text in ("QUI=", "qui="))
    assert first != second
    assert first.startswith("abdemovault-")


def test_on_demand() -> None:
    """An item to back up needs a vault. Its resource ID names the vault, its name does not."""
    source = item_source({"onDemand": {"item": "vm-1", "container": "c"}}, VAULT_REF)
    by_id = item_source({"onDemand": {"protectedItemId": f"{BACKUP_VAULT_ID}/backupInstances/i"}}, None)

    assert source.spec == {"onDemand": {"item": "vm-1", "container": "c"}, "vault": VAULT}
    assert source.name.startswith("vm-1-")
    assert by_id.spec == {
        "onDemand": {"protectedItemId": f"{BACKUP_VAULT_ID}/backupInstances/i"},
        "vault": BACKUP_VAULT,
    }
    with pytest.raises(InvalidTarget, match=r"does not identify its vault\. Add --subscription,"):
        item_source({"onDemand": {"item": "vm-1"}}, None)
