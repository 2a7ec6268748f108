"""The Helm chart installs what the overlays of kustomize do, and refuses values that it would not understand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from backupjobwatch import __version__
from backupjobwatch.settings import PREFIX, Settings
from tests.contract.kustomizations import COMPONENTS, OVERLAYS, build, env_of, pod_of
from tests.contract.pod_security import violations
from tests.contract.project import ROOT, Manifest, kustomize, load, pick, read
from tests.support.helm import CHART, run_helm

if TYPE_CHECKING:
    from pathlib import Path

NAMESPACE: Final = "backupjobwatch-system"
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
FIXED: Final = {
    *("PROBE_PORT", "METRICS_PORT"),
    *("LEADER_ELECTION", "LEASE_NAME", "LEASE_NAMESPACE"),
    *("DEVELOPMENT", "DEVELOPMENT_TOKEN"),
}
"""Settings that are no values: the pod's ports are fixed, ``replicas`` decides, and never set in a cluster."""


def render(home: Path, values: str | dict[str, Any] = "", *args: str) -> list[Manifest]:
    """Return what the chart makes of a file of values, by the name of that file in ``ci``, or of values themselves."""
    if isinstance(values, dict):
        path = home / "values.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
    else:
        path = CHART / "ci" / f"{values or 'default'}-values.yaml"
    command = ["template", "backupjobwatch", str(CHART), "--namespace", NAMESPACE, "--values", str(path), *args]
    done = run_helm(home, *command)
    assert (done.returncode, done.stderr) == (0, "")
    return [value for value in yaml.safe_load_all(done.stdout) if value is not None]


def refusal(home: Path, *settings: str) -> str:
    """Return what helm says of values that it refuses."""
    sets = [part for each in settings for part in ("--set", each)]
    done = run_helm(home, "template", "backupjobwatch", str(CHART), *sets)
    assert done.returncode != 0
    return done.stderr


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
    """With the values in ``ci`` that are named like it, the chart has the very objects of an overlay."""
    ours = comparable(render(tmp_path, overlay))
    assert ours == comparable(kustomize(ROOT / "manifests" / "overlays" / overlay))


def test_components_have_switches() -> None:
    """There is a value for each component."""
    assert sorted(SWITCHES) == COMPONENTS


@pytest.mark.parametrize("component", SWITCHES)
def test_switches_on_what_the_component_has(tmp_path: Path, component: str) -> None:
    """The value of that name adds the very objects of a component."""
    ours = comparable(render(tmp_path, {SWITCHES[component]: {"enabled": True}}))
    assert ours == comparable(build(tmp_path, "default", component))


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
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert "CustomResourceDefinition" not in {each["kind"] for each in render(tmp_path, {"crds": {"enabled": False}})}


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({}, f"backupjobwatch:{__version__}"),
        ({"repository": "r.example.com:5000/b"}, f"r.example.com:5000/b:{__version__}"),
        ({"repository": "r.example.com/b", "tag": "t"}, "r.example.com/b:t"),
        ({"tag": "t", "digest": "sha256:" + "a" * 64}, "backupjobwatch@sha256:" + "a" * 64),
    ],
)
def test_image(tmp_path: Path, values: dict[str, str], image: str) -> None:
    """A digest wins over a tag, and without either the image is of the chart's version."""
    assert pod_of(render(tmp_path, {"image": values}))["containers"][0]["image"] == image


def test_values_reach_the_pod(tmp_path: Path) -> None:
    """What is said of the pod is in it, added to what was there, and it stays a restricted one."""
    resources = {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}
    said = {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "my-registry"}],
    }
    more = {"podLabels": {"team": "a"}, "podAnnotations": {"b": "c"}, "resources": resources}
    objects = render(tmp_path, {**said, **more, "serviceAccount": {"annotations": {"d": "e"}}})
    template = pick(objects, "Deployment")["spec"]["template"]
    assert said.items() <= template["spec"].items()
    assert template["metadata"]["labels"]["team"] == "a"
    assert template["metadata"]["labels"]["app.kubernetes.io/component"] == "operator"
    assert template["metadata"]["annotations"] == {"b": "c"}
    assert template["spec"]["containers"][0]["resources"] == resources
    assert pick(objects, "ServiceAccount")["metadata"]["annotations"] == {"d": "e"}
    assert violations(template["spec"]) == []


def test_files_that_settings_name(tmp_path: Path) -> None:
    """Volumes and where they are mounted are added to those of the base."""
    volume = {"name": "ca", "configMap": {"name": "my-ca"}}
    mount = {"name": "ca", "mountPath": "/etc/my-ca", "readOnly": True}
    before = pod_of(render(tmp_path))
    pod = pod_of(render(tmp_path, {"extraVolumes": [volume], "extraVolumeMounts": [mount]}))
    assert pod["volumes"] == [*before["volumes"], volume]
    assert pod["containers"][0]["volumeMounts"] == [*before["containers"][0]["volumeMounts"], mount]


@pytest.mark.parametrize("replicas", [0, 1, 2, 3])
def test_several_pods_elect(tmp_path: Path, replicas: int) -> None:
    """More than one pod elect, with a right to the Lease; none are updated as if they did not."""
    objects = render(tmp_path, {"replicas": replicas, "namespaced": True})
    spec = pick(objects, "Deployment")["spec"]
    assert spec["replicas"] == replicas
    elects = replicas > 1
    assert ("BACKUPJOBWATCH_LEADER_ELECTION" in env_of(objects)) is elects
    assert ("backupjobwatch-lease" in {each["metadata"]["name"] for each in objects}) is elects
    assert spec["strategy"]["type"] == ("RollingUpdate" if elects else "Recreate")


def test_monitoring_is_labelled(tmp_path: Path) -> None:
    """What a Prometheus and a Grafana select by is on all that is theirs, and on nothing else."""
    objects = render(tmp_path, {"monitoring": {"enabled": True, "labels": {"release": "prometheus"}}})
    labelled = {each["kind"] for each in objects if each["metadata"]["labels"].get("release") == "prometheus"}
    assert labelled == {"Service", "PodMonitor", "PrometheusRule", "ConfigMap"}
    assert pick(objects, "ConfigMap")["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_variables(tmp_path: Path) -> None:
    """Settings are variables of the pod, as text; more can be added, null leaves one out, and none is there twice."""
    values = {
        "settings": {
            "BACKUPJOBWATCH_AZURE_READS_PER_SECOND": 1.5,
            "BACKUPJOBWATCH_AZURE_CONNECTIONS": 16,
            "BACKUPJOBWATCH_LOG_FORMAT": None,
            "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES": "team-a,team-b",
        },
        "extraEnv": [
            {"name": "AZURE_CLIENT_ID", "value": "c"},
            {"name": "BACKUPJOBWATCH_AZURE_CONNECTIONS", "value": "4"},
        ],
    }
    assert env_of(render(tmp_path, values)) == {
        "AZURE_CLIENT_ID": "c",
        "BACKUPJOBWATCH_AZURE_CONNECTIONS": "4",
        "BACKUPJOBWATCH_AZURE_READS_PER_SECOND": "1.5",
        "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES": "team-a,team-b",
    }


def test_schema_knows_the_settings() -> None:
    """The values' schema has every setting, and none that does not exist."""
    schema = json.loads(read("manifests/chart/values.schema.json"))
    settings = {name.upper() for name in Settings.model_fields} - FIXED
    assert {name.removeprefix(PREFIX) for name in schema["properties"]["settings"]["properties"]} == settings


def test_schema_knows_the_values() -> None:
    """Every value that has a default is in the schema, and the other way round."""
    schema = json.loads(read("manifests/chart/values.schema.json"))
    (values,) = load("manifests/chart/values.yaml")
    assert schema["properties"].keys() - {"global"} == values.keys()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("image.digest=1.2.3", "/image/digest"),
        ("image.repository=r/b@sha256:0", "/image/repository"),
        ("settings.BACKUPJOBWATCH_HEARTBEET=1m", "'BACKUPJOBWATCH_HEARTBEET' not allowed"),
        ("azure.workloadIdentity.clientId=CLIENT-ID", "/azure/workloadIdentity/clientId"),
        ("azure.servicePrincipal.secretName=My_Secret", "/azure/servicePrincipal/secretName"),
        ("networkPolicy=true", "/networkPolicy"),
        ("replicaCount=2", "'replicaCount' not allowed"),
        ("replicas=two", "/replicas"),
        ("settings.BACKUPJOBWATCH_LEADER_ELECTION=true", "'BACKUPJOBWATCH_LEADER_ELECTION' not allowed"),
        ("monitoring.labels.release=1", "/monitoring/labels/release"),
    ],
)
def test_refuses_bad_values(tmp_path: Path, setting: str, words: str) -> None:
    """A value that is misspelt or of another form is refused, by its path."""
    assert words in refusal(tmp_path, setting)


def test_refuses_two_identities(tmp_path: Path) -> None:
    """The operator has one Azure identity, or none."""
    client = "azure.workloadIdentity.clientId=00000000-0000-0000-0000-000000000000"
    assert "not both" in refusal(tmp_path, client, "azure.servicePrincipal.secretName=s")


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
