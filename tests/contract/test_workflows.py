"""The workflows are pinned, have minimal permissions, run all tests, and release only tested commits."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from backupjobwatch import __version__
from tests.contract.project import ROOT, load, read, relative
from tests.contract.workflows import WORKFLOWS, matrix

if TYPE_CHECKING:
    from pathlib import Path

EACH_WORKFLOW: Final = pytest.mark.parametrize("path", WORKFLOWS, ids=relative)


@EACH_WORKFLOW
def test_actions_are_pinned(path: Path) -> None:
    """Every action is pinned to a commit with its version in a comment. The project's own workflows share a commit."""
    used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert used
    for each in used:
        ours = each.startswith("$/.github/workflows/")
        assert ours or re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", each), each


@EACH_WORKFLOW
def test_jobs_may_do_little(path: Path) -> None:
    """A workflow has no permissions, each job declares its own, and only the release can write."""
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert "uses" in job or job["timeout-minutes"] <= 60
        written = {name for name, right in job["permissions"].items() if right == "write"}
        releases = path.stem == "release" and "uses" not in job
        assert written == ({"contents", "packages", "id-token", "attestations"} if releases else set())


def test_releases_what_is_tested() -> None:
    """A release requires a successful CI run on the same commit, and manual approval."""
    (release,) = load(".github/workflows/release.yaml")
    (tested,) = (name for name, job in release["jobs"].items() if job.get("uses") == "$/.github/workflows/ci.yaml")
    assert "\n  workflow_call:" in read(".github/workflows/ci.yaml")
    for name, job in release["jobs"].items():
        assert name == tested or (job["needs"], job["environment"]) == (tested, "release")


def test_runs_what_contributors_run() -> None:
    """CI runs the unchanged gate, the end-to-end tests on each Kubernetes version, and a strict audit."""
    (workflow,) = load(".github/workflows/ci.yaml")
    gate = [step.get("run", "") for step in workflow["jobs"]["gate"]["steps"]]
    assert ".ci/run" in gate
    assert "make audit AUDIT=strict" in gate
    steps = workflow["jobs"]["kubernetes"]["steps"]
    (variables,) = (step["env"] for step in steps if "pytest tests/e2e" in step.get("run", ""))
    assert variables == {"E2E_KUBECONFIG": "build/kind.kubeconfig", "E2E_CLUSTER_MAY_BE_CHANGED": "yes"}
    for each in matrix():
        assert re.fullmatch(rf"kindest/node:v{each['kubernetes']}\.\d+@sha256:[0-9a-f]{{64}}", each["image"])


def test_runs_the_image_in_a_cluster() -> None:
    """CI loads its image under the overlay's image name, applies the overlay, and waits for a status."""
    (workflow,) = load(".github/workflows/ci.yaml")
    job = workflow["jobs"]["image"]
    scripts = "\n".join(step.get("run", "") for step in job["steps"])
    told = (
        "make image\n",
        "kind load docker-image",
        "apply --server-side -k crds\n",
        "apply -k manifests/overlays/ha\n",
        "rollout status",
        "kubectl wait ",
    )
    assert sorted(told, key=scripts.index) == list(told)
    (named,) = re.findall(r'^image="(.*)"$', scripts, re.MULTILINE)
    shown = subprocess.run(["bash", "-c", f'echo "{named}"'], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == f"backupjobwatch:{__version__}"
    (sample,) = load("manifests/samples/backupjobwatch.yaml")
    assert (
        f"kubectl wait bjw/{sample['metadata']['name']} --for=jsonpath='{{.status.reason}}'=IdentityNotAllowed "
        in scripts
    )
    assert [step["env"]["IMAGE"] for step in job["steps"] if "env" in step] == [matrix()[-1]["image"]]


def test_kind_is_pinned() -> None:
    """A pinned version of kind with a checksum creates the clusters, not the runner's own version."""
    script = read(".github/kind")
    assert re.search(r"releases/download/v\d+\.\d+\.\d+/kind-linux-amd64$", script, re.MULTILINE)
    assert re.search(r"echo '[0-9a-f]{64}  build/bin/kind' \| sha256sum --check", script)
    (workflow,) = load(".github/workflows/ci.yaml")
    for job in workflow["jobs"].values():
        runs = [step.get("run", "") for step in job["steps"]]
        made = [index for index, run in enumerate(runs) if run.startswith("kind create")]
        assert all(".github/kind" in runs[:index] for index in made)


def step(name: str) -> str:
    """Return the script of that step of the release."""
    (workflow,) = load(".github/workflows/release.yaml")
    (found,) = (each for each in workflow["jobs"]["release"]["steps"] if each.get("name") == name)
    script: str = found["run"]
    return script


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of a version that is ready for release."""
    changelog = f"# Changelog\n\n## [{__version__}]\n\n- New.\n\n## [0.0.1]\n\n- Old.\n"
    (tmp_path / "CHANGELOG.md").write_text(changelog, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(read("pyproject.toml"), encoding="utf-8")
    (tmp_path / "build").mkdir()
    return tmp_path


def run_step(script: str, checkout: Path, **environment: str) -> int:
    """Run a script like GitHub, and return its exit status."""
    environment = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], cwd=checkout, env=environment, check=False
    ).returncode


@pytest.mark.parametrize(
    ("tag", "changes", "ends"), [(f"v{__version__}", "", 0), ("v0.0.1", "", 1), (f"v{__version__}", "# Changelog", 1)]
)
def test_tag_matches_version_and_changelog(checkout: Path, tag: str, changes: str, ends: int) -> None:
    """A tag must match the project's version and a changelog section. Image and chart names are lowercase."""
    script = step("The tag is the version of the project, and the changelog has it")
    if changes:
        (checkout / "CHANGELOG.md").write_text(changes, encoding="utf-8")
    output = checkout / "output"
    owner = {"GITHUB_REPOSITORY": "Some/BackupJobWatch", "GITHUB_REPOSITORY_OWNER": "Some"}
    assert run_step(script, checkout, GITHUB_REF_NAME=tag, GITHUB_OUTPUT=str(output), **owner) == ends
    if ends == 0:
        assert output.read_text().splitlines() == [
            f"version={__version__}",
            "image=ghcr.io/some/backupjobwatch",
            "charts=ghcr.io/some/charts",
        ]


def test_notes_are_the_changelogs(checkout: Path) -> None:
    """The notes of a release are its section of the changelog, and no other."""
    (script,) = (line for line in step("Publish the files").splitlines() if line.startswith("awk"))
    assert run_step(script, checkout, VERSION=__version__) == 0
    assert (checkout / "build" / "notes.md").read_text().strip() == "- New."
