"""Every overlay builds with every combination of components, keeps the base's rules, and is valid."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from backupjobwatch.constants import GROUP
from tests.contract.kubernetes_schemas import ValidationError, validate
from tests.contract.kustomizations import (
    COMPONENTS,
    IDENTITIES,
    KUBERNETES,
    MANIFESTS,
    OVERLAYS,
    TENANTS,
    build,
    build_variants,
    env_of,
    pod_of,
)
from tests.contract.markdown import blocks
from tests.contract.pod_security import violations
from tests.contract.project import kustomize, pick, read

if TYPE_CHECKING:
    from pathlib import Path

COMBINATIONS: Final = {
    "-".join(chosen) or "alone": chosen
    for count in range(len(COMPONENTS) + 1)
    for chosen in itertools.combinations(COMPONENTS, count)
    if "service-monitor" not in chosen or "monitoring" in chosen
}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_combinations(tmp_path: Path, overlay: str) -> None:
    """Each combination builds unique, labelled objects and a restricted pod."""
    built = build_variants(tmp_path, overlay, COMBINATIONS)
    assert len({str(objects) for objects in built.values()}) == len(built) == 12
    for combination, objects in built.items():
        names = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in objects]
        assert len(set(names)) == len(names), combination
        for each in objects:
            assert each["kind"] != "CustomResourceDefinition"  # deleting the CRD would delete every watch
            assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "backupjobwatch", combination
        assert violations(pod_of(objects)) == [], combination


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_valid_kubernetes(tmp_path: Path, overlay: str) -> None:
    """The Kubernetes schemas of each version accept an overlay with all components."""
    checked = set()
    for each in build(tmp_path, overlay, *COMPONENTS):
        if each["apiVersion"].startswith("monitoring.coreos.com/"):
            continue  # not a built-in kind
        for version in KUBERNETES:
            assert validate(each, version, strict=True) == version
        checked.add(each["kind"])
    assert {"Deployment", "NetworkPolicy", "ServiceAccount", "ValidatingAdmissionPolicy"} <= checked


def test_validator_is_strict() -> None:
    """The validator of the previous test refuses unknown fields and values of the wrong type."""
    deployment = pick(kustomize(MANIFESTS / "base"), "Deployment")
    for wrong in ({"replica": 1}, {"replicas": "1"}):
        with pytest.raises(ValidationError):
            validate({**deployment, "spec": {**deployment["spec"], **wrong}}, "1.31", strict=True)


def test_documents_list_all_overlays() -> None:
    """The documents list exactly the existing overlays and components."""
    assert OVERLAYS == ["default", "ha", "ha-workload-identity", "namespaced", "service-principal", "workload-identity"]
    assert COMPONENTS == ["monitoring", "network-policy", "service-monitor", "validating-admission-policy"]
    names = [path.relative_to(MANIFESTS / "components").as_posix() for path in TENANTS]
    assert names == ["argocd-triggers", "flux-triggers", "identity/secret", "identity/service-account", "notify-secret"]


@pytest.mark.parametrize("path", TENANTS, ids=lambda path: path.name)
def test_tenants_components(tmp_path: Path, path: Path) -> None:
    """The tenant components build in a tenant's namespace and are valid."""
    kustomization = {"namespace": "team-a", "components": [os.path.relpath(path, tmp_path)]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    objects = kustomize(tmp_path)
    for each in objects:
        validate(each, KUBERNETES[0], strict=True)
        assert each["metadata"]["namespace"] == "team-a"
    assert pick(objects, "RoleBinding")["subjects"][0]["namespace"] == "backupjobwatch-system"


def test_default_is_the_base() -> None:
    """The default overlay is identical to the base."""
    assert kustomize(MANIFESTS / "overlays" / "default") == kustomize(MANIFESTS / "base")


def test_workload_identity() -> None:
    """The workload identity webhook gets the pod label and the client ID."""
    objects = kustomize(MANIFESTS / "overlays" / "workload-identity")
    labels = pick(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert labels["azure.workload.identity/use"] == "true"
    annotations = pick(objects, "ServiceAccount")["metadata"]["annotations"]
    assert annotations == {"azure.workload.identity/client-id": "00000000-0000-0000-0000-000000000000"}


def test_ha_with_workload_identity() -> None:
    """The overlay has exactly the objects of ``ha``, with the identity of ``workload-identity``."""
    objects, ha = (kustomize(MANIFESTS / "overlays" / name) for name in ("ha-workload-identity", "ha"))
    federated = kustomize(MANIFESTS / "overlays" / "workload-identity")
    assert pod_of(objects) == pod_of(ha)
    assert pick(objects, "ServiceAccount") == pick(federated, "ServiceAccount")
    labels = pick(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert labels["azure.workload.identity/use"] == "true"
    changed = [each["kind"] for each in objects if each not in ha]
    assert sorted(changed) == ["Deployment", "ServiceAccount"]


def test_service_principal() -> None:
    """The pod requires the three Secret keys that azure-identity reads, and gets no other key."""
    env = env_of(kustomize(MANIFESTS / "overlays" / "service-principal"))
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        assert env[name] == {"secretKeyRef": {"name": "backupjobwatch-azure", "key": name}}


def test_namespaced_reaches_no_further(tmp_path: Path) -> None:
    """A single team's operator has all its objects in the team's namespace and watches only that namespace."""
    objects = build(tmp_path, "namespaced", "network-policy", namespace="team-a")
    for each in objects:
        assert each["metadata"]["namespace"] == "team-a", each["kind"]
    binding = pick(objects, "RoleBinding", "backupjobwatch")
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "backupjobwatch"}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "backupjobwatch", "namespace": "team-a"}]
    everywhere = pick(kustomize(MANIFESTS / "base"), "ClusterRole", "backupjobwatch")
    assert pick(objects, "Role", "backupjobwatch")["rules"] == everywhere["rules"]
    own = {"fieldRef": {"fieldPath": "metadata.namespace"}}
    env = env_of(objects)
    assert env["BACKUPJOBWATCH_NAMESPACES"] == env["BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES"] == own


def test_namespaced_with_what_a_tenant_allows(tmp_path: Path) -> None:
    """In the namespaced overlay, tenant components grant permissions to the team's operator, not the cluster's."""
    tenants = [path.relative_to(MANIFESTS / "components").as_posix() for path in TENANTS]
    objects = build(tmp_path, "namespaced", *tenants, namespace="team-a")
    bindings = [each for each in objects if each["kind"] == "RoleBinding"]
    assert len(bindings) == 1 + len(tenants)
    account = {"kind": "ServiceAccount", "name": "backupjobwatch", "namespace": "team-a"}
    assert all(each["subjects"] == [account] for each in bindings)


def test_namespaced_with_an_identity(tmp_path: Path) -> None:
    """Any overlay accepts the Azure identity components."""
    for identity in IDENTITIES:
        objects = build(tmp_path, "namespaced", identity)
        assert "AZURE_CLIENT_ID" in env_of(objects) or pick(objects, "ServiceAccount")["metadata"]["annotations"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_another_namespace(tmp_path: Path, overlay: str) -> None:
    """In another namespace, the bindings still refer to the pod's ServiceAccount."""
    objects = build(tmp_path, overlay, namespace="elsewhere")
    account = pick(objects, "ServiceAccount")["metadata"]
    subject = {"kind": "ServiceAccount", "name": account["name"], "namespace": "elsewhere"}
    bindings = [each for each in objects if each["kind"].endswith("Binding") and "subjects" in each]
    assert bindings
    assert all(each["subjects"] == [subject] for each in bindings)
    assert pick(objects, "Deployment")["metadata"]["namespace"] == account["namespace"] == "elsewhere"


def test_network_policy(tmp_path: Path) -> None:
    """The policy selects the operator's pods and allows only their ports and the required egress."""
    objects = build(tmp_path, "default", "network-policy")
    policy = pick(objects, "NetworkPolicy")["spec"]
    template = pick(objects, "Deployment")["spec"]["template"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert {port["name"] for port in template["spec"]["containers"][0]["ports"]} <= {"probes", "metrics"}
    ports = [port for rule in (*policy["ingress"], *policy["egress"]) for port in rule["ports"]]
    assert all("protocol" in port for port in ports)  # avoid API server defaults
    opened = {port["port"]: rule for rule in policy["ingress"] for port in rule["ports"]}
    assert opened.keys() == {"probes", "metrics"}
    assert opened["metrics"]["from"]
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 443, 6443}


def test_the_documented_network_policy(tmp_path: Path) -> None:
    """The documented policy is valid, selects the same pods, and also opens the metadata service."""
    (text,) = (each for each in blocks(read("docs/azure-access.md"), "yaml") if "NetworkPolicy" in each)
    more, ours = yaml.safe_load(text), pick(build(tmp_path, "default", "network-policy"), "NetworkPolicy")
    for version in KUBERNETES:
        validate(more, version, strict=True)
    assert more["spec"]["podSelector"] == ours["spec"]["podSelector"]
    assert more["metadata"]["namespace"] == ours["metadata"]["namespace"]
    metadata, receivers = more["spec"]["egress"]
    assert metadata == {"ports": [{"port": 80, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}]}
    assert receivers["to"]


def test_images_are_set_by_digest(tmp_path: Path) -> None:
    """In every overlay, a user's `images:` sets the registry and digest of the image."""
    digest = "sha256:" + "a" * 64
    images = [{"name": "backupjobwatch", "newName": "registry.example.com/backupjobwatch", "digest": digest}]
    for overlay in OVERLAYS:
        (container,) = pod_of(build(tmp_path, overlay, images=images))["containers"]
        assert container["image"] == f"registry.example.com/backupjobwatch@{digest}"


def test_admission_policy_is_about_our_kind(tmp_path: Path) -> None:
    """The policy validates user writes to watches, not the operator's status, and its binding covers all namespaces."""
    objects = build(tmp_path, "default", "validating-admission-policy")
    policy, binding = pick(objects, "ValidatingAdmissionPolicy"), pick(objects, "ValidatingAdmissionPolicyBinding")
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert rule["scope"] == "*"  # the API server would add a default, and each apply would report a change
    assert (rule["apiGroups"], rule["resources"]) == ([GROUP], ["backupjobwatches"])
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert binding["spec"] == {"policyName": policy["metadata"]["name"], "validationActions": ["Deny", "Audit"]}


def test_a_private_ca(tmp_path: Path) -> None:
    """The documented kustomization mounts the CA file at the path of its setting."""
    (text,) = (each for each in blocks(read("docs/azure-access.md"), "yaml") if "configMapGenerator" in each)
    (tmp_path / "ca.pem").write_text("a certificate")
    manifests = os.path.relpath(MANIFESTS, tmp_path)
    (tmp_path / "kustomization.yaml").write_text(text.replace("[manifests/", f"[{manifests}/"))
    objects = kustomize(tmp_path)
    path = env_of(objects)["BACKUPJOBWATCH_AZURE_CA_FILE"]
    (volume,) = (each for each in pod_of(objects)["volumes"] if "configMap" in each)
    (mount,) = (each for each in pod_of(objects)["containers"][0]["volumeMounts"] if each["name"] == volume["name"])
    config_map = pick(objects, "ConfigMap")
    assert volume["configMap"]["name"] == config_map["metadata"]["name"]
    assert path in {f"{mount['mountPath']}/{name}" for name in config_map["data"]}
