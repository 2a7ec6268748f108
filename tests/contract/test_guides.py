"""The guide for AKS does what it says, as far as that shows without Azure: its commands are run with stand-ins for az."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from tests.contract import markdown
from tests.contract.kustomizations import MANIFESTS, env_of
from tests.contract.project import ROOT, kustomize, pick, read
from tests.support.helm import helm_path

if TYPE_CHECKING:
    from pathlib import Path

GUIDE: Final = "docs/aks-workload-identity.md"
BLOCKS: Final = markdown.blocks(read(GUIDE), "sh")
CLIENT: Final = "33333333-3333-4333-8333-333333333333"
STAND_IN: Final = f"""#!/bin/bash
printf '%q ' az "$@" >> "$CALLS"; echo >> "$CALLS"
case "$*" in
  *clientId*) echo {CLIENT};;
  *principalId*) echo 44444444-4444-4444-8444-444444444444;;
  *issuerUrl*) echo https://issuer.example.com/;;
  "account show"*) echo 55555555-5555-4555-8555-555555555555;;
esac
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What steps 1 to 4 ask of az, one line each, when they are run from the first to the last."""
    home = tmp_path_factory.mktemp("guide")
    (home / "az").write_text(STAND_IN, encoding="utf-8")
    (home / "az").chmod(0o755)
    (home / "manifests").symlink_to(MANIFESTS)
    environment = {"PATH": f"{home}:{os.environ['PATH']}", "CALLS": str(home / "calls")}
    script = "\n".join(["set -euo pipefail", *BLOCKS[:4]])
    done = subprocess.run(
        ["bash", "-c", script], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "/subscriptions/55555555-5555-4555-8555-555555555555" in (home / "role.json").read_text()
    return (home / "calls").read_text().splitlines()


def test_trusts_the_account_that_is_installed(calls: list[str]) -> None:
    """The federated credential is for the ServiceAccount that the overlay has, and of the audience that is asked for."""
    account = pick(kustomize(MANIFESTS / "overlays" / "workload-identity"), "ServiceAccount")["metadata"]
    (call,) = (call for call in calls if "federated-credential" in call)
    assert f"--subject system:serviceaccount:{account['namespace']}:{account['name']} " in f"{call} "
    assert "--audiences api://AzureADTokenExchange" in call
    assert "--issuer https://issuer.example.com/" in call


def test_assigns_the_role_that_is_made(calls: list[str]) -> None:
    """The role is assigned by the name that it is created with, to the identity, on the scope of step 1."""
    name = yaml.safe_load(read("manifests/azure/role.json"))["Name"]
    (call,) = (call for call in calls if "assignment" in call)
    assert "--role {} ".format(name.replace(" ", "\\ ")) in call
    assert "--assignee-object-id 44444444-4444-4444-8444-444444444444" in call
    assert "/subscriptions/55555555-5555-4555-8555-555555555555/resourceGroups/rg-backup" in call


def test_helm_command(tmp_path: Path) -> None:
    """The helm command renders, with the identity and the namespaces."""
    command = BLOCKS[4].replace("helm upgrade --install", f"{helm_path()} template")
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "CLIENT_ID": CLIENT}
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    objects = list(yaml.safe_load_all(done.stdout))
    assert env_of(objects)["BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES"] == "team-a,team-b"
    assert pick(objects, "ServiceAccount")["metadata"]["annotations"] == {"azure.workload.identity/client-id": CLIENT}


def test_kustomization(tmp_path: Path) -> None:
    """The kustomization builds, and says the same."""
    (text,) = markdown.blocks(read(GUIDE), "yaml")
    text = text.replace("[manifests/", f"[{os.path.relpath(MANIFESTS, tmp_path)}/")
    (tmp_path / "kustomization.yaml").write_text(text, encoding="utf-8")
    objects = kustomize(tmp_path)
    assert env_of(objects)["BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES"] == "team-a,team-b"
    annotations = pick(objects, "ServiceAccount")["metadata"]["annotations"]
    assert annotations == {"azure.workload.identity/client-id": "11111111-1111-4111-8111-111111111111"}
