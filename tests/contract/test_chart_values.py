"""The Helm values take effect, and the chart refuses invalid ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from backupjobwatch import __version__
from tests.contract.chart import EVERYTHING, refusal, render
from tests.contract.kustomizations import env_of, pod_of
from tests.contract.markdown import blocks
from tests.contract.pod_security import violations
from tests.contract.project import pick, read

if TYPE_CHECKING:
    from pathlib import Path


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
    """A digest wins over a tag. Without either, the image has the chart's version."""
    assert pod_of(render(tmp_path, {"image": values}))["containers"][0]["image"] == image


def test_values_reach_the_pod(tmp_path: Path) -> None:
    """Pod values extend those of the base, and the pod stays restricted."""
    resources = {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}
    said = {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [{"topologyKey": "kubernetes.io/hostname", "maxSkew": 2}],
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "my-registry"}],
    }
    more = {
        "podLabels": {"team": "a"},
        "podAnnotations": {"b": "c"},
        "resources": resources,
        "podSecurityContext": {"fsGroup": 65532},
        "securityContext": {"runAsGroup": 65532},
        "image": {"pullPolicy": "Always"},
        "extraArgs": ["--help"],
    }
    objects = render(
        tmp_path, {**said, **more, "replicaCount": 2, "serviceAccount": {"annotations": {"d": "e"}, "name": "f"}}
    )
    template = pick(objects, "Deployment")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert said.items() <= template["spec"].items()
    assert template["metadata"]["labels"]["team"] == "a"
    assert template["metadata"]["labels"]["app.kubernetes.io/component"] == "operator"
    assert template["metadata"]["annotations"] == {"b": "c"}
    assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert container["resources"]["requests"] == {"cpu": "1", "memory": "128Mi"}
    assert (container["imagePullPolicy"], container["args"]) == ("Always", ["run", "--help"])
    assert template["spec"]["securityContext"]["fsGroup"] == 65532
    assert container["securityContext"]["runAsGroup"] == 65532
    account = pick(objects, "ServiceAccount")["metadata"]
    assert (account["name"], account["annotations"]) == ("f", {"d": "e"})
    assert violations(template["spec"]) == []


def test_an_existing_service_account(tmp_path: Path) -> None:
    """The pods and the bindings use an existing ServiceAccount, and the chart creates none."""
    objects = render(tmp_path, {"serviceAccount": {"create": False, "name": "mine"}, "replicaCount": 2})
    assert "ServiceAccount" not in {each["kind"] for each in objects}
    assert pod_of(objects)["serviceAccountName"] == "mine"
    subjects = [subject["name"] for each in objects if "subjects" in each for subject in each["subjects"]]
    assert set(subjects) == {"mine"}
    assert pod_of(render(tmp_path, {"serviceAccount": {"create": False}}))["serviceAccountName"] == "default"


def test_without_roles(tmp_path: Path) -> None:
    """Without ``rbac.create``, the chart has no RBAC objects. Without aggregation, it has no roles for users."""
    kinds = {each["kind"] for each in render(tmp_path, {"rbac": {"create": False}, "replicaCount": 2})}
    assert not {kind for kind in kinds if "Role" in kind}
    names = {each["metadata"]["name"] for each in render(tmp_path, {"rbac": {"aggregateClusterRoles": False}})}
    assert not names & {"backupjobwatch-view", "backupjobwatch-edit"}


def test_common_labels(tmp_path: Path) -> None:
    """All objects and pods have the common labels. Selectors and the chart's own labels do not change."""
    labels = {"team": "a", "app.kubernetes.io/name": "b"}
    objects = render(tmp_path, {**EVERYTHING, "commonLabels": labels})
    plain = render(tmp_path, EVERYTHING)
    for each, before in zip(objects, plain, strict=True):
        assert each["metadata"].pop("labels") == {**before["metadata"].pop("labels"), "team": "a"}
    for found in (objects, plain):
        pick(found, "Deployment")["spec"]["template"]["metadata"]["labels"].pop("team", None)
    assert objects == plain


def test_disruption_budget(tmp_path: Path) -> None:
    """A PodDisruptionBudget sets one of its two limits, is optional, and requires several pods."""
    for value, key, number in (
        ({}, "maxUnavailable", 1),
        ({"maxUnavailable": "50%"}, "maxUnavailable", "50%"),
        ({"minAvailable": 0}, "minAvailable", 0),
    ):
        budget = pick(render(tmp_path, {"replicaCount": 2, "podDisruptionBudget": value}), "PodDisruptionBudget")
        assert {each: budget["spec"].get(each) for each in ("maxUnavailable", "minAvailable")} == {
            "maxUnavailable": None,
            "minAvailable": None,
            key: number,
        }
    for values in ({"replicaCount": 2, "podDisruptionBudget": {"enabled": False}}, {}):
        assert "PodDisruptionBudget" not in {each["kind"] for each in render(tmp_path, values)}


def test_files_that_settings_name(tmp_path: Path) -> None:
    """The chart adds volumes and volume mounts to those of the base."""
    volume = {"name": "ca", "configMap": {"name": "my-ca"}}
    mount = {"name": "ca", "mountPath": "/etc/my-ca", "readOnly": True}
    before = pod_of(render(tmp_path))
    pod = pod_of(render(tmp_path, {"extraVolumes": [volume], "extraVolumeMounts": [mount]}))
    assert pod["volumes"] == [*before["volumes"], volume]
    assert pod["containers"][0]["volumeMounts"] == [*before["containers"][0]["volumeMounts"], mount]


@pytest.mark.parametrize("replicas", [0, 1, 2, 3])
def test_several_pods_elect(tmp_path: Path, replicas: int) -> None:
    """Several pods elect a leader, have access to the Lease, and are updated one by one."""
    objects = render(tmp_path, {"replicaCount": replicas, "namespaced": True})
    spec = pick(objects, "Deployment")["spec"]
    assert spec["replicas"] == replicas
    elects = replicas > 1
    assert ("BACKUPJOBWATCH_LEADER_ELECTION" in env_of(objects)) is elects
    assert ("backupjobwatch-lease" in {each["metadata"]["name"] for each in objects}) is elects
    assert spec["strategy"]["type"] == ("RollingUpdate" if elects else "Recreate")


def test_alerts_link_to_the_runbook_url(tmp_path: Path) -> None:
    """Alerts link to the runbook URL from the values."""
    url = "https://wiki.example.com/runbooks"
    rule = pick(render(tmp_path, {"monitoring": {"enabled": True, "runbookUrl": url}}), "PrometheusRule")
    for alert in rule["spec"]["groups"][0]["rules"]:
        assert alert["annotations"]["runbook_url"] == f"{url}/{alert['alert']}.md"


def test_parts_of_the_monitoring(tmp_path: Path) -> None:
    """Each part is optional, both monitors use the interval, and the chart refuses two monitors together."""
    parts = {"podMonitor": "PodMonitor", "prometheusRule": "PrometheusRule", "dashboard": "ConfigMap"}
    for part, kind in parts.items():
        kinds = {each["kind"] for each in render(tmp_path, {"monitoring": {"enabled": True, part: {"enabled": False}}})}
        assert kind not in kinds
        assert {"Service", *parts.values()} - {kind} <= kinds
    monitors = {
        "enabled": True,
        "interval": "1m",
        "serviceMonitor": {"enabled": True},
        "podMonitor": {"enabled": False},
    }
    objects = render(tmp_path, {"monitoring": monitors})
    (endpoint,) = pick(objects, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["interval"] == "1m"
    assert "twice" in refusal(tmp_path, "monitoring.enabled=true", "monitoring.serviceMonitor.enabled=true")


def test_variables(tmp_path: Path) -> None:
    """Settings become string variables of the pod. ``extraEnv`` adds or replaces them, and null removes one."""
    values = {
        "settings": {
            "BACKUPJOBWATCH_AZURE_READS_PER_SECOND": 1.5,
            "BACKUPJOBWATCH_AZURE_CONNECTIONS": 16,
            "BACKUPJOBWATCH_CLOUD": None,  # the chart has no default for it
            "BACKUPJOBWATCH_LOG_FORMAT": None,
            "BACKUPJOBWATCH_METRICS_WATCH_LIMIT": 10_000_000,
        },
        "operatorIdentityNamespaces": ["team-a", "team-b"],
        "watchNamespaces": ["team-a", "team-b", "team-c"],
        "extraEnv": [
            {"name": "AZURE_CLIENT_ID", "value": "c"},
            {"name": "BACKUPJOBWATCH_AZURE_CONNECTIONS", "value": "4"},
        ],
    }
    assert env_of(render(tmp_path, values)) == {
        "AZURE_CLIENT_ID": "c",
        "BACKUPJOBWATCH_AZURE_CONNECTIONS": "4",
        "BACKUPJOBWATCH_AZURE_READS_PER_SECOND": "1.5",
        "BACKUPJOBWATCH_METRICS_WATCH_LIMIT": "10000000",
        "BACKUPJOBWATCH_NAMESPACES": "team-a,team-b,team-c",
        "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES": "team-a,team-b",
    }


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("operatorIdentityNamespaces", "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES"),
        ("watchNamespaces", "BACKUPJOBWATCH_NAMESPACES"),
    ],
)
def test_lists_of_namespaces(tmp_path: Path, key: str, name: str) -> None:
    """A namespace list can be a setting or a value, but not both, and not for a single team's operator."""
    assert env_of(render(tmp_path, {"settings": {name: "a,b"}})) == env_of(render(tmp_path, {key: ["a", "b"]}))
    assert f"set {key} or settings.{name}, not both" in refusal(tmp_path, f"{key}={{a}}", f"settings.{name}=a")
    assert f"remove {key}" in refusal(tmp_path, "namespaced=true", f"{key}={{a}}")
    assert f"remove settings.{name}" in refusal(tmp_path, "namespaced=true", f"settings.{name}=team-b")
    assert f"/{key}/0" in refusal(tmp_path, f"{key}={{A b}}")


def test_on_demand(tmp_path: Path) -> None:
    """No namespace may request backups by default. A single team's operator can allow its own namespace."""
    name = "BACKUPJOBWATCH_ON_DEMAND_NAMESPACES"
    assert name not in env_of(render(tmp_path, {}))
    for values in ({"settings": {name: "a,b"}}, {"onDemandNamespaces": ["a", "b"]}):
        assert env_of(render(tmp_path, values))[name] == "a,b"
    assert env_of(render(tmp_path, {"namespaced": True, "onDemandNamespaces": ["*"]}))[name] == "*"
    assert "not both" in refusal(tmp_path, "onDemandNamespaces={a}", f"settings.{name}=a")
    assert "/onDemandNamespaces/0" in refusal(tmp_path, "onDemandNamespaces={A b}")


def test_refuses_two_identities(tmp_path: Path) -> None:
    """The operator has at most one Azure identity."""
    client = "azure.workloadIdentity.clientId=00000000-0000-0000-0000-000000000000"
    assert "not both" in refusal(tmp_path, client, "azure.servicePrincipal.secretName=s")


def test_a_private_ca(tmp_path: Path) -> None:
    """The documented values mount the CA file at the path of its setting."""
    (text,) = (each for each in blocks(read("docs/azure-access.md"), "yaml") if "extraVolumes" in each)
    objects = render(tmp_path, yaml.safe_load(text))
    path = env_of(objects)["BACKUPJOBWATCH_AZURE_CA_FILE"]
    (volume,) = (each for each in pod_of(objects)["volumes"] if "configMap" in each)
    (mount,) = (each for each in pod_of(objects)["containers"][0]["volumeMounts"] if each["name"] == volume["name"])
    assert (volume["configMap"]["name"], path) == ("azure-ca", f"{mount['mountPath']}/ca.pem")
