"""The error for a missing API server, and the alternatives that it lists."""

from __future__ import annotations

ALTERNATIVES = (
    "You can set KUBEBUILDER_ASSETS to a directory with kube-apiserver and etcd, as `setup-envtest use -p path` prints it. "
    "You can use a cluster of your own with E2E_KUBECONFIG=/path and E2E_CLUSTER_MAY_BE_CHANGED=yes. "
    "You can skip the end-to-end tests with E2E=skip."
)


class ControlPlaneUnavailable(Exception):
    """No Kubernetes API server is available. The message gives the reason and the alternatives."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why.rstrip('.')}. {ALTERNATIVES}")
