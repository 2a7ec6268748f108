"""`kubectl bjw create` on a real API server, with a real operator for `--wait`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support.builders import JOB_ID, JOB_NAME, OPERATION, VAULT_ID, VAULT_REF
from tests.support.canary import WORD
from tests.support.plugin import AGENT, Plugin, Written, ended
from tests.support.watches import until

if TYPE_CHECKING:
    from demo.controlplane import ControlPlane, Faults, Kubectl
    from tests.support.jobs import Jobs
    from tests.support.operator_process import OperatorProcess
    from tests.support.watches import Watches

BASE64 = "MjA0Nzs5MzM0ZWY0Ny1lNjRjLTQ3Y2MtYjM1Yy04NmZlZDAzZjZhODg="
NAME = "abdemovault-7ddead57"
CALLED = f"backupjobwatch.azurebackup.dev/{NAME}"
SIGNED = (
    f"https://management.azure.com{VAULT_ID}/backupOperations/{OPERATION}?api-version=2025-02-01&t=1&s={WORD}&h={WORD}"
)
VAULT = (
    *("--subscription", VAULT_REF["subscriptionId"]),
    *("--resource-group", VAULT_REF["resourceGroup"]),
    *("--vault-name", VAULT_REF["name"]),
)


@pytest.mark.parametrize(
    ("args", "stdin"),
    [
        ((JOB_ID,), ""),
        (("-",), f"{JOB_ID}\n"),
        ((), json.dumps({"id": JOB_ID, "name": JOB_NAME})),
        ((f"https://management.azure.com{JOB_ID}?api-version=2025-02-01",), ""),
        ((f"https://portal.azure.com/#@contoso.com/resource{JOB_ID}",), ""),
        ((), f'\ufeff{{"JobId": "{JOB_ID}"}}\r\n'),
    ],
)
def test_create(plugin: Plugin, written: Written, args: tuple[str, ...], stdin: str) -> None:
    """A job ID is enough, as an argument or on standard input."""
    done = plugin("create", *args, stdin=stdin)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{CALLED} created\n", "")
    assert written.get(NAME)["spec"]["jobResourceId"] == JOB_ID


def test_options(plugin: Plugin, written: Written) -> None:
    """Each option sets its field of the spec."""
    options = (
        *("--name", "nightly", "--service-account-name", "reader", "--completed-with-warnings", "Succeeded"),
        *("--active-deadline", "90m", "--poll-interval", "1m", "--revision", "v1.4.2", "-o", "json"),
    )
    done = plugin("create", JOB_NAME, *VAULT, *options)
    assert (done.returncode, done.stderr) == (0, "")
    spec = json.loads(done.stdout)["spec"]
    assert spec == written.get("nightly")["spec"]
    chosen = {
        "jobName": JOB_NAME,
        "vault": {**VAULT_REF, "kind": "RecoveryServices"},
        "identity": {"serviceAccountName": "reader"},
        "revision": "v1.4.2",
        "completedWithWarnings": "Succeeded",
        "activeDeadlineSeconds": 5400,
        "pollInterval": "1m",
    }
    assert {name: spec[name] for name in chosen} == chosen


def test_item(plugin: Plugin, written: Written) -> None:
    """`--item` creates a watch of the item's first job after a given time."""
    options = ("--item", "vm-1", "--operation", "Restore", "--started-after", "2026-03-04T02:00:00+01:00")
    done = plugin("create", *options, *VAULT, "-o", "json", "--name", "restore")
    assert (done.returncode, done.stderr) == (0, "")
    spec = written.get("restore")["spec"]
    assert spec["latest"] == {"item": "vm-1", "operation": "Restore", "startedAfter": "2026-03-04T01:00:00Z"}
    assert spec["vault"] == {**VAULT_REF, "kind": "RecoveryServices"}
    before = datetime.now(UTC)
    done = plugin("create", "--item", "vm-1", "--started-after", "2h", *VAULT, "--dry-run", "-o", "json")
    body = json.loads(done.stdout)
    started = datetime.fromisoformat(body["spec"]["latest"]["startedAfter"])
    assert timedelta() <= started - (before - timedelta(hours=2)) + timedelta(seconds=1) < timedelta(minutes=2)
    assert body["metadata"]["name"].startswith("vm-1-")


def test_cross_region_restore(plugin: Plugin, written: Written) -> None:
    """The URL of the operation names the secondary region, and the API server accepts the watch."""
    location = f"/subscriptions/{VAULT_REF['subscriptionId']}/providers/Microsoft.RecoveryServices/locations/westus"
    url = f"https://management.azure.com{location}/backupCrrOperationsStatus/{BASE64}?api-version=1&s={WORD}"
    done = plugin("create", url, *VAULT[2:], "--name", "restore")
    assert (done.returncode, done.stderr) == (0, "")
    vault = {**VAULT_REF, "kind": "RecoveryServices", "secondaryRegion": "westus"}
    spec = written.get("restore")["spec"]
    assert (spec["operationId"], spec["vault"]) == (BASE64, vault)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings(plugin: Plugin, encoding: str) -> None:
    """The command reads standard input in the encodings of Windows PowerShell, as JSON and as a line."""
    for text in (f"{JOB_ID}\r\n", json.dumps({"JobId": JOB_ID, "ObjectType": "OperationJobExtendedInfo"})):
        done = plugin("create", "--dry-run", stdin=text.encode(encoding))
        assert (done.returncode, done.stdout) == (0, f"{CALLED} created (dry run)\n")


def test_region(plugin: Plugin) -> None:
    """The URL of a region names the vault's kind and subscription. The message names the two missing options."""
    url = (
        f"https://management.azure.com/subscriptions/{VAULT_REF['subscriptionId']}/providers/Microsoft.DataProtection"
        f"/locations/westeurope/operationStatus/{BASE64}?api-version=1&s={WORD}"
    )
    done = plugin("create", url, "--dry-run")
    assert done.returncode == 3
    assert "does not identify its vault. Add --resource-group and --vault-name." in done.stderr
    assert WORD not in done.stderr
    done = plugin("create", url, *VAULT[2:], "--dry-run", "-o", "json")
    spec = json.loads(done.stdout)["spec"]
    assert spec == {"operationId": BASE64, "vault": {**VAULT_REF, "kind": "BackupVault"}}


def test_operation_id(plugin: Plugin, written: Written) -> None:
    """An operation ID needs the options of its vault. In a Backup vault the ID is not a GUID."""
    done = plugin("create", "--operation-id", "MDllNw==", *VAULT, "--vault-kind", "BackupVault", "-o", "json")
    assert (done.returncode, done.stderr) == (0, "")
    spec = json.loads(done.stdout)["spec"]
    assert (spec["operationId"], spec["vault"]) == ("MDllNw==", {**VAULT_REF, "kind": "BackupVault"})


@pytest.mark.parametrize("piped", [False, True])
def test_signature_is_removed(plugin: Plugin, written: Written, *, piped: bool) -> None:
    """The command neither stores nor prints the signature of a URL."""
    done = plugin("create", "-", "-o", "yaml", stdin=SIGNED) if piped else plugin("create", SIGNED, "-o", "yaml")
    assert done.returncode == 0
    body = written.get("abdemovault-09e70001")
    assert body["spec"]["operationId"] == OPERATION
    assert WORD not in f"{done.stdout}{done.stderr}{body}"
    wrong = plugin("create", SIGNED.replace("backupOperations", "backupPolicies"))
    assert wrong.returncode == 3
    assert WORD not in wrong.stderr


@pytest.mark.plants("kubectl bjw")
def test_output_is_scanned(plugin: Plugin, written: Written) -> None:
    """The search for secrets covers the output of the command: it finds the canary in a name."""
    assert plugin("create", JOB_ID, "--name", WORD, "--dry-run", "client").returncode == 0


def test_name_that_is_taken(plugin: Plugin, written: Written) -> None:
    """The command refuses a second watch of the same job, says what to do, and keeps the first watch."""
    assert plugin("create", JOB_ID).returncode == 0
    before = written.get(NAME)
    done = plugin("create", JOB_ID, "--poll-interval", "5m")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"Wait for it with `kubectl bjw wait {NAME}`, or choose another name with --name." in done.stderr
    assert written.get(NAME) == before


def test_refusal_of_the_api_server(plugin: Plugin, written: Written) -> None:
    """The command prints a refusal of the API server field by field."""
    done = plugin("create", JOB_ID, "--name", "Bad_Name")
    assert (done.returncode, done.stdout) == (3, "")
    first, second, *_ = done.stderr.splitlines()
    assert first == "Error: the API server refused the watch:"
    assert second.startswith("  metadata.name: Invalid value")
    done = plugin("create", JOB_ID, "-n", "nowhere-at-all")
    assert done.returncode == 3
    assert 'namespaces "nowhere-at-all" not found' in done.stderr


def test_without_the_crd(plugin: Plugin, written: Written, faults: Faults) -> None:
    """If the CRD is missing, the message says so, and not that a watch is missing."""
    from demo.controlplane import Fault

    faults.add(Fault(path="/backupjobwatches$", agent=AGENT, status=404, message="404 page not found"))
    for args in (("create", JOB_ID), ("list",), ("wait", "nightly")):
        done = plugin(*args)
        assert done.returncode == 3
        assert "Install the CRD backupjobwatches.azurebackup.dev and the operator first" in done.stderr


def test_dry_run(plugin: Plugin, kubectl: Kubectl, control_plane: ControlPlane) -> None:
    """A client dry run sends no request and prints a valid manifest. A server dry run stores nothing."""
    before = len(control_plane.requests.where(agent=AGENT))
    done = plugin("create", JOB_ID, "--dry-run=client", "-o", "yaml")
    assert len(control_plane.requests.where(agent=AGENT)) == before
    for args in (
        (JOB_ID, "--dry-run"),
        ("--dry-run", JOB_ID),
        ("--dry-run", "client", JOB_ID),
    ):
        assert plugin("create", *args).stdout == f"{CALLED} created (dry run)\n"
    assert plugin("create", JOB_ID, "--dry-run=client").stdout == f"{CALLED} created (dry run)\n"
    assert plugin("create", JOB_ID, "--dry-run=server").stdout == f"{CALLED} created (server dry run)\n"
    body = yaml.safe_load(plugin("create", JOB_ID, "--dry-run=server", "-o", "yaml").stdout)
    assert body["spec"]["pollInterval"] == "30s"
    assert kubectl("get", "bjw", "-n", plugin.namespace, "-o", "name").stdout == ""
    assert yaml.safe_load(done.stdout)["spec"] == {"jobResourceId": JOB_ID}
    assert kubectl("apply", "-f", "-", stdin=done.stdout).stdout == f"{CALLED} created\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("create", "nightly backup"), "nightly backup names no job. Use its resource ID"),
        (("create",), "Standard input is empty. Check the command before the pipe"),
        (("create", JOB_NAME), "does not identify its vault. Add --subscription, --resource-group and --vault-name."),
        (("create", JOB_NAME, *VAULT[:4]), "does not identify its vault. Add --vault-name."),
        (("create", JOB_NAME, *VAULT[2:], "-s", "prod"), "--subscription: must be the subscription's UUID"),
        (("create", "--operation-id", "QUI=", *VAULT), "QUI= names no operation. Use the URL of the Azure-Async"),
        (
            ("create", JOB_ID, "--service-account-name", "a", "--secret-name", "b"),
            "--service-account-name and --secret-name exclude each other. Remove one",
        ),
        (("create", JOB_ID, "--secret-name", "a/b"), "Error: --secret-name must be the name of an object"),
        (("create", JOB_ID, "--active-deadline", "0s"), "--active-deadline must be from 1s to 8760h"),
        (("create", JOB_ID, "--wait", "--dry-run", "server"), "Remove --dry-run or --wait."),
        (("create", JOB_ID, "--wait", "--dry-run"), "Remove --dry-run or --wait."),
        (("create", JOB_ID, "--operation-id", OPERATION, *VAULT), "each identify a job. Use one of them."),
        (("create", JOB_ID, "--item", "vm-1", *VAULT), "SOURCE and --item each identify a job. Use one of them."),
        (("create", "--item", "vm-1"), "The item vm-1 does not identify its vault. Add --subscription"),
        (("create", "--item", "vm-1", *VAULT, "--started-after", "noon"), "got 'noon'"),
        (("create", JOB_ID, "--operation", "Restore"), "require --item. Add --item."),
        (("create", JOB_ID, "--on-demand", "--item", "vm-1", *VAULT), "SOURCE and --on-demand each identify a job."),
        (("create", JOB_ID, "--timeout", "4h"), "need --wait. Add --wait."),
    ],
)
def test_wrong_usage(plugin: Plugin, control_plane: ControlPlane, args: tuple[str, ...], words: str) -> None:
    """The command refuses wrong usage before any request, and says what to write."""
    before = len(control_plane.requests.where(agent=AGENT))
    done = plugin(*args)
    assert (done.returncode, done.stdout) == (3, "")
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert len(control_plane.requests.where(agent=AGENT)) == before


@pytest.mark.parametrize(("ends", "code", "phase"), [("complete", 0, "Succeeded"), ("fail", 1, "Failed")])
def test_wait(
    plugin: Plugin, watches: Watches, operator: OperatorProcess, jobs: Jobs, *, ends: str, code: int, phase: str
) -> None:
    """With `--wait` the command waits for the end of the job and prints the outcome."""
    job_id = jobs.start()
    process = plugin.start(
        "create", job_id, "--name", "nightly", "--poll-interval", "10s", "--wait", "--timeout", "60s"
    )
    until(lambda: watches.exists("nightly"))
    watches.until_phase("nightly", "Running")
    getattr(jobs, ends)(job_id)
    watches.poll_now("nightly")
    status, out, _ = ended(process)
    assert status == code
    created, ended_as = out.splitlines()
    assert created == "backupjobwatch.azurebackup.dev/nightly created"
    assert ended_as.startswith(f"backupjobwatch.azurebackup.dev/nightly: {phase}: ")


def test_binary_input(plugin: Plugin) -> None:
    """Binary input is refused, because it does not name a job."""
    done = plugin("create", "-", stdin=b"\xff\xfe\x00")
    assert (done.returncode, done.stdout) == (3, "")
    assert "names no job" in done.stderr
    assert "Traceback" not in done.stderr


def test_wait_for_a_time(plugin: Plugin, written: Written) -> None:
    """With `--wait` the command exits with 124 on a timeout, and keeps the watch."""
    done = plugin("create", JOB_ID, "--wait", "--timeout", "1s")
    assert done.returncode == 124
    assert written.get(NAME)
