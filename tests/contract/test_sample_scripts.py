"""The sample scripts pass shellcheck, and those without a cluster work with a stand-in for `az`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.az import Az, option
from tests.support.builders import JOB_ID
from tests.support.samples import FILES, name_of, pick, sample, scripts

if TYPE_CHECKING:
    from collections.abc import Mapping

SHELLCHECK: Final = str(Path(sys.executable).parent / "shellcheck")
EVERY_SCRIPT: Final = [pytest.param(text, id=name_of(path)) for path in FILES for text in scripts(path)]
ASKED: Final = {"--resource-group": "rg-backup", "--vault-name": "rsv-prod", "--item-name": "vm1"}


def workflow_step() -> dict[str, Any]:
    """Return the Workflow's script that starts a backup."""
    templates = pick(sample("argo-workflows/workflow.yaml"), "Workflow")["spec"]["templates"]
    (script,) = (each["script"] for each in templates if each["name"] == "back-up")
    return {"script": script["source"], "env": script["env"]}


def tekton_step() -> dict[str, Any]:
    """Return the PipelineRun's script that starts a backup."""
    tasks = pick(sample("tekton/pipeline-run.yaml"), "PipelineRun")["spec"]["pipelineSpec"]["tasks"]
    (step,) = next(each["taskSpec"]["steps"] for each in tasks if each["name"] == "back-up")
    return {"script": step["script"], "env": step["env"]}


STEPS: Final = {"argo-workflows": workflow_step(), "tekton": tekton_step()}
BLANKS: Final = {"subscription": "s", "resource-group": "rg-backup", "vault": "rsv-prod", "vm": "vm1"}


def run(step: Mapping[str, Any], folder: Path, az: Az) -> subprocess.CompletedProcess[str]:
    """Run a step as its tool does, with its parameters filled in and a workload identity token."""
    (folder / "token").write_text("a-token", "utf-8")
    values = {**BLANKS, "job": str(folder / "result")}
    blank = re.compile(r"\{\{workflow\.parameters\.([\w-]+)\}\}|\$\((?:params\.([\w-]+)|results\.([\w-]+)\.path)\)")
    environment = {
        each["name"]: blank.sub(lambda found: values[next(filter(None, found.groups()))], each["value"])
        for each in step["env"]
    }
    identity = {"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_FEDERATED_TOKEN_FILE": str(folder / "token")}
    return subprocess.run(
        ["/bin/sh"],
        input=step["script"],
        env={"PATH": az.path(os.environ["PATH"]), **identity, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def az(tmp_path: Path) -> Az:
    folder = tmp_path / "bin"
    folder.mkdir()
    return Az(folder)


@pytest.mark.parametrize("script", EVERY_SCRIPT)
def test_shellcheck_has_no_findings(script: str) -> None:
    """shellcheck has no findings in any script under the rules of a POSIX shell."""
    command = [SHELLCHECK, "--norc", "--shell=sh", "--severity=style", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_scripts_are_found() -> None:
    """The tests find the scripts for the shell, Argo Workflows, Tekton and Azure Monitor."""
    found = {name_of(path).partition("/")[0] for path in FILES if scripts(path)}
    assert found == {"shell", "argo-workflows", "tekton", "azure-monitor"}


@pytest.mark.parametrize("tool", STEPS)
def test_step_starts_a_backup(tool: str, tmp_path: Path, az: Az) -> None:
    """The step signs in, starts the backup, and outputs only the job's resource ID."""
    az.answer(JOB_ID)
    done = run(STEPS[tool], tmp_path, az)
    assert done.returncode == 0, done.stderr
    passed_on = done.stdout if tool == "argo-workflows" else (tmp_path / "result").read_text("utf-8")
    assert passed_on.removesuffix("\n") == JOB_ID
    sign_in, backup = az.calls()
    assert option(sign_in, "--federated-token") == "a-token"
    assert backup[:3] == ["backup", "protection", "backup-now"]
    assert {name: option(backup, name) for name in ASKED} == ASKED


@pytest.mark.parametrize("tool", STEPS)
def test_step_fails_with_az(tool: str, tmp_path: Path, az: Az) -> None:
    """The step fails if `az` fails, and outputs nothing."""
    az.answer(status=3)
    done = run(STEPS[tool], tmp_path, az)
    assert (done.returncode, done.stdout) == (3, "")
    assert not (tmp_path / "result").exists()
