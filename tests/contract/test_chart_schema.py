"""The schema of the Helm values describes each value and refuses unknown ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from backupjobwatch.settings import PREFIX, RENAMED, Settings
from tests.contract.chart import refusal, render
from tests.contract.kustomizations import pod_of
from tests.contract.project import load, read
from tests.support.chart_reference import is_section, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


FIXED: Final = {
    *("PROBE_PORT", "METRICS_PORT"),
    *("LEADER_ELECTION", "LEASE_NAME", "LEASE_NAMESPACE"),
    *("DEVELOPMENT", "DEVELOPMENT_TOKEN"),
}
"""Settings that are not values: fixed ports, settings derived from ``replicaCount``, and development settings."""


def test_schema_knows_the_settings() -> None:
    """The values schema has exactly the existing settings, including their old names."""
    schema = json.loads(read("manifests/chart/values.schema.json"))
    settings = ({name.upper() for name in Settings.model_fields} | RENAMED.keys()) - FIXED
    assert {name.removeprefix(PREFIX) for name in schema["properties"]["settings"]["properties"]} == settings


@pytest.mark.parametrize("folder", ["manifests/chart", "manifests/chart-crds"])
def test_schema_knows_the_values(folder: str) -> None:
    """The defaults and the schema have the same values, each with a description."""
    schema = json.loads(read(f"{folder}/values.schema.json"))
    (values,) = load(f"{folder}/values.yaml")
    assert schema["additionalProperties"] is False
    paths = {path: text for path, _, text in rows(schema, values)}
    assert paths.keys() == set(leaves(schema, values))
    assert all(text.endswith((".", "`.", "**")) for text in paths.values())
    assert schema["properties"].keys() - {"global"} == values.keys()


def leaves(schema: dict[str, Any], values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the paths of the values, as deep as the schema describes them."""
    for name, value in values.items():
        each = schema["properties"][name]
        if is_section(each):
            assert each["additionalProperties"] is False
            yield from leaves(each, value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("image.digest=1.2.3", "/image/digest"),
        ("image.repository=r/b@sha256:0", "/image/repository"),
        ("settings.BACKUPJOBWATCH_HEARTBEET=1m", "'BACKUPJOBWATCH_HEARTBEET' not allowed"),
        ("azure.workloadIdentity.clientId=CLIENT-ID", "/azure/workloadIdentity/clientId"),
        ("azure.servicePrincipal.secretName=My_Secret", "/azure/servicePrincipal/secretName"),
        ("networkPolicy=true", "/networkPolicy"),
        ("replicas=2", "'replicas' not allowed"),
        ("crds.enabled=true", "'crds' not allowed"),
        ("replicaCount=two", "/replicaCount"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("fullnameOverride=My_Name", "/fullnameOverride"),
        ("monitoring.interval=often", "/monitoring/interval"),
        ("settings.BACKUPJOBWATCH_LEADER_ELECTION=true", "'BACKUPJOBWATCH_LEADER_ELECTION' not allowed"),
        ("monitoring.runbookUrl=docs/runbooks", "/monitoring/runbookUrl"),
        ("monitoring.labels.release=1", "/monitoring/labels/release"),
    ],
)
def test_refuses_bad_values(tmp_path: Path, setting: str, words: str) -> None:
    """The schema refuses a misspelt value or a value of the wrong type, and names its path."""
    assert words in refusal(tmp_path, setting)


def test_null(tmp_path: Path) -> None:
    """Null removes a pod setting or a value with an empty default. For any other value, the error names the value."""
    (values,) = load("manifests/chart/values.yaml")
    schema = json.loads(read("manifests/chart/values.schema.json"))
    needed = set(schema["required"])
    removed = {"resources", "podSecurityContext", "securityContext"}
    assert {name for name, value in values.items() if value} <= needed | removed
    nulls = dict.fromkeys(values.keys() - needed - removed)
    assert render(tmp_path, {**nulls, "image": {"tag": None, "digest": None}}) == render(tmp_path, {})
    labels = {"enabled": True, "labels": None}
    assert render(tmp_path, {"monitoring": labels, "serviceAccount": {"annotations": None}})
    pod = pod_of(render(tmp_path, dict.fromkeys(removed)))
    assert not removed & (pod.keys() | pod["containers"][0].keys() | {"securityContext"} & pod.keys())
    for names in (needed, {"azure.servicePrincipal", "azure.workloadIdentity"}):
        said = refusal(tmp_path, *(f"{name}=null" for name in names))
        assert {name for name in names if f"'{name.rpartition('.')[2]}'" not in said} == set()
