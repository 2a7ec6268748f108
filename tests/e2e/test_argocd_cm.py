"""Our entries in an `argocd-cm` ConfigMap that already has other entries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

from tests.contract.project import ROOT, kustomize

if TYPE_CHECKING:
    from demo.controlplane import Kubectl


def test_server_side_apply_keeps_other_entries(kubectl: Kubectl, namespace: str) -> None:
    """The documented command adds our entries, keeps the others, and can be run again."""
    kubectl("create", "configmap", "argocd-cm", "-n", namespace, "--from-literal=url=https://argocd.example.com")
    (ours,) = kustomize(ROOT / "manifests" / "argocd")
    ours["metadata"]["namespace"] = namespace
    for _ in range(2):
        kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(ours))
        found = json.loads(kubectl("get", "configmap", "argocd-cm", "-n", namespace, "-o", "json").stdout)["data"]
        assert found == {"url": "https://argocd.example.com", **ours["data"]}
