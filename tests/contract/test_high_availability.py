"""Operator replicas elect a leader, do not block each other, and have the permissions that they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from backupjobwatch.settings import PREFIX, Settings, load_settings
from tests.contract.project import ROOT, Manifest, kustomize, pick

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAMESPACE: Final = "backupjobwatch-system"
DOWNWARD: Final = {"fieldRef": {"fieldPath": "metadata.namespace"}}
HA: Final = ROOT / "manifests" / "overlays" / "ha"
SHARDED: Final = ROOT / "manifests" / "samples" / "sharded"


@pytest.fixture(scope="module")
def ha() -> list[Manifest]:
    return kustomize(HA)


@pytest.fixture(scope="module")
def sharded() -> list[Manifest]:
    return kustomize(SHARDED)


def every(objects: Iterable[Manifest], kind: str) -> list[Manifest]:
    return [each for each in objects if each["kind"] == kind]


def settings_of(monkeypatch: pytest.MonkeyPatch, deployment: Manifest) -> Settings:
    """Load the settings from a Deployment's variables."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        if variable["name"].startswith(PREFIX):
            value = variable["value"] if "value" in variable else deployment["metadata"]["namespace"]
            assert "value" in variable or variable["valueFrom"] == DOWNWARD
            monkeypatch.setenv(variable["name"], value)
    return load_settings()


def lease_rules(name: str, *others: str) -> list[dict[str, Any]]:
    leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    return [{**leases, "verbs": ["create"]}, {**leases, "resourceNames": [name, *others], "verbs": ["get", "update"]}]


def test_ha_adds_to_the_base(ha: list[Manifest]) -> None:
    """``ha`` changes only the base's Deployment, and adds a Role, a RoleBinding and a PodDisruptionBudget."""
    base = kustomize(ROOT / "manifests" / "base")
    kinds = [each["kind"] for each in ha if each not in base]
    assert sorted(kinds) == ["Deployment", "PodDisruptionBudget", "Role", "RoleBinding"]


def test_ha_elects(ha: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pods elect a leader with a Lease in their own namespace."""
    deployment = pick(ha, "Deployment")
    assert deployment["spec"]["replicas"] == 2
    settings = settings_of(monkeypatch, deployment)
    assert (settings.leader_election, settings.lease_namespace) == (True, NAMESPACE)


def test_ha_may_use_its_lease(ha: list[Manifest]) -> None:
    """The pods' ServiceAccount can create Leases, and get and update only its own Lease."""
    role, binding = (pick(ha, kind, "backupjobwatch-lease") for kind in ("Role", "RoleBinding"))
    account = pick(ha, "ServiceAccount")["metadata"]
    assert role["rules"] == lease_rules(Settings().lease_name)
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["name"], "namespace": NAMESPACE}]
    assert {each["metadata"]["namespace"] for each in (role, binding)} == {NAMESPACE}


def test_updates_and_drains_do_not_hang(ha: list[Manifest]) -> None:
    """Rolling updates and node drains cannot hang, and each leaves one pod running."""
    strategy = pick(ha, "Deployment")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
    budget = pick(ha, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_pods_are_apart_where_they_can_be(ha: list[Manifest]) -> None:
    """Pods of one version spread across nodes and zones if possible, and still run on a single node."""
    spec = pick(ha, "Deployment")["spec"]
    constraints = spec["template"]["spec"]["topologySpreadConstraints"]
    keys = [each["topologyKey"] for each in constraints]
    assert keys == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    for each in constraints:
        assert (each["whenUnsatisfiable"], each["matchLabelKeys"]) == ("ScheduleAnyway", ["pod-template-hash"])


@pytest.mark.parametrize("folder", [HA, SHARDED], ids=lambda path: path.name)
def test_selectors_find_their_own_pods(folder: Path) -> None:
    """Budgets, constraints and Deployments select the pods of one Deployment, and each Deployment has a budget."""
    objects = kustomize(folder)
    deployments, budgets = every(objects, "Deployment"), every(objects, "PodDisruptionBudget")
    assert len(deployments) == len(budgets) > 0
    for deployment, budget in zip(deployments, budgets, strict=True):
        template, selector = deployment["spec"]["template"], deployment["spec"]["selector"]
        jitter = [each["labelSelector"] for each in template["spec"]["topologySpreadConstraints"]]
        assert [selector] * 3 == [budget["spec"]["selector"], *jitter]
        found = [
            each["metadata"]["name"]
            for each in deployments
            if selector["matchLabels"].items() <= each["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert found == [deployment["metadata"]["name"]]


def test_shards_share_nothing_but_their_rights(sharded: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shard has its own Lease and namespaces, and no shard watches all namespaces."""
    shards = [settings_of(monkeypatch, each) for each in every(sharded, "Deployment")]
    leases = [shard.lease_name for shard in shards]
    namespaces = [namespace for shard in shards for namespace in shard.namespaces]
    assert all(shard.leader_election and shard.namespaces for shard in shards)
    assert len(set(leases)) == len(shards) == 2
    assert len(set(namespaces)) == len(namespaces)
    assert pick(sharded, "Role", "backupjobwatch-lease")["rules"] == lease_rules(*leases)
    account = pick(sharded, "ServiceAccount")["metadata"]["name"]
    for each in every(sharded, "Deployment"):
        assert each["spec"]["template"]["spec"]["serviceAccountName"] == account


def test_shards_have_all_that_the_base_has(sharded: list[Manifest]) -> None:
    """The shards contain each object of the base once and unchanged, except the Deployment."""
    base = kustomize(ROOT / "manifests" / "base")
    assert all(each in sharded for each in base if each["kind"] != "Deployment")
    names = [(each["kind"], each["metadata"]["name"]) for each in sharded]
    assert len(set(names)) == len(names)
