"""The values of the Helm chart reach what they are for, and those that it would not understand are refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from backupjobwatch import __version__
from backupjobwatch.settings import PREFIX, RENAMED, Settings
from tests.contract.chart import refusal, render
from tests.contract.kustomizations import env_of, pod_of
from tests.contract.markdown import blocks
from tests.contract.pod_security import violations
from tests.contract.project import load, pick, read

if TYPE_CHECKING:
    from pathlib import Path

FIXED: Final = {
    *("PROBE_PORT", "METRICS_PORT"),
    *("LEADER_ELECTION", "LEASE_NAME", "LEASE_NAMESPACE"),
    *("DEVELOPMENT", "DEVELOPMENT_TOKEN"),
}
"""Settings that are no values: the pod's ports are fixed, ``replicas`` decides, and never set in a cluster."""


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


def test_runbooks_are_where_it_is_said(tmp_path: Path) -> None:
    """Alerts link to the runbooks of the value."""
    url = "https://wiki.example.com/runbooks"
    rule = pick(render(tmp_path, {"monitoring": {"enabled": True, "runbookUrl": url}}), "PrometheusRule")
    for alert in rule["spec"]["groups"][0]["rules"]:
        assert alert["annotations"]["runbook_url"] == f"{url}/{alert['alert']}.md"


def test_variables(tmp_path: Path) -> None:
    """Settings are variables of the pod, as text; more can be added, null leaves one out, and none is there twice."""
    values = {
        "settings": {
            "BACKUPJOBWATCH_AZURE_READS_PER_SECOND": 1.5,
            "BACKUPJOBWATCH_AZURE_CONNECTIONS": 16,
            "BACKUPJOBWATCH_CLOUD": None,  # it has no default in the chart
            "BACKUPJOBWATCH_LOG_FORMAT": None,
            "BACKUPJOBWATCH_METRICS_WATCH_LIMIT": 10_000_000,
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
        "BACKUPJOBWATCH_METRICS_WATCH_LIMIT": "10000000",
        "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES": "team-a,team-b",
    }


def test_schema_knows_the_settings() -> None:
    """The values' schema has every setting, old names included, and none that does not exist."""
    schema = json.loads(read("manifests/chart/values.schema.json"))
    settings = ({name.upper() for name in Settings.model_fields} | RENAMED.keys()) - FIXED
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
        ("monitoring.runbookUrl=docs/runbooks", "/monitoring/runbookUrl"),
        ("monitoring.labels.release=1", "/monitoring/labels/release"),
    ],
)
def test_refuses_bad_values(tmp_path: Path, setting: str, words: str) -> None:
    """A value that is misspelt or of another form is refused, by its path."""
    assert words in refusal(tmp_path, setting)


def test_null_is_the_default(tmp_path: Path) -> None:
    """A value that is null is as if it were not said, where nothing is the default; elsewhere it is refused, by name."""
    (values,) = load("manifests/chart/values.yaml")
    schema = json.loads(read("manifests/chart/values.schema.json"))
    needed = set(schema["required"])
    nulls = dict.fromkeys(values.keys() - needed)
    assert render(tmp_path, {**nulls, "image": {"tag": None, "digest": None}}) == render(tmp_path, {})
    labels = {"enabled": True, "labels": None}
    assert render(tmp_path, {"monitoring": labels, "serviceAccount": {"annotations": None}})
    for names in (needed, {"azure.servicePrincipal", "azure.workloadIdentity", "crds.enabled"}):
        said = refusal(tmp_path, *(f"{name}=null" for name in names))
        assert {name for name in names if f"'{name.rpartition('.')[2]}'" not in said} == set()
    assert {name for name, value in values.items() if value} <= needed


@pytest.mark.parametrize("name", ["BACKUPJOBWATCH_NAMESPACES", "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES"])
def test_a_teams_own_operator_is_for_its_namespace(tmp_path: Path, name: str) -> None:
    """Other namespaces for a team's own operator are refused, and not forgotten."""
    assert f"leave settings.{name} out" in refusal(tmp_path, "namespaced=true", f"settings.{name}=team-b")


def test_refuses_two_identities(tmp_path: Path) -> None:
    """The operator has one Azure identity, or none."""
    client = "azure.workloadIdentity.clientId=00000000-0000-0000-0000-000000000000"
    assert "not both" in refusal(tmp_path, client, "azure.servicePrincipal.secretName=s")


def test_a_private_ca(tmp_path: Path) -> None:
    """The document's values mount the CA file where its setting says."""
    (text,) = (each for each in blocks(read("docs/azure-access.md"), "yaml") if "extraVolumes" in each)
    objects = render(tmp_path, yaml.safe_load(text))
    path = env_of(objects)["BACKUPJOBWATCH_AZURE_CA_FILE"]
    (volume,) = (each for each in pod_of(objects)["volumes"] if "configMap" in each)
    (mount,) = (each for each in pod_of(objects)["containers"][0]["volumeMounts"] if each["name"] == volume["name"])
    assert (volume["configMap"]["name"], path) == ("azure-ca", f"{mount['mountPath']}/ca.pem")
