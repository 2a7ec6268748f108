"""`kubectl bjw create` on a real API server, with a real operator for `--wait`."""

from __future__ import annotations

import json
import subprocess
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
    ],
)
def test_create(plugin: Plugin, written: Written, args: tuple[str, ...], stdin: str) -> None:
    """A job's ID, typed or piped, is enough."""
    done = plugin("create", *args, stdin=stdin)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{CALLED} created\n", "")
    assert written.get(NAME)["spec"]["jobResourceId"] == JOB_ID


def test_options(plugin: Plugin, written: Written) -> None:
    """Name, identity and the rest are put where the CRD has them."""
    options = (
        *("--name", "nightly", "--service-account-name", "reader", "--completed-with-warnings", "Succeeded"),
        *("--active-deadline", "90m", "--poll-interval", "1m", "-o", "json"),
    )
    done = plugin("create", JOB_NAME, *VAULT, *options)
    assert (done.returncode, done.stderr) == (0, "")
    spec = json.loads(done.stdout)["spec"]
    assert spec == written.get("nightly")["spec"]
    chosen = {
        "jobName": JOB_NAME,
        "vault": {**VAULT_REF, "kind": "RecoveryServices"},
        "identity": {"serviceAccountName": "reader"},
        "completedWithWarnings": "Succeeded",
        "activeDeadlineSeconds": 5400,
        "pollInterval": "1m",
    }
    assert {name: spec[name] for name in chosen} == chosen


def test_operation_id(plugin: Plugin, written: Written) -> None:
    """An operation's id alone goes with the vault's options, of Backup vaults too, where it is no GUID."""
    done = plugin("create", "--operation-id", "MDllNw==", *VAULT, "--vault-kind", "BackupVault", "-o", "json")
    assert (done.returncode, done.stderr) == (0, "")
    spec = json.loads(done.stdout)["spec"]
    assert (spec["operationId"], spec["vault"]) == ("MDllNw==", {**VAULT_REF, "kind": "BackupVault"})


@pytest.mark.parametrize("piped", [False, True])
def test_signature_is_left_out(plugin: Plugin, written: Written, *, piped: bool) -> None:
    """Of a signed URL the operation is kept, and nothing that signs it: in no object, on no screen."""
    done = plugin("create", "-", "-o", "yaml", stdin=SIGNED) if piped else plugin("create", SIGNED, "-o", "yaml")
    assert done.returncode == 0
    body = written.get("abdemovault-09e70001")
    assert body["spec"]["operationId"] == OPERATION
    assert WORD not in f"{done.stdout}{done.stderr}{body}"
    wrong = plugin("create", SIGNED.replace("backupOperations", "backupPolicies"))
    assert wrong.returncode == 3
    assert WORD not in wrong.stderr


@pytest.mark.plants("kubectl bjw")
def test_what_is_printed_is_heard(plugin: Plugin, written: Written) -> None:
    """The search for secrets hears what the command prints: the canary, planted in a name."""
    assert plugin("create", JOB_ID, "--name", WORD, "--dry-run", "client").returncode == 0


def test_name_that_is_taken(plugin: Plugin, written: Written) -> None:
    """The same job twice is refused, with what to do instead; the first is left as it was."""
    assert plugin("create", JOB_ID).returncode == 0
    before = written.get(NAME)
    done = plugin("create", JOB_ID, "--poll-interval", "5m")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"`kubectl bjw wait {NAME}` waits for it, --name gives this one another name" in done.stderr
    assert written.get(NAME) == before


def test_what_the_server_refuses(plugin: Plugin, written: Written) -> None:
    """What the API server refuses is told field by field."""
    done = plugin("create", JOB_ID, "--name", "Bad_Name")
    assert (done.returncode, done.stdout) == (3, "")
    first, second, *_ = done.stderr.splitlines()
    assert first == "Error: the API server does not take it:"
    assert second.startswith("  metadata.name: Invalid value")
    done = plugin("create", JOB_ID, "-n", "nowhere-at-all")
    assert done.returncode == 3
    assert 'namespaces "nowhere-at-all" not found' in done.stderr


def test_without_the_crd(plugin: Plugin, written: Written, faults: Faults) -> None:
    """Where the cluster does not know the kind, that is said, not that something is not found."""
    from demo.controlplane import Fault

    faults.add(Fault(path="/backupjobwatches$", agent=AGENT, status=404, message="404 page not found"))
    for args in (("create", JOB_ID), ("list",), ("wait", "nightly")):
        done = plugin(*args)
        assert done.returncode == 3
        assert "install the CRD backupjobwatches.azurebackup.dev and the operator first" in done.stderr


def test_dry_run(plugin: Plugin, kubectl: Kubectl, control_plane: ControlPlane) -> None:
    """A client's dry run asks nobody, and prints what `kubectl apply` takes; a server's has it checked, and keeps nothing."""
    before = len(control_plane.requests.where(agent=AGENT))
    done = plugin("create", JOB_ID, "--dry-run=client", "-o", "yaml")
    assert len(control_plane.requests.where(agent=AGENT)) == before
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
        (("create", "nightly backup"), "nightly backup names no job. Write its resource ID"),
        (("create",), "names no job. Write its resource ID"),
        (("create", JOB_NAME), "does not tell its vault: add --vault-name, --resource-group, --subscription"),
        (("create", JOB_NAME, *VAULT[:4]), "Add --vault-name: a vault is named by all of the three."),
        (("create", JOB_NAME, *VAULT[2:], "-s", "prod"), "--subscription: write the subscription's UUID"),
        (("create", "--operation-id", "QUI=", *VAULT), "names no operation. Write the URL that Azure gave"),
        (
            ("create", JOB_ID, "--service-account-name", "a", "--secret-name", "b"),
            "spec.identity: write exactly one of serviceAccountName or secretName",
        ),
        (("create", JOB_ID, "--active-deadline", "0s"), "spec.activeDeadlineSeconds"),
        (("create", JOB_ID, "--wait", "--dry-run", "server"), "leave out --dry-run"),
        (("create", JOB_ID, "--operation-id", OPERATION, *VAULT), "leave out one of them"),
        (("create", JOB_ID, "--timeout", "4h"), "are for --wait: add it"),
    ],
)
def test_wrong_usage(plugin: Plugin, control_plane: ControlPlane, args: tuple[str, ...], words: str) -> None:
    """What cannot be meant is refused with what to write, before anybody is asked."""
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
    """With `--wait` it goes on until the operator says how the job ended, and tells that."""
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
    """What is no text names no job."""
    done = subprocess.run(
        plugin.command("create", "-"), env=plugin.environment(), input=b"\xff\xfe\x00", capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, b"")
    assert b"names no job" in done.stderr
    assert b"Traceback" not in done.stderr


def test_wait_for_a_time(plugin: Plugin, written: Written) -> None:
    """With `--wait` a time-out is 124, and the watch stays."""
    done = plugin("create", JOB_ID, "--wait", "--timeout", "1s")
    assert done.returncode == 124
    assert written.get(NAME)
