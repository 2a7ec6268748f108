"""Krew accepts the manifest of the kubectl plugin, which refers to the files of the release."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tarfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from backupjobwatch import __version__
from tests.contract.project import ROOT, load, pyproject, read

if TYPE_CHECKING:
    from pathlib import Path

REPOSITORY: Final = "https://github.com/Somebody/backupjobwatch"
LONGEST: Final = 50
"""Maximum length of a short description in krew's guide for plugin developers."""


def krew(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "Somebody/backupjobwatch",
    }
    command = [str(ROOT / ".github" / "krew"), str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def archive(folder: Path, version: str, arch: str) -> Path:
    """Write an archive like that of `make plugin`."""
    path = folder / f"kubectl-bjw_v{version}_linux_{arch}.tar.gz"
    (folder / "kubectl-bjw").write_text(arch, encoding="utf-8")
    with tarfile.open(path, "w:gz") as opened:
        opened.add(folder / "kubectl-bjw", "kubectl-bjw")
        opened.add(ROOT / "LICENSE", "LICENSE")
    return path


@pytest.fixture
def archives(tmp_path: Path) -> list[Path]:
    return [archive(tmp_path, __version__, arch) for arch in ("amd64", "arm64")]


@pytest.fixture
def manifest(tmp_path: Path, archives: list[Path]) -> dict[str, Any]:
    done = krew(tmp_path)
    assert done.returncode == 0, done.stderr
    manifest: dict[str, Any] = yaml.safe_load((tmp_path / "bjw.yaml").read_text(encoding="utf-8"))
    return manifest


def test_krew_accepts_it(manifest: dict[str, Any]) -> None:
    """Krew validates these fields: https://github.com/kubernetes-sigs/krew/blob/v0.4.5/internal/index/validation/validate.go."""
    assert manifest["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2"
    assert manifest["kind"] == "Plugin"
    assert re.fullmatch(r"[\w-]+", manifest["metadata"]["name"])
    spec = manifest["spec"]
    assert set(spec) == {"version", "homepage", "shortDescription", "description", "caveats", "platforms"}
    assert re.fullmatch(r"v\d+\.\d+\.\d+", spec["version"])
    assert 0 < len(spec["shortDescription"]) <= LONGEST
    assert "\n" not in spec["shortDescription"]
    for platform in spec["platforms"]:
        assert set(platform) == {"selector", "uri", "sha256", "bin", "files"}
        assert re.fullmatch(r"[a-f0-9]{64}", platform["sha256"])
        assert platform["selector"]["matchLabels"].keys() == {"os", "arch"}
        assert platform["bin"] in {operation["from"] for operation in platform["files"]}
        assert all(operation.keys() == {"from", "to"} and all(operation.values()) for operation in platform["files"])


def test_leads_to_the_release(manifest: dict[str, Any], archives: list[Path]) -> None:
    """Each platform has the URL of a release file, its checksum, and the names of files in it."""
    spec = manifest["spec"]
    assert (manifest["metadata"]["name"], spec["version"], spec["homepage"]) == ("bjw", f"v{__version__}", REPOSITORY)
    found = {}
    for path, platform in zip(archives, spec["platforms"], strict=True):
        assert platform["uri"] == f"{REPOSITORY}/releases/download/v{__version__}/{path.name}"
        assert platform["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        with tarfile.open(path) as opened:
            assert {operation["from"] for operation in platform["files"]} == set(opened.getnames())
        labels = platform["selector"]["matchLabels"]
        found[PurePosixPath(platform["uri"]).name] = f"{labels['os']}_{labels['arch']}"
    assert all(name.endswith(f"_{platform}.tar.gz") for name, platform in found.items())


def test_names_programs_of_the_project(manifest: dict[str, Any]) -> None:
    """The plugin and its completion program have names that kubectl finds."""
    scripts = pyproject()["project"]["scripts"]
    assert {platform["bin"] for platform in manifest["spec"]["platforms"]} <= scripts.keys()
    (second,) = re.findall(r"bin/(\S+)\"", manifest["spec"]["caveats"])
    assert second in scripts


def test_refuses_wrong_archives(tmp_path: Path) -> None:
    """Missing archives, or archives of two versions, produce no manifest."""
    assert krew(tmp_path).returncode == 2
    for version in ("0.0.1", "0.0.2"):
        archive(tmp_path, version, "amd64")
    done = krew(tmp_path)
    assert (done.returncode, "archives of two versions" in done.stderr) == (2, True)


def test_ci_builds_what_the_release_publishes() -> None:
    """CI builds and tests the plugin for each processor, and the release downloads those files."""
    (ci,), (release,) = load(".github/workflows/ci.yaml"), load(".github/workflows/release.yaml")
    plugin = ci["jobs"]["plugin"]
    assert [each["arch"] for each in plugin["strategy"]["matrix"]["include"]] == ["amd64", "arm64"]
    runs = [step["run"] for step in plugin["steps"] if "run" in step]
    assert runs[-2:] == ["make plugin PLUGIN_PYTHON=3.13", "make plugin-test"]
    (upload,) = (step["with"] for step in plugin["steps"] if "upload-artifact" in step.get("uses", ""))
    (download,) = (
        step["with"] for step in release["jobs"]["release"]["steps"] if "download-artifact" in step.get("uses", "")
    )
    assert upload["name"].startswith(download["pattern"].removesuffix("*"))
    assert PurePosixPath(upload["path"]).parent == PurePosixPath(download["path"]) == PurePosixPath("build/plugin")
    assert f'.github/package "$REFERENCE" build/release {download["path"]}\n' in read(".github/workflows/release.yaml")
