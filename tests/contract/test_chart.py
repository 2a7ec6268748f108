"""The Helm chart installs what the overlays of kustomize do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
import yaml

from backupjobwatch import __version__
from tests.contract.chart import NAMESPACE, render
from tests.contract.kustomizations import COMPONENTS, OVERLAYS, build, pod_of
from tests.contract.project import ROOT, Manifest, kustomize, load, pick, read
from tests.support.helm import CHART, run_helm

if TYPE_CHECKING:
    from pathlib import Path

HELMS_LABELS: Final = {
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
}
SWITCHES: Final = {
    "monitoring": "monitoring",
    "network-policy": "networkPolicy",
    "validating-admission-policy": "admissionPolicy",
}
"""The values that switch on what kustomize has components for."""


def comparable(objects: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """Return the objects by kind and name, without what is Helm's alone, and with variables in no order."""
    found = {}
    for each in objects:
        if each["kind"] == "Namespace":
            continue  # helm makes it, with --create-namespace
        parts = [each, each["spec"]["template"]] if each["kind"] == "Deployment" else [each]
        for part in parts:
            for label in HELMS_LABELS:
                part["metadata"]["labels"].pop(label, None)
            annotations = part["metadata"].pop("annotations", {})
            annotations.pop("helm.sh/resource-policy", None)
            if annotations:
                part["metadata"]["annotations"] = annotations
        if each["kind"] == "Deployment":
            pod_of([each])["containers"][0]["env"].sort(key=lambda variable: variable["name"])
        found[each["kind"], each["metadata"]["name"]] = each
    assert len(found) == len([each for each in objects if each["kind"] != "Namespace"])
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_installs_what_the_overlay_does(tmp_path: Path, overlay: str) -> None:
    """With the values in ``ci`` that are named like it, the chart has the objects of an overlay, and the CRD."""
    ours = comparable(render(tmp_path, overlay))
    crds = [] if overlay == "namespaced" else kustomize(ROOT / "crds")
    assert ours == comparable([*crds, *kustomize(ROOT / "manifests" / "overlays" / overlay)])


def test_components_have_switches() -> None:
    """There is a value for each component."""
    assert sorted(SWITCHES) == COMPONENTS


@pytest.mark.parametrize("component", SWITCHES)
def test_switches_on_what_the_component_has(tmp_path: Path, component: str) -> None:
    """The value of that name adds the very objects of a component."""
    ours = comparable(render(tmp_path, {SWITCHES[component]: {"enabled": True}}))
    assert ours == comparable([*kustomize(ROOT / "crds"), *build(tmp_path, "default", component)])


def test_values_files_have_overlays() -> None:
    """Every file of values in ``ci`` is compared above."""
    assert sorted(path.name for path in (CHART / "ci").iterdir()) == [f"{name}-values.yaml" for name in OVERLAYS]


def test_lint(tmp_path: Path) -> None:
    """``helm lint`` finds nothing to say against it, with any of the values."""
    for path in sorted((CHART / "ci").iterdir()):
        done = run_helm(tmp_path, "lint", "--strict", "--quiet", str(CHART), "--values", str(path))
        assert done.returncode == 0, done.stdout + done.stderr


def test_versions_are_the_projects() -> None:
    """Chart, application and package have one version, and ask for the same Kubernetes as the documents."""
    (chart,) = load("manifests/chart/Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    assert f"Kubernetes {chart['kubeVersion'].removeprefix('>=').removesuffix('.0-0')} or newer" in read("README.md")


def test_crd_can_be_upgraded(tmp_path: Path) -> None:
    """The CRD is a template, which upgrades follow, and is kept when the release goes; it can be left out."""
    assert not (CHART / "crds").exists()
    crd = pick(render(tmp_path), "CustomResourceDefinition")
    (source,) = kustomize(ROOT / "crds")
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep", **source["metadata"]["annotations"]}
    assert "CustomResourceDefinition" not in {each["kind"] for each in render(tmp_path, {"crds": {"enabled": False}})}


def test_monitoring_is_labelled(tmp_path: Path) -> None:
    """What a Prometheus and a Grafana select by is on all that is theirs, and on nothing else."""
    objects = render(tmp_path, {"monitoring": {"enabled": True, "labels": {"release": "prometheus"}}})
    labelled = {each["kind"] for each in objects if each["metadata"]["labels"].get("release") == "prometheus"}
    assert labelled == {"Service", "PodMonitor", "PrometheusRule", "ConfigMap"}
    assert pick(objects, "ConfigMap")["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_packages_what_it_renders(tmp_path: Path) -> None:
    """The packaged chart has the files that it shares with kustomize in it: it renders the same far from here."""
    done = run_helm(tmp_path, "package", str(CHART), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    rendered = run_helm(
        tmp_path, "template", "backupjobwatch", str(tmp_path / f"backupjobwatch-{__version__}.tgz"), "-n", NAMESPACE
    )
    assert list(yaml.safe_load_all(rendered.stdout)) == render(tmp_path, {})


def test_notes_tell_the_next_step(tmp_path: Path) -> None:
    """After an install, people are told who may use the identity, unless that is settled."""
    command = ["install", "backupjobwatch", str(CHART), "-n", NAMESPACE, "--dry-run=client"]
    allowed = "settings.BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES=team-a"
    told = "No namespace may use its Azure identity yet"
    assert told in run_helm(tmp_path, *command).stdout
    assert told not in run_helm(tmp_path, *command, "--set", allowed).stdout


def test_notes_tell_the_label_of_the_namespace(tmp_path: Path) -> None:
    """What kustomize's namespace has and Helm's has not, notes and README have people set."""
    labels = pick(load("manifests/base/namespace.yaml"), "Namespace")["metadata"]["labels"]
    label = "pod-security.kubernetes.io/enforce"
    command = f"kubectl label namespace {NAMESPACE} {label}={labels[label]}"
    notes = run_helm(tmp_path, "install", "backupjobwatch", str(CHART), "-n", NAMESPACE, "--dry-run=client").stdout
    assert command in notes
    assert command in read("README.md")
