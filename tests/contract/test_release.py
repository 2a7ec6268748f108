"""A release pins its image by digest, and users can verify and install it as documented."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from backupjobwatch import __version__
from tests.contract import markdown
from tests.contract.kustomizations import OVERLAYS, pod_of
from tests.contract.project import ROOT, kustomize, load, pick, read
from tests.support.helm import helm_path, run_helm

if TYPE_CHECKING:
    from pathlib import Path

DIGEST: Final = "sha256:" + "0123456789abcdef" * 4
IMAGE: Final = f"ghcr.io/somebody/backupjobwatch@{DIGEST}"


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def package(image: str, folder: Path, *plugin: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "HELM": str(helm_path()),
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "Somebody/backupjobwatch",
    }
    command = [str(ROOT / ".github" / "package"), image, str(folder), *map(str, plugin)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture(scope="module")
def release(sbom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a release."""
    folder, plugin = tmp_path_factory.mktemp("release") / "files", tmp_path_factory.mktemp("plugin")
    (plugin / f"kubectl-bjw_v{__version__}_linux_amd64.tar.gz").touch()
    done = package(IMAGE, folder, plugin)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlays_by_digest(release: Path, overlay: str) -> None:
    """Each overlay is one file that differs from the local build only in the image digest."""
    published = list(yaml.safe_load_all((release / f"{overlay}.yaml").read_text(encoding="utf-8")))
    ours = kustomize(ROOT / "manifests" / "overlays" / overlay)
    pod_of(ours)["containers"][0]["image"] = IMAGE
    assert published == ours


def test_crds(release: Path) -> None:
    """The CRD is a separate file."""
    assert list(yaml.safe_load_all((release / "crds.yaml").read_text(encoding="utf-8"))) == kustomize(ROOT / "crds")


def test_chart_by_digest(release: Path, tmp_path: Path) -> None:
    """The published chart installs the released image by digest by default."""
    done = run_helm(tmp_path, "template", "backupjobwatch", str(release / f"backupjobwatch-{__version__}.tgz"))
    assert done.returncode == 0, done.stderr
    (container,) = pod_of(list(yaml.safe_load_all(done.stdout)))["containers"]
    assert container["image"] == IMAGE


def test_charts_name_the_release(release: Path, tmp_path: Path) -> None:
    """The published charts name the released image, and link to the repository and registry of the release."""
    for name in ("backupjobwatch", "backupjobwatch-crds"):
        with tarfile.open(release / f"{name}-{__version__}.tgz") as archive:
            archive.extractall(tmp_path, filter="data")
        text = "".join((tmp_path / name / file).read_text(encoding="utf-8") for file in ("Chart.yaml", "README.md"))
        assert "OWNER" not in text
        assert "https://github.com/Somebody/backupjobwatch" in text
        assert f"oci://ghcr.io/somebody/charts/{name} " in text
    chart = yaml.safe_load((tmp_path / "backupjobwatch" / "Chart.yaml").read_text(encoding="utf-8"))
    (image,) = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    assert image["image"] == IMAGE


def test_archive_builds(release: Path, tmp_path: Path) -> None:
    """The archive of all manifests builds, with the image by digest."""
    with tarfile.open(release / "manifests.tar.gz") as archive:
        archive.extractall(tmp_path, filter="tar")
    (container,) = pod_of(kustomize(tmp_path / "manifests" / "overlays" / "default"))["containers"]
    assert container["image"] == IMAGE


def test_alerts_link_to_the_repository(release: Path, tmp_path: Path) -> None:
    """The runbook links of the published chart lead to the repository that released it."""
    chart = str(release / f"backupjobwatch-{__version__}.tgz")
    done = run_helm(tmp_path, "template", "backupjobwatch", chart, "--set", "monitoring.enabled=true")
    (group,) = pick(list(yaml.safe_load_all(done.stdout)), "PrometheusRule")["spec"]["groups"]
    for rule in group["rules"]:
        url = f"https://github.com/Somebody/backupjobwatch/blob/main/docs/runbooks/{rule['alert']}.md"
        assert rule["annotations"]["runbook_url"] == url


def test_documented_kustomizations(release: Path, tmp_path: Path) -> None:
    """The documented kustomizations configure the overlays that need values before they can be applied."""
    shutil.copytree(release, tmp_path, dirs_exist_ok=True)
    built = {}
    for text in markdown.blocks(read("docs/releasing.md"), "yaml"):
        (tmp_path / "kustomization.yaml").write_text(text, encoding="utf-8")
        (name,) = yaml.safe_load(text)["resources"]
        built[name] = kustomize(tmp_path)
        assert pod_of(built[name])["containers"][0]["image"] == IMAGE
    assert built.keys() == {"workload-identity.yaml", "namespaced.yaml"}
    assert "00000000-0000" not in json.dumps(built["workload-identity.yaml"])
    assert "backupjobwatch-system" not in json.dumps(built["namespaced.yaml"])


def test_all_that_is_signed_can_be_verified() -> None:
    """The document verifies the image, the charts and the checksums with the workflow's identity."""
    (text,) = (each for each in markdown.blocks(read("docs/releasing.md"), "sh") if "cosign" in each)
    signed = read(".github/workflows/release.yaml")
    assert (signed.count("cosign sign "), text.count("signed verify ")) == (2, 3)
    assert "for chart in backupjobwatch-crds backupjobwatch; do" in signed
    (bundle,) = re.findall(r"cosign sign-blob --yes --bundle build/release/(\S+) build/release/SHA256SUMS", signed)
    assert f"--bundle {bundle} SHA256SUMS " in text
    script = f"cosign() {{ printf '%s\\n' \"$@\"; }}; gh() {{ :; }}; sha256sum() {{ :; }}; {text}"
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)
    (who,) = set(re.findall(r"^\^.*", done.stdout, re.MULTILINE))
    assert re.match(who, "https://github.com/OWNER/backupjobwatch/.github/workflows/release.yaml@refs/tags/v0.1.0")


def test_sums(release: Path) -> None:
    """The checksum file lists every file with its checksum."""
    lines = [line.split() for line in (release / "SHA256SUMS").read_text().splitlines()]
    sums = {name: sum_ for sum_, name in lines}
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in release.iterdir()}
    files.pop("SHA256SUMS")
    assert sums == files
    assert {"backupjobwatch.cdx.json", "licences.md", "manifests.tar.gz", "default.yaml", "bjw.yaml"} <= files.keys()
    assert f"kubectl-bjw_v{__version__}_linux_amd64.tar.gz" in files


@pytest.mark.parametrize("image", ["backupjobwatch", "r/b:1.0", "r/b@sha256:12", f"r/b {DIGEST}"])
def test_refuses_what_is_no_digest(tmp_path: Path, image: str) -> None:
    """Packaging refuses an image reference without a digest."""
    done = package(image, tmp_path / "files")
    assert done.returncode == 2
    assert "not an image by digest" in done.stderr
    assert not (tmp_path / "files").exists()


def test_versions_of_a_release() -> None:
    """All files with a release version state the current version."""
    image = pick(kustomize(ROOT / "manifests" / "base"), "Deployment")["spec"]["template"]["spec"]["containers"][0][
        "image"
    ]
    assert image == f"backupjobwatch:{__version__}"
    for chart in ("chart", "chart-crds"):
        assert load(f"manifests/{chart}/Chart.yaml")[0]["version"] == __version__
    pages = ("install", "aks-workload-identity", "kubectl-bjw", "releasing")
    for name in ("README.md", *(f"docs/{page}.md" for page in pages)):
        versions = re.findall(r"(?:backupjobwatch:|newTag: |--version |/download/v|bjw_v)(\d[\d.]*\d)", read(name))
        assert set(versions) == {__version__}, name
