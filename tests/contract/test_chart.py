"""The Helm charts install the same objects as kustomize."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from backupjobwatch import __version__
from backupjobwatch.domain.api.spec import parse_spec
from tests.contract import markdown
from tests.contract.chart import NAMESPACE, render, render_crds
from tests.contract.kustomizations import COMPONENTS, OVERLAYS, build, pod_of
from tests.contract.project import ROOT, Manifest, kustomize, load, pick, read
from tests.support.chart_reference import generated
from tests.support.documents import load_documents
from tests.support.helm import CHART, CRD_CHART, helm_path, run_helm

if TYPE_CHECKING:
    from pathlib import Path

HELMS_LABELS: Final = {
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
}
SWITCHES: Final[dict[str, dict[str, Any]]] = {
    "monitoring": {"monitoring": {"enabled": True}},
    "network-policy": {"networkPolicy": {"enabled": True}},
    "service-monitor": {
        "monitoring": {"enabled": True, "podMonitor": {"enabled": False}, "serviceMonitor": {"enabled": True}}
    },
    "validating-admission-policy": {"admissionPolicy": {"enabled": True}},
}
"""The values that install the contents of a kustomize component."""
NEEDS: Final = {"service-monitor": ("monitoring",)}
OWN: Final = (
    'absent(backupjobwatch_build_info{namespace="backupjobwatch-system",app_kubernetes_io_instance="backupjobwatch"})'
)
"""An alert in the chart selects its own operator. Kustomize does not know the operator's labels."""


def without_helms_labels(value: Any) -> Any:
    """Return an object without the Helm labels in its metadata and selectors."""
    if isinstance(value, dict):
        return {key: without_helms_labels(each) for key, each in value.items() if key not in HELMS_LABELS}
    if isinstance(value, list):
        return [without_helms_labels(each) for each in value]
    return value.replace(OWN, "absent(backupjobwatch_build_info)") if isinstance(value, str) else value


def comparable(objects: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """Return the objects by kind and name, without Helm labels and with sorted environment variables."""
    found = {}
    for whole in objects:
        if whole["kind"] == "Namespace":
            continue  # Helm creates it with --create-namespace
        each = without_helms_labels(whole)
        if each["kind"] == "Deployment":
            pod_of([each])["containers"][0]["env"].sort(key=lambda variable: variable["name"])
        found[each["kind"], each["metadata"]["name"]] = each
    assert len(found) == len([each for each in objects if each["kind"] != "Namespace"])
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_chart_matches_the_overlays(tmp_path: Path, overlay: str) -> None:
    """With the ``ci`` values of the same name, the chart renders the objects of an overlay."""
    ours = comparable(render(tmp_path, overlay))
    assert ours == comparable(kustomize(ROOT / "manifests" / "overlays" / overlay))


def test_components_have_switches() -> None:
    """Each component has a chart value."""
    assert sorted(SWITCHES) == COMPONENTS


@pytest.mark.parametrize("component", SWITCHES)
def test_switches_on_what_the_component_has(tmp_path: Path, component: str) -> None:
    """The values of a component add the same objects as the component."""
    ours = comparable(render(tmp_path, SWITCHES[component]))
    assert ours == comparable(build(tmp_path, "default", *NEEDS.get(component, ()), component))


def test_values_files_have_overlays() -> None:
    """The tests above compare every values file in ``ci``."""
    assert sorted(path.name for path in (CHART / "ci").iterdir()) == [f"{name}-values.yaml" for name in OVERLAYS]


def test_lint(tmp_path: Path) -> None:
    """``helm lint`` reports nothing for the charts with any of the values files."""
    for path in sorted((CHART / "ci").iterdir()):
        done = run_helm(tmp_path, "lint", "--strict", "--quiet", str(CHART), "--values", str(path))
        assert done.returncode == 0, done.stdout + done.stderr
    done = run_helm(tmp_path, "lint", "--strict", "--quiet", str(CRD_CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", ["manifests/chart", "manifests/chart-crds"])
def test_versions_are_the_projects(folder: str) -> None:
    """The charts, the application and the package share a version and require the documented Kubernetes version."""
    (chart,) = load(f"{folder}/Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    least = chart["kubeVersion"].removeprefix(">=").removesuffix(".0-0")
    for name in ("README.md", "docs/install.md"):
        assert f"Kubernetes {least} or newer" in read(name)


def test_crd_chart(tmp_path: Path) -> None:
    """The CRD chart renders the CRD as a template, so upgrades change it. By default, Helm keeps it."""
    (source,) = kustomize(ROOT / "crds")
    for keep in (True, False):
        (crd,) = render_crds(tmp_path, f"keep={str(keep).lower()}")
        kept = {"helm.sh/resource-policy": "keep"} if keep else {}
        assert crd["metadata"]["annotations"] == {**kept, **source["metadata"]["annotations"]}
        assert crd["spec"] == source["spec"]
    assert not (CRD_CHART / "crds").exists()
    assert not (CHART / "crds").exists()


def test_crd_chart_values(tmp_path: Path) -> None:
    """The chart sets labels and annotations from the values on the CRD, and refuses unknown values."""
    (crd,) = render_crds(tmp_path, "annotations.a=b", "commonLabels.c=d")
    assert crd["metadata"]["annotations"]["a"] == "b"
    assert crd["metadata"]["labels"]["c"] == "d"
    assert crd["metadata"]["labels"]["app.kubernetes.io/part-of"] == "backupjobwatch"
    done = run_helm(tmp_path, "template", "backupjobwatch-crds", str(CRD_CHART), "--set", "kept=true")
    assert "'kept' not allowed" in done.stderr


def test_operator_chart_has_no_crd(tmp_path: Path) -> None:
    """Releases can share the CRD because no release of the operator chart owns it."""
    assert "CustomResourceDefinition" not in {each["kind"] for each in render(tmp_path)}


def test_artifact_hub() -> None:
    """The Artifact Hub metadata contains valid nested YAML and lists the image, CRD and sample."""
    (operator,), (crds,) = load("manifests/chart/Chart.yaml"), load("manifests/chart-crds/Chart.yaml")
    for chart in (operator, crds):
        assert chart["annotations"]["artifacthub.io/license"] == "Apache-2.0"
        assert {"home", "sources", "maintainers", "keywords"} <= chart.keys()
    (image,) = yaml.safe_load(operator["annotations"]["artifacthub.io/images"])
    assert image["image"] == f"backupjobwatch:{__version__}"
    (listed,) = yaml.safe_load(crds["annotations"]["artifacthub.io/crds"])
    (crd,) = kustomize(ROOT / "crds")
    assert (listed["name"], listed["kind"]) == (crd["metadata"]["name"], crd["spec"]["names"]["kind"])
    (example,) = yaml.safe_load(crds["annotations"]["artifacthub.io/crdsExamples"])
    parse_spec(example["spec"])


def test_monitoring_is_labelled(tmp_path: Path) -> None:
    """The selection labels for Prometheus and Grafana are set on the monitoring objects and nowhere else."""
    objects = render(tmp_path, {"monitoring": {"enabled": True, "labels": {"release": "prometheus"}}})
    labelled = {each["kind"] for each in objects if each["metadata"]["labels"].get("release") == "prometheus"}
    assert labelled == {"Service", "PodMonitor", "PrometheusRule", "ConfigMap"}
    assert pick(objects, "ConfigMap")["metadata"]["labels"]["grafana_dashboard"] == "1"


@pytest.mark.parametrize("name", ["backupjobwatch", "backupjobwatch-crds"])
def test_packages_what_it_renders(tmp_path: Path, name: str) -> None:
    """``make charts`` packages real files, so Helm renders the same objects and prints no message about links."""
    environment = {**os.environ, "HELM": str(helm_path()), "HOME": str(tmp_path)}
    command = [str(ROOT / ".github" / "charts"), str(ROOT), str(tmp_path / "charts")]
    packaged = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert (packaged.returncode, packaged.stderr) == (0, "")
    archive = tmp_path / "charts" / f"{name}-{__version__}.tgz"
    with tarfile.open(archive) as files:
        assert all(member.isfile() for member in files)
    command = [str(helm_path()), "template", "backupjobwatch", str(archive), "--namespace", NAMESPACE]
    rendered = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert rendered.stderr == ""
    ours = render(tmp_path, {}) if name == "backupjobwatch" else render_crds(tmp_path)
    assert without_helms_labels(load_documents(rendered.stdout)) == without_helms_labels(ours)


def test_generated_files_are_current() -> None:
    """The chart READMEs, the comments in values.yaml and the documented tables match ``make chart-docs``."""
    for name, text in generated().items():
        assert read(name) == text, f"run `make chart-docs`: {name}"


def test_notes_show_the_next_step(tmp_path: Path) -> None:
    """After an install, the notes say that no namespace may use the identity unless one is allowed."""
    command = ["install", "backupjobwatch", str(CHART), "-n", NAMESPACE, "--dry-run=client"]
    told = "No namespace may use the operator's Azure identity yet"
    notes = run_helm(tmp_path, *command).stdout
    assert told in notes
    assert "The CRD is missing" in notes
    assert told not in run_helm(tmp_path, *command, "--set", "operatorIdentityNamespaces={team-a}").stdout


def test_notes_show_the_label_of_the_namespace(tmp_path: Path) -> None:
    """The notes and the document show the command that sets the label of kustomize's namespace."""
    labels = pick(load("manifests/base/namespace.yaml"), "Namespace")["metadata"]["labels"]
    label = "pod-security.kubernetes.io/enforce"
    command = f"kubectl label namespace {NAMESPACE} {label}={labels[label]}"
    notes = run_helm(tmp_path, "install", "backupjobwatch", str(CHART), "-n", NAMESPACE, "--dry-run=client").stdout
    assert command in notes
    install = read("docs/install.md")
    assert command in install
    (application,) = (each for each in markdown.blocks(install, "yaml") if "managedNamespaceMetadata" in each)
    managed = yaml.safe_load(application)["syncPolicy"]["managedNamespaceMetadata"]["labels"]
    assert managed == {label: labels[label]}


@pytest.mark.parametrize("document", ["README.md", "docs/install.md", "docs/releasing.md", "manifests/chart/README.md"])
def test_documented_commands(tmp_path: Path, document: str) -> None:
    """Each documented chart installation is a command that this checkout's charts accept."""
    chart = re.compile(r"(?:oci://ghcr\.io/OWNER/charts|build/charts|manifests)/(?:backupjobwatch|chart)(-crds)?\S*")
    folders = {None: CHART, "-crds": CRD_CHART}
    lines = "\n".join(markdown.blocks(read(document), "sh")).replace("\\\n", " ").splitlines()
    installs = [line for line in lines if line.startswith("helm upgrade --install")]
    assert len(installs) >= 2
    for line in installs:
        _, _, _, *arguments = shlex.split(chart.sub(lambda each: str(folders[each[1]]), line))
        done = run_helm(tmp_path, "template", *(each for each in arguments if each != "--create-namespace"))
        assert done.returncode == 0, done.stderr
