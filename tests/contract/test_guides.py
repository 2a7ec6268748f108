"""Run the commands of the AKS guide against a stand-in for az."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from backupjobwatch import __version__
from tests.contract import markdown
from tests.contract.kustomizations import MANIFESTS, env_of, pod_of
from tests.contract.project import kustomize, pick, read
from tests.support.helm import helm_path

if TYPE_CHECKING:
    from pathlib import Path

GUIDE: Final = "docs/aks-workload-identity.md"
BLOCKS: Final = markdown.blocks(read(GUIDE), "sh")
STEPS: Final = len(BLOCKS) - 2
"""The number of command blocks before the installation and its verification."""
IMAGE: Final = f"acrplatform.azurecr.io/backupjobwatch:{__version__}"
OTHER: Final = "77777777-7777-4777-8777-777777777777"
CLIENT: Final = "33333333-3333-4333-8333-333333333333"
STAND_IN: Final = f"""#!/bin/bash
printf '%q ' az "$@" >> "$CALLS"; echo >> "$CALLS"
case "$*" in
  *clientId*) echo {CLIENT};;
  *principalId*) echo 44444444-4444-4444-8444-444444444444;;
  *tenantId*) echo 66666666-6666-4666-8666-666666666666;;
  *loginServer*) echo acrplatform.azurecr.io;;
  *issuerUrl*) echo https://issuer.example.com/;;
  "account show"*) echo 55555555-5555-4555-8555-555555555555;;
esac
"""


def run(home: Path, *blocks: str) -> str:
    """Run blocks of the guide in *home* in order, with a stand-in for az, and return their output."""
    (home / "az").write_text(STAND_IN, encoding="utf-8")
    (home / "az").chmod(0o755)
    (home / "manifests").symlink_to(MANIFESTS)
    environment = {"HOME": str(home), "PATH": f"{home}:{os.environ['PATH']}", "CALLS": str(home / "calls")}
    script = "\n".join(["set -euo pipefail", *blocks])
    done = subprocess.run(
        ["bash", "-c", script], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if "found symbolic link in path" not in line]
    assert (done.returncode, said) == (0, [])
    return done.stdout


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The az calls of all steps before the installation, one line each."""
    home = tmp_path_factory.mktemp("guide")
    assert run(home, *BLOCKS[:STEPS]) == ""
    assert "/subscriptions/55555555-5555-4555-8555-555555555555" in (home / "role.json").read_text()
    return (home / "calls").read_text().splitlines()


def test_trusts_the_account_that_is_installed(calls: list[str]) -> None:
    """The federated credential has the overlay's ServiceAccount and the requested audience."""
    account = pick(kustomize(MANIFESTS / "overlays" / "workload-identity"), "ServiceAccount")["metadata"]
    (call,) = (call for call in calls if "federated-credential" in call)
    assert f"--subject system:serviceaccount:{account['namespace']}:{account['name']} " in f"{call} "
    assert "--audiences api://AzureADTokenExchange" in call
    assert "--issuer https://issuer.example.com/" in call


def test_assigns_the_role_that_is_made(calls: list[str]) -> None:
    """The guide assigns the role by its name, to the identity, at the scope of step 1."""
    name = yaml.safe_load(read("manifests/azure/role.json"))["Name"]
    (call,) = (call for call in calls if "assignment" in call)
    assert "--role {} ".format(name.replace(" ", "\\ ")) in call
    assert "--assignee-object-id 44444444-4444-4444-8444-444444444444" in call
    assert "/subscriptions/55555555-5555-4555-8555-555555555555/resourceGroups/rg-backup" in call


def test_another_identity_for_a_namespace(tmp_path: Path, calls: list[str]) -> None:
    """The alternative names give a namespace its own identity and leave the operator's credential unchanged."""
    names = re.sub(r"^# export", "export", BLOCKS[0], flags=re.MULTILINE)
    (access,) = (each for each in markdown.blocks(read("docs/azure-access.md"), "sh") if "$TENANT_ID" in each)
    steps = [each for each in BLOCKS[1:STEPS] if "role definition create" not in each]
    assert len(steps) == STEPS - 2
    shown = run(tmp_path, names, *steps, access.replace("kubectl", "echo"))
    again = (tmp_path / "calls").read_text().splitlines()
    credentials = [call for call in (*calls, *again) if "federated-credential create" in call]
    first, second = (dict(itertools.pairwise(shlex.split(call))) for call in credentials)
    assert first["--identity-name"] != second["--identity-name"]
    assert second["--subject"] == "system:serviceaccount:team-a:azure-backup-reader"
    assert "role.json" not in "".join(again)
    assert "--namespace team-a create serviceaccount azure-backup-reader\n" in shown
    assert f"client-id={CLIENT} azure.workload.identity/tenant-id=66666666-6666-4666-8666-666666666666" in shown


def test_vaults_of_another_subscription(tmp_path: Path) -> None:
    """A single variable selects the vaults' subscription, for the role and for its assignment."""
    names = re.sub(r'VAULT_SUBSCRIPTION_ID="\$.*"', f'VAULT_SUBSCRIPTION_ID="{OTHER}"', BLOCKS[0])
    run(tmp_path, names, *BLOCKS[1:STEPS])
    assert json.loads((tmp_path / "role.json").read_text())["AssignableScopes"] == [f"/subscriptions/{OTHER}"]
    asked = (tmp_path / "calls").read_text()
    assert f"--scope /subscriptions/{OTHER}/resourceGroups/rg-backup" in asked
    assert "55555555" not in asked


def test_builds_the_image_that_is_installed(calls: list[str]) -> None:
    """The guide builds this version's image in the attached registry and then gets the cluster's credentials."""
    (build,), (attach,) = ([call for call in calls if words in call] for words in ("acr build", "--attach-acr"))
    registry, _, image = IMAGE.partition(".azurecr.io/")
    assert f"--registry {registry} --image {image} ." in build
    assert f"--attach-acr {registry} " in f"{attach} "
    assert any("aks get-credentials" in call for call in calls)


def test_helm_command(tmp_path: Path) -> None:
    """The helm command renders with the image, the identity and the namespaces of the previous steps."""
    command = (
        BLOCKS[STEPS].replace("helm upgrade --install", f"{helm_path()} template").replace(" --create-namespace", "")
    )
    objects = list(yaml.safe_load_all(run(tmp_path, *BLOCKS[:STEPS], command)))
    assert pod_of(objects)["containers"][0]["image"] == IMAGE
    assert env_of(objects)["BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES"] == "team-a,team-b"
    assert pick(objects, "ServiceAccount")["metadata"]["annotations"] == {"azure.workload.identity/client-id": CLIENT}
    assert pick(objects, "CustomResourceDefinition")


def test_kustomization(tmp_path: Path) -> None:
    """The kustomization builds the same configuration."""
    (text,) = markdown.blocks(read(GUIDE), "yaml")
    text = text.replace("[manifests/", f"[{os.path.relpath(MANIFESTS, tmp_path)}/")
    (tmp_path / "kustomization.yaml").write_text(text, encoding="utf-8")
    objects = kustomize(tmp_path)
    assert pod_of(objects)["containers"][0]["image"] == IMAGE
    assert env_of(objects)["BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES"] == "team-a,team-b"
    annotations = pick(objects, "ServiceAccount")["metadata"]["annotations"]
    assert annotations == {"azure.workload.identity/client-id": "11111111-1111-4111-8111-111111111111"}
