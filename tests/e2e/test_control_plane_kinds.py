"""The control plane serves the built-in kinds that the manifests need."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from pathlib import Path

    from demo.controlplane import Kubectl
    from tests.support.gadgets import Http

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "operator"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "operator"}},
        "template": {
            "metadata": {"labels": {"app": "operator"}},
            "spec": {
                "containers": [
                    {"name": "main", "image": "operator:1", "args": ["run"], "env": [{"name": "A", "value": "1"}]},
                    {"name": "side", "image": "side:1"},
                ]
            },
        },
    },
}


class TestKinds:
    """Built-in kinds that the manifests need."""

    def test_kustomization(self, kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
        """`kubectl apply -k` applies every kind of the manifests, and a second run changes nothing."""
        rbac = "rbac.authorization.k8s.io/v1"
        manifests: list[dict[str, Any]] = [
            DEPLOYMENT,
            *(
                {"apiVersion": version, "kind": kind, "metadata": {"name": f"{namespace}-thing"}}
                for version, kind in (
                    ("v1", "Namespace"),
                    ("v1", "ServiceAccount"),
                    ("v1", "Service"),
                    ("v1", "ConfigMap"),
                    ("v1", "Secret"),
                    (rbac, "ClusterRole"),
                    (rbac, "ClusterRoleBinding"),
                    (rbac, "Role"),
                    (rbac, "RoleBinding"),
                    ("policy/v1", "PodDisruptionBudget"),
                    ("networking.k8s.io/v1", "NetworkPolicy"),
                    ("coordination.k8s.io/v1", "Lease"),
                )
            ),
        ]
        (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(manifests))
        (tmp_path / "kustomization.yaml").write_text(f"namespace: {namespace}\nresources: [all.yaml]\n")
        done = kubectl("apply", "-k", str(tmp_path)).stdout.splitlines()
        assert len([line for line in done if line.endswith((" created", " configured"))]) == len(manifests)
        assert kubectl("apply", "-k", str(tmp_path)).stdout.count(" unchanged\n") == len(manifests)
        assert kubectl("diff", "-k", str(tmp_path)).stdout == ""
        assert "operator" in kubectl("get", "deploy", "-n", namespace).stdout
        # The first deletion is that of the namespace, which may delete the others before kubectl does.
        kubectl("delete", "-k", str(tmp_path), "--wait=false", "--ignore-not-found")

    def test_patches_by_key(self, kubectl: Kubectl, namespace: str) -> None:
        """Applying a changed manifest changes one field of one container and keeps the rest."""
        kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(DEPLOYMENT))
        kubectl("set", "env", "deploy/operator", "-c=main", "B=2", "-n", namespace)
        kubectl("set", "image", "deploy/operator", "side=side:2", "-n", namespace)
        changed = json.loads(json.dumps(DEPLOYMENT))
        changed["spec"]["template"]["spec"]["containers"][0]["image"] = "operator:2"
        kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(changed))
        kubectl("set", "env", "deploy/operator", "-c=main", "A-", "-n", namespace)
        found = json.loads(kubectl("get", "deploy", "operator", "-n", namespace, "-o", "json").stdout)
        main, side = found["spec"]["template"]["spec"]["containers"]
        assert main == {"name": "main", "image": "operator:2", "args": ["run"], "env": [{"name": "B", "value": "2"}]}
        assert side["image"] == "side:1"
        assert (found["apiVersion"], found["kind"]) == ("apps/v1", "Deployment")

    def test_lease(self, http_: Http, namespace: str) -> None:
        """Of two clients that update a Lease at the same time, only one succeeds."""
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
        _, made = http_("POST", leases, lease)
        taken = [http_("PUT", f"{leases}/l", {**made, "spec": {"holderIdentity": who}}) for who in ("a", "b")]
        assert [status for status, _ in taken] == [200, 409]
        assert http_("GET", f"{leases}/l")[1]["spec"] == {"holderIdentity": "a"}

    @pytest.mark.parametrize(
        ("field", "wrong", "right"),
        [
            ("renewTime", "2026-03-04T01:00:00Z", "2026-03-04T01:00:00.000000Z"),
            ("acquireTime", "2026-03-04T01:00:00.123Z", None),
            ("leaseDurationSeconds", 0, 1),
            ("leaseDurationSeconds", 1.5, 15),
            ("leaseTransitions", -1, 0),
        ],
    )
    def test_fields_of_leases(self, http_: Http, namespace: str, field: str, wrong: object, right: object) -> None:
        """The control plane refuses a Lease that every real cluster refuses."""
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}}
        assert http_("POST", leases, {**lease, "spec": {field: wrong}})[0] == 422
        assert http_("POST", leases, {**lease, "spec": {field: right, "holderIdentity": ""}})[0] == 201

    def test_secret(self, kubectl: Kubectl, namespace: str) -> None:
        """A Secret's stringData is stored as data, from a manifest and from `kubectl create`."""
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}
        kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(secret))
        kubectl("create", "secret", "generic", "t", "--from-literal=a=b", "-n", namespace)
        for name in ("s", "t"):
            found = json.loads(kubectl("get", "secret", name, "-n", namespace, "-o", "json").stdout)
            assert (found["data"], found["type"], "stringData" in found) == ({"a": "Yg=="}, "Opaque", False)

    def test_explain(self, kubectl: Kubectl, gadgets: str) -> None:
        """`kubectl explain` describes custom resources and built-in kinds."""
        assert "colour" in kubectl("explain", "gadgets.spec").stdout
        assert "Deployment" in kubectl("explain", "deployments").stdout
