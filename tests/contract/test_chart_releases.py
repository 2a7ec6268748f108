"""Several releases of the Helm chart, with any names, do not conflict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from backupjobwatch.settings import Settings
from tests.contract.chart import EVERYTHING, render
from tests.contract.kustomizations import env_of, pod_of
from tests.contract.project import pick
from tests.support.documents import load_documents
from tests.support.helm import CHART, run_helm

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.project import Manifest


def named(home: Path, release: str, values: dict[str, Any]) -> list[Manifest]:
    """Render the chart for a release with another name."""
    path = home / "values.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    done = run_helm(home, "template", release, str(CHART), "--namespace", "elsewhere", "--values", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    return load_documents(done.stdout)


@pytest.mark.parametrize("release", ["backupjobwatch", "shard-a", "my-backupjobwatch", "a" * 53])
def test_any_release_name(tmp_path: Path, release: str) -> None:
    """All objects contain the release name, their references resolve, and selectors match only its pods."""
    objects = named(tmp_path, release, {**EVERYTHING, "watchNamespaces": ["team-a"]})
    fullname = pick(objects, "Deployment")["metadata"]["name"]
    assert fullname == (release if "backupjobwatch" in release else f"{release}-backupjobwatch"[:54].rstrip("-"))
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(set(names)) == len(names)
    for each in objects:
        assert each["metadata"]["name"].startswith(fullname)
        assert len(each["metadata"]["name"]) <= 63 or each["kind"] != "Service"
        assert each["metadata"]["labels"]["app.kubernetes.io/instance"] == release
        if "roleRef" in each:
            assert (each["roleRef"]["kind"], each["roleRef"]["name"]) in names
            assert {("ServiceAccount", subject["name"]) for subject in each["subjects"]} <= set(names)
    lease = pick(objects, "Role", f"{fullname}-lease")["rules"][1]["resourceNames"]
    assert lease == [env_of(objects).get("BACKUPJOBWATCH_LEASE_NAME", Settings().lease_name)] == [fullname]
    policy = pick(objects, "ValidatingAdmissionPolicyBinding")["spec"]["policyName"]
    assert ("ValidatingAdmissionPolicy", policy) in names
    template = pick(objects, "Deployment")["spec"]["template"]
    assert template["spec"]["serviceAccountName"] == fullname
    for selector in selectors(objects):
        assert selector["app.kubernetes.io/instance"] == release
        assert selector.items() <= template["metadata"]["labels"].items()
    (alert,) = (
        rule
        for rule in pick(objects, "PrometheusRule")["spec"]["groups"][0]["rules"]
        if rule["alert"] == "BackupJobWatchDown"
    )
    assert f'app_kubernetes_io_instance="{release}"' in alert["expr"]


def test_releases_share_no_object(tmp_path: Path) -> None:
    """Two releases in one namespace share no objects, including cluster-scoped ones."""
    first, second = (
        {(each["kind"], each["metadata"]["name"]) for each in named(tmp_path, release, EVERYTHING)}
        for release in ("backupjobwatch", "shard-b")
    )
    assert first
    assert not first & second


def test_overridden_names(tmp_path: Path) -> None:
    """``fullnameOverride`` sets the object names, and ``nameOverride`` the application name."""
    objects = render(tmp_path, {**EVERYTHING, "fullnameOverride": "bjw", "nameOverride": "jobs"})
    assert {each["metadata"]["name"].partition("-")[0] for each in objects} == {"bjw"}
    assert {each["metadata"]["labels"]["app.kubernetes.io/name"] for each in objects} == {"jobs"}
    template = pick(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert all(selector.items() <= template.items() for selector in selectors(objects))
    assert pick(named(tmp_path, "r", {"nameOverride": "jobs"}), "Deployment")["metadata"]["name"] == "r-jobs"


def selectors(objects: list[Manifest]) -> list[dict[str, str]]:
    """Return all pod selectors."""
    found = [
        each["spec"]["selector"].get("matchLabels", each["spec"]["selector"])
        for each in objects
        if each["kind"] in ("Deployment", "PodDisruptionBudget", "PodMonitor", "Service")
    ]
    found.append(pick(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"])
    found += [each["labelSelector"]["matchLabels"] for each in pod_of(objects)["topologySpreadConstraints"]]
    assert len(found) == 7
    return found
