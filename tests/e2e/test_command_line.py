"""``backupjobwatch check``, and invalid settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.canary import WORD, scan
from tests.support.commands import Command, Done
from tests.support.operator_process import clean_environment, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from demo.controlplane import Cluster, Faults
    from demo.simulator import AzureSimulator


def run(command: str, environment: dict[str, str]) -> Done:
    """Run a command of the operator and wait for it to exit."""
    with Command("backupjobwatch", command, environment=environment) as process:
        out, err = process.communicate(timeout=60)
    scan(f"backupjobwatch {command}", out + err)
    return Done(process.wait(), out, err)


def test_check(cluster: Cluster, azure: AzureSimulator) -> None:
    """`check` prints the settings with hidden secrets, verifies that they work, and exits with 0."""
    done = run("check", settings_for(cluster, azure.url, NAMESPACES="team-a, team-b"))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    for line in (
        f"BACKUPJOBWATCH_AZURE_ENDPOINT={azure.url}",
        "BACKUPJOBWATCH_NAMESPACES=team-a,team-b",
        "BACKUPJOBWATCH_RESYNC_INTERVAL=1s",
        "BACKUPJOBWATCH_DEVELOPMENT_TOKEN=(hidden)",
        "Azure: got a token.",
        "Kubernetes: the watches of namespace team-a can be listed.",
        "Kubernetes: the watches of namespace team-b can be listed.",
    ):
        assert line in lines


@pytest.mark.plants("backupjobwatch check")
def test_check_output_is_scanned(cluster: Cluster, azure: AzureSimulator) -> None:
    """The search for secrets covers the output of `check`: it finds the canary in a setting that is not secret."""
    run("check", settings_for(cluster, azure.url, NAMESPACES=WORD))


def test_check_of_the_whole_cluster(cluster: Cluster, azure: AzureSimulator) -> None:
    """If no namespaces are set, `check` lists the watches of all namespaces."""
    done = run("check", settings_for(cluster, azure.url))
    assert done.returncode == 0
    assert "Kubernetes: the watches of all namespaces can be listed." in done.stdout


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "the CRD backupjobwatches.azurebackup.dev is not installed. Run: kubectl apply --server-side -k crds"),
        (403, "403 not for you"),
        (None, "backupjobwatches"),
    ],
    ids=["no CRD", "no permission", "no API server"],
)
def test_check_fails(cluster: Cluster, azure: AzureSimulator, faults: Faults, status: int | None, words: str) -> None:
    """`check` prints one line about why the operator cannot list watches, and exits with 1."""
    from demo.controlplane import Fault

    faults.add(Fault(path="/backupjobwatches$", agent="^(?!e2e-test)", status=status, message="not for you"))
    done = run("check", settings_for(cluster, azure.url))
    assert done.returncode == 1
    assert words in done.stdout.splitlines()[-1]
    assert done.stdout.splitlines()[-1].startswith("Kubernetes: ")
    assert "Traceback" not in done.stdout + done.stderr


def test_check_without_a_kubeconfig(azure: AzureSimulator, cluster: Cluster, tmp_path: Path) -> None:
    """`check` and `run` report that they have no access to an API server, and exit with 1."""
    environment = settings_for(cluster, azure.url) | {"KUBECONFIG": str(tmp_path / "none"), "HOME": str(tmp_path)}
    for command in ("check", "run"):
        done = run(command, environment)
        assert done.returncode == 1
        assert "no access to a Kubernetes API server" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_check_without_an_identity(cluster: Cluster) -> None:
    """`check` reports that there is no Azure identity, and exits with 1."""
    identity = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": "/nonexistent"}
    identity["BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES"] = "*"
    done = run("check", clean_environment(**cluster.environment, **identity))
    assert done.returncode == 1
    assert "Azure: CredentialsNotFound: " in done.stdout
    assert "can be listed" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"RESYNC_INTERVALL": "1s"}, "BACKUPJOBWATCH_RESYNC_INTERVALL: no such setting. Did you mean"),
        (
            {"RESYNC_INTERVAL": "1 minute"},
            "BACKUPJOBWATCH_RESYNC_INTERVAL: must be a duration such as 30s, 5m or 1h30m",
        ),
        ({"HEARTBEAT": "0s"}, "BACKUPJOBWATCH_HEARTBEAT: "),
        ({"CLOUD": "germany"}, "BACKUPJOBWATCH_CLOUD: "),
        ({"NAMESPACES": "*"}, "BACKUPJOBWATCH_NAMESPACES: must be empty"),
        ({"AZURE_ENDPOINT": "http://example.com", "DEVELOPMENT": "false"}, "BACKUPJOBWATCH_DEVELOPMENT"),
        ({"AZURE_ENDPOINT": "http://example.com"}, "BACKUPJOBWATCH_AZURE_ENDPOINT: must be https"),
        ({"LOG_LEVEL": "loud"}, "BACKUPJOBWATCH_LOG_LEVEL: "),
        ({"PROBE_PORT": "http"}, "BACKUPJOBWATCH_PROBE_PORT: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_wrong_settings(cluster: Cluster, azure: AzureSimulator, settings: dict[str, str], words: str) -> None:
    """`run` exits with 2 for an invalid setting, and names the setting and the expected value."""
    done = run("run", settings_for(cluster, azure.url, **settings))
    assert done.returncode == 2
    assert " CRITICAL Invalid settings: " in done.stderr.splitlines()[0]
    assert words in done.stderr
    assert "Traceback" not in done.stderr
