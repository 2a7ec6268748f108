"""The manifests build, request only what the operator needs, and match its code."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

import pytest
import requests

from backupjobwatch import __version__
from backupjobwatch.cli import COMMANDS
from backupjobwatch.constants import GROUP, PLURAL
from backupjobwatch.observability.probes import serve_probes
from backupjobwatch.settings import PREFIX, Settings, load_settings
from demo.ports import reserved_port
from tests.contract.pod_security import RESTRICTED, values
from tests.contract.project import ROOT, Manifest, kustomize, load, pick, relative

NAMESPACE: Final = "backupjobwatch-system"
NAME_LABEL: Final = "app.kubernetes.io/name"


@pytest.fixture(scope="module")
def objects() -> list[Manifest]:
    """The objects that ``kubectl apply -k manifests/base`` applies."""
    return kustomize(ROOT / "manifests" / "base")


@pytest.fixture(scope="module")
def deployment(objects: list[Manifest]) -> Manifest:
    return pick(objects, "Deployment")


@pytest.fixture(scope="module")
def pod(deployment: Manifest) -> dict[str, Any]:
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["containers"]
    assert isinstance(only, dict)
    return only


def configure(monkeypatch: pytest.MonkeyPatch, container: dict[str, Any]) -> Settings:
    """Load the settings from the variables of *container*."""
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    return load_settings()


# ── objects ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_base_builds(objects: list[Manifest]) -> None:
    """The base contains the namespace, the operator and roles for users. Deleting it keeps the CRD."""
    assert sorted(f"{each['kind']}/{each['metadata']['name']}" for each in objects) == [
        "ClusterRole/backupjobwatch",
        "ClusterRole/backupjobwatch-edit",
        "ClusterRole/backupjobwatch-view",
        "ClusterRoleBinding/backupjobwatch",
        "Deployment/backupjobwatch",
        "Namespace/backupjobwatch-system",
        "Role/backupjobwatch-metrics-reader",
        "ServiceAccount/backupjobwatch",
    ]


def test_crds_build() -> None:
    """The CRD builds separately and unchanged, and GitOps tools do not prune it."""
    (crd,) = kustomize(ROOT / "crds")
    assert [crd] == load(f"crds/{PLURAL}.{GROUP}.yaml")
    assert crd["metadata"]["annotations"] == {
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    }


def test_everything_is_labelled(objects: list[Manifest], deployment: Manifest) -> None:
    """Every object and the pod have the recommended labels."""
    for each in [*objects, deployment["spec"]["template"]]:
        labels = each["metadata"]["labels"]
        assert (labels[NAME_LABEL], labels["app.kubernetes.io/part-of"]) == ("backupjobwatch", "backupjobwatch")


def test_everything_is_in_the_namespace(objects: list[Manifest]) -> None:
    """All namespaced objects are in the base's only namespace, which enforces restricted Pod Security."""
    namespace = pick(objects, "Namespace")
    assert namespace["metadata"]["name"] == NAMESPACE
    for mode in ("enforce", "warn", "audit"):
        assert namespace["metadata"]["labels"][f"pod-security.kubernetes.io/{mode}"] == "restricted"
    for each in objects:
        of_the_cluster = each["kind"].startswith(("Cluster", "Namespace"))
        assert each["metadata"].get("namespace") == (None if of_the_cluster else NAMESPACE)


# ── permissions ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_role_grants_what_is_used(objects: list[Manifest]) -> None:
    """The role only lets the operator read and delete watches, write their status and create Events."""
    role = pick(objects, "ClusterRole", "backupjobwatch")
    assert "aggregationRule" not in role
    assert role["rules"] == [
        {"apiGroups": [GROUP], "resources": [PLURAL], "verbs": ["get", "list", "watch", "delete"]},
        {"apiGroups": [GROUP], "resources": [f"{PLURAL}/status"], "verbs": ["update"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
    ]


def test_binding_joins_role_and_account(objects: list[Manifest], pod: dict[str, Any]) -> None:
    """The binding grants that role to the pod's ServiceAccount."""
    binding, account = pick(objects, "ClusterRoleBinding"), pick(objects, "ServiceAccount")["metadata"]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}
    assert binding["roleRef"] == {**role, "name": "backupjobwatch"}
    (subject,) = binding["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    assert pod["serviceAccountName"] == account["name"]


def test_roles_of_people(objects: list[Manifest]) -> None:
    """Viewers can read watches and editors can create them. Neither can write a status, because it opens gates."""
    writing = {"create", "update", "patch", "delete", "deletecollection"}
    roles = {"view": ({"get", "list", "watch"}, {"view", "edit", "admin"}), "edit": (writing, {"edit", "admin"})}
    for name, (verbs, into) in roles.items():
        role = pick(objects, "ClusterRole", f"backupjobwatch-{name}")
        prefix = "rbac.authorization.k8s.io/aggregate-to-"
        assert {label.removeprefix(prefix) for label in role["metadata"]["labels"] if label.startswith(prefix)} == into
        (rule,) = role["rules"]
        assert (rule["apiGroups"], rule["resources"], set(rule["verbs"])) == ([GROUP], [PLURAL], verbs)


def test_metrics_reader_finds_the_pods(objects: list[Manifest]) -> None:
    """The role lets Prometheus find the pods in the operator's namespace, and nothing else."""
    role = pick(objects, "Role", "backupjobwatch-metrics-reader")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]


def test_token_is_the_pods_alone(objects: list[Manifest], pod: dict[str, Any]) -> None:
    """Only the pod mounts the ServiceAccount token. Other pods with the account do not get it by default."""
    assert pick(objects, "ServiceAccount")["automountServiceAccountToken"] is False
    assert pod["automountServiceAccountToken"] is True


# ── the pod ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rule", RESTRICTED)
def test_pod_is_restricted(pod: dict[str, Any], rule: str) -> None:
    """The pod complies with each rule of the restricted Pod Security Standard."""
    path, allowed = RESTRICTED[rule]
    found = list(values(pod, path))
    assert found
    assert all(value in allowed for value in found), found


def test_pod_mounts_little(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """The root file system is read-only, and all mounts are size-limited emptyDir volumes."""
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    for volume in pod["volumes"]:
        assert volume.keys() == {"name", "emptyDir"}
        assert volume["emptyDir"]["sizeLimit"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert not {"initContainers", "ephemeralContainers"} & pod.keys()


def test_pod_is_selected(deployment: Manifest) -> None:
    """The Deployment selects its own pods and runs one, because two would send every Azure request twice."""
    spec = deployment["spec"]
    assert spec["selector"]["matchLabels"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_pod_has_its_resources(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """The pod requests CPU and memory, limits only memory, and gets no service environment variables."""
    resources = container["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert resources["limits"].keys() == {"memory"}
    assert pod["enableServiceLinks"] is False


def test_pod_runs_this_version(container: dict[str, Any]) -> None:
    """The image has this version, and its arguments are an existing command."""
    assert container["image"] == f"backupjobwatch:{__version__}"
    assert "command" not in container
    (command,) = container["args"]
    assert command in COMMANDS


def test_pod_has_real_settings(monkeypatch: pytest.MonkeyPatch, container: dict[str, Any]) -> None:
    """The Deployment's variables set JSON logs and allow no namespace to use the operator's identity."""
    settings = configure(monkeypatch, container)
    assert settings.log_format == "json"
    assert settings.operator_identity_namespaces == ()
    assert settings.development is False


def test_variables_exist() -> None:
    """Every variable in a manifest, including its comments, is a setting."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for path in sorted((ROOT / "manifests").rglob("*.yaml")):
        named = set(re.findall(rf"{PREFIX}\w+", path.read_text(encoding="utf-8")))
        assert named <= known, relative(path)


async def test_probes_are_answered(monkeypatch: pytest.MonkeyPatch, container: dict[str, Any]) -> None:
    """The liveness and readiness probes reach the matching checks of the operator's server."""
    settings = configure(monkeypatch, container)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    answers = {"livenessProbe": False, "readinessProbe": False}
    alive, ready = (lambda: answers["livenessProbe"]), (lambda: answers["readinessProbe"])
    with reserved_port() as free:
        async with serve_probes(free, alive=alive, ready=ready):
            for probe in answers:
                asked = container[probe]["httpGet"]
                assert ports[asked["port"]] == settings.probe_port
                for answer, status in ((True, 200), (False, 503)):
                    answers[probe] = answer
                    url = f"http://127.0.0.1:{free}{asked['path']}"
                    assert (await asyncio.to_thread(requests.get, url, timeout=60)).status_code == status
