"""The API server accepts all manifests of the repository."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from backupjobwatch.domain.api.spec import parse_spec
from demo.simulator import jobs as demo_jobs
from tests.contract import markdown
from tests.contract.kustomizations import OVERLAYS, build, env_of, pod_of
from tests.contract.project import pick
from tests.support.helm import helm_path

if TYPE_CHECKING:
    from demo.controlplane import Kubectl
    from demo.simulator import AzureSimulator
    from tests.support.operator_process import OperatorProcess
    from tests.support.watches import Watches

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))


def test_base(kubectl: Kubectl) -> None:
    """`kubectl apply -k manifests/base` succeeds, and a second run changes nothing."""
    base = str(ROOT / "manifests" / "base")
    kinds = (
        "namespace",
        "serviceaccount",
        "role",
        "clusterrole",
        "clusterrolebinding",
        "deployment",
    )
    applied = kubectl("apply", "-k", base).stdout.splitlines()
    assert {line.partition("/")[0].partition(".")[0] for line in applied} == set(kinds)
    again = kubectl("apply", "-k", base).stdout.splitlines()
    assert all(line.endswith(" unchanged") for line in again), again
    kubectl("-n", "backupjobwatch-system", "get", "deploy,sa")
    kubectl("delete", "namespace", "backupjobwatch-system", "--wait=false")
    kubectl("delete", "clusterrole", *(f"backupjobwatch{name}" for name in ("", "-view", "-edit")), "--wait=false")
    kubectl("delete", "clusterrolebinding", "backupjobwatch", "--wait=false")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlays(kubectl: Kubectl, namespace: str, tmp_path: Path, overlay: str) -> None:
    """The API server accepts each overlay alone in any namespace. ``test_apply_overlays.py`` adds all components."""
    objects = build(tmp_path, overlay, namespace=namespace)
    applied = kubectl("apply", "--dry-run=server", "-k", str(tmp_path)).stdout.splitlines()
    assert len(applied) == len(objects)
    assert all(line.endswith(" (server dry run)") for line in applied), applied


def test_install_document(kubectl: Kubectl, tmp_path: Path) -> None:
    """The documented kustomization and Helm commands create the same Deployment and ServiceAccount."""
    document = (ROOT / "docs" / "install.md").read_text()
    (text,) = (block for block in markdown.blocks(document, "yaml") if "images:" in block)
    manifests = os.path.relpath(ROOT / "manifests", tmp_path)
    (tmp_path / "kustomization.yaml").write_text(text.replace("manifests/", f"{manifests}/"))
    built = list(yaml.safe_load_all(kubectl("kustomize", str(tmp_path)).stdout))
    assert env_of(built)["BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES"] == "team-a,team-b"
    environment = {**os.environ, "HELM": str(helm_path())}
    subprocess.run([ROOT / ".github" / "charts", ROOT, tmp_path / "build" / "charts"], env=environment, check=True)
    (command,) = (block for block in markdown.blocks(document, "sh") if "image.repository" in block)
    command = command.replace("helm upgrade --install", f"{helm_path()} template")
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    rendered = list(yaml.safe_load_all(done.stdout))
    assert pick(rendered, "CustomResourceDefinition")
    assert env_of(rendered) == env_of(built)
    client = {"azure.workload.identity/client-id": "11111111-1111-4111-8111-111111111111"}
    for objects in (built, rendered):
        assert pod_of(objects)["containers"][0]["image"] == "REGISTRY/backupjobwatch:0.1.0"
        assert pick(objects, "ServiceAccount")["metadata"]["annotations"] == client
        labels = pick(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
        assert labels["azure.workload.identity/use"] == "true"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_samples_apply(kubectl: Kubectl, namespace: str, sample: Path) -> None:
    """The API server accepts each sample unchanged."""
    applied = kubectl("apply", "-n", namespace, "--dry-run=server", "-f", str(sample)).stdout.splitlines()
    assert len(applied) == len(list(yaml.safe_load_all(sample.read_text())))


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        ("backupjobwatch", "JobCompleted"),
        ("backupjobwatch-every-field", "CredentialsNotFound"),  # its Secret does not exist
        ("latest", "VaultNotFound"),
        ("operation", "VaultNotFound"),
        ("cross-region-restore", "JobNotVisible"),  # Azure does not say that the vault does not exist
        ("recent", "VaultNotFound"),
    ],
)
def test_samples(
    *,
    operator: OperatorProcess,
    kubectl: Kubectl,
    watches: Watches,
    azure: AzureSimulator,
    sample: str,
    reason: str,
) -> None:
    """The operator follows each sample, or reports the object that the sample lacks."""
    vault = azure.add_vault(demo_jobs.SUBSCRIPTION_ID, demo_jobs.RESOURCE_GROUP, demo_jobs.VAULT)
    vault.add_job(demo_jobs.DOCUMENTED)
    azure.clock.advance(2000)
    path = ROOT / "manifests" / "samples" / f"{sample}.yaml"
    (body,) = yaml.safe_load_all(path.read_text())
    if sample == "latest":  # users set it to the current time
        body["spec"]["latest"]["startedAfter"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    kubectl("apply", "-n", watches.namespace, "-f", "-", stdin=yaml.safe_dump(body))
    followed = watches.until_reason(body["metadata"]["name"], reason)
    assert followed["status"].get("duration") == ("20m23s" if reason == "JobCompleted" else None)


def test_demo(kubectl: Kubectl, namespace: str) -> None:
    """The demo's watches can be applied, and the operator can parse each spec."""
    demo = ROOT / "demo" / "watches.yaml"
    bodies = list(yaml.safe_load_all(demo.read_text()))
    applied = kubectl("apply", "-n", namespace, "--dry-run=server", "-f", str(demo)).stdout.splitlines()
    assert len(applied) == len(bodies) == 5
    for body in bodies:
        parse_spec(body["spec"])
