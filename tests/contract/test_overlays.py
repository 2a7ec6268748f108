"""Every overlay builds with every choice of components, keeps to the rules of the base, and is valid Kubernetes."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Final

import pytest
import yaml
from kubernetes_validate.utils import ValidationError, validate

from backupjobwatch.constants import GROUP
from tests.contract.kustomizations import (
    COMPONENTS,
    IDENTITIES,
    KUBERNETES,
    MANIFESTS,
    OVERLAYS,
    TENANTS,
    build,
    env_of,
    pod_of,
)
from tests.contract.markdown import blocks
from tests.contract.pod_security import violations
from tests.contract.project import kustomize, pick, read

if TYPE_CHECKING:
    from pathlib import Path

COMBINATIONS: Final = [
    (overlay, chosen)
    for overlay in OVERLAYS
    for count in range(len(COMPONENTS) + 1)
    for chosen in itertools.combinations(COMPONENTS, count)
    if "service-monitor" not in chosen or "monitoring" in chosen
]


@pytest.mark.parametrize(("overlay", "components"), COMBINATIONS, ids=lambda part: part or "alone")
def test_combinations(tmp_path: Path, overlay: str, components: tuple[str, ...]) -> None:
    """Each combination builds, its objects differ by name, are labelled and valid, and its pod is a restricted one."""
    objects = build(tmp_path, overlay, *components)
    names = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in objects]
    assert len(set(names)) == len(names)
    for each in objects:
        assert each["kind"] != "CustomResourceDefinition"  # its deletion would delete every watch
        assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "backupjobwatch"
    assert violations(pod_of(objects)) == []


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_valid_kubernetes(tmp_path: Path, overlay: str, version: str) -> None:
    """What Kubernetes' own kinds have in an install with everything is what the schemas of that version know."""
    checked = set()
    for each in build(tmp_path, overlay, *COMPONENTS):
        if each["apiVersion"].startswith("monitoring.coreos.com/"):
            continue  # not Kubernetes' own
        assert validate(each, version, strict=True) == version
        checked.add(each["kind"])
    assert {"Deployment", "NetworkPolicy", "ServiceAccount", "ValidatingAdmissionPolicy"} <= checked


def test_validator_is_strict() -> None:
    """The validator that the test above trusts refuses a field that does not exist, and a value of another type."""
    deployment = pick(kustomize(MANIFESTS / "base"), "Deployment")
    for wrong in ({"replica": 1}, {"replicas": "1"}):
        with pytest.raises(ValidationError):
            validate({**deployment, "spec": {**deployment["spec"], **wrong}}, "1.31", strict=True)


def test_all_that_is_promised_is_there() -> None:
    """The overlays and components that the documents speak of are all that there are."""
    assert OVERLAYS == ["default", "ha", "ha-workload-identity", "namespaced", "service-principal", "workload-identity"]
    assert COMPONENTS == ["monitoring", "network-policy", "service-monitor", "validating-admission-policy"]
    names = [path.relative_to(MANIFESTS / "components").as_posix() for path in TENANTS]
    assert names == ["argocd-triggers", "flux-triggers", "identity/secret", "identity/service-account", "notify-secret"]


@pytest.mark.parametrize("path", TENANTS, ids=lambda path: path.name)
def test_tenants_components(tmp_path: Path, path: Path) -> None:
    """The components of tenants build in a namespace of theirs, and are valid."""
    kustomization = {"namespace": "team-a", "components": [os.path.relpath(path, tmp_path)]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    objects = kustomize(tmp_path)
    for each in objects:
        validate(each, KUBERNETES[0], strict=True)
        assert each["metadata"]["namespace"] == "team-a"
    assert pick(objects, "RoleBinding")["subjects"][0]["namespace"] == "backupjobwatch-system"


def test_default_is_the_base() -> None:
    """The default has nothing that the base has not."""
    assert kustomize(MANIFESTS / "overlays" / "default") == kustomize(MANIFESTS / "base")


def test_workload_identity() -> None:
    """The webhook of workload identity is told which pod, and of which client."""
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
    """Of the Secret's keys, the three that azure-identity reads reach the pod, and no other; none may be missing."""
    env = env_of(kustomize(MANIFESTS / "overlays" / "service-principal"))
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        assert env[name] == {"secretKeyRef": {"name": "backupjobwatch-azure", "key": name}}


def test_namespaced_reaches_no_further(tmp_path: Path) -> None:
    """A team's own operator is in the team's namespace with all that it has, and follows that namespace only."""
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
    """Beside a team's own operator, the components of tenants are for that one's account, not for the cluster's."""
    tenants = [path.relative_to(MANIFESTS / "components").as_posix() for path in TENANTS]
    objects = build(tmp_path, "namespaced", *tenants, namespace="team-a")
    bindings = [each for each in objects if each["kind"] == "RoleBinding"]
    assert len(bindings) == 1 + len(tenants)
    account = {"kind": "ServiceAccount", "name": "backupjobwatch", "namespace": "team-a"}
    assert all(each["subjects"] == [account] for each in bindings)


def test_namespaced_with_an_identity(tmp_path: Path) -> None:
    """The components of Azure identities go with any overlay."""
    for identity in IDENTITIES:
        objects = build(tmp_path, "namespaced", identity)
        assert "AZURE_CLIENT_ID" in env_of(objects) or pick(objects, "ServiceAccount")["metadata"]["annotations"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_another_namespace(tmp_path: Path, overlay: str) -> None:
    """In another namespace, the rights are still those of the account that the pod runs as."""
    objects = build(tmp_path, overlay, namespace="elsewhere")
    account = pick(objects, "ServiceAccount")["metadata"]
    subject = {"kind": "ServiceAccount", "name": account["name"], "namespace": "elsewhere"}
    bindings = [each for each in objects if each["kind"].endswith("Binding") and "subjects" in each]
    assert bindings
    assert all(each["subjects"] == [subject] for each in bindings)
    assert pick(objects, "Deployment")["metadata"]["namespace"] == account["namespace"] == "elsewhere"


def test_network_policy(tmp_path: Path) -> None:
    """It is about the operator's pods, by ports that these have; all else is shut in both directions."""
    objects = build(tmp_path, "default", "network-policy")
    policy = pick(objects, "NetworkPolicy")["spec"]
    template = pick(objects, "Deployment")["spec"]["template"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert {port["name"] for port in template["spec"]["containers"][0]["ports"]} <= {"probes", "metrics"}
    ports = [port for rule in (*policy["ingress"], *policy["egress"]) for port in rule["ports"]]
    assert all("protocol" in port for port in ports)  # as with the scope of an admission policy
    opened = {port["port"]: rule for rule in policy["ingress"] for port in rule["ports"]}
    assert opened.keys() == {"probes", "metrics"}
    assert opened["metrics"]["from"]
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 443, 6443}


def test_what_to_add_to_the_network_policy(tmp_path: Path) -> None:
    """The document's policy is valid, is about the same pods, and opens the metadata service, which ours does not."""
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
    """A user's `images:` puts a registry and a digest in place of the image, in every overlay."""
    digest = "sha256:" + "a" * 64
    images = [{"name": "backupjobwatch", "newName": "registry.example.com/backupjobwatch", "digest": digest}]
    for overlay in OVERLAYS:
        (container,) = pod_of(build(tmp_path, overlay, images=images))["containers"]
        assert container["image"] == f"registry.example.com/backupjobwatch@{digest}"


def test_admission_policy_is_about_our_kind(tmp_path: Path) -> None:
    """The policy judges what people write of a watch, not the operator's status; its binding enforces it everywhere."""
    objects = build(tmp_path, "default", "validating-admission-policy")
    policy, binding = pick(objects, "ValidatingAdmissionPolicy"), pick(objects, "ValidatingAdmissionPolicyBinding")
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert rule["scope"] == "*"  # the API server would fill it in, and each apply would report a change
    assert (rule["apiGroups"], rule["resources"]) == ([GROUP], ["backupjobwatches"])
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert binding["spec"] == {"policyName": policy["metadata"]["name"], "validationActions": ["Deny", "Audit"]}


def test_a_private_ca(tmp_path: Path) -> None:
    """The document's kustomization mounts the CA file where its setting says."""
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
