"""An existing cluster of yours, used only if two environment variables allow it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Self

from .cluster import Cluster
from .errors import ControlPlaneUnavailable

NAMED, ALLOWED = "E2E_KUBECONFIG", "E2E_CLUSTER_MAY_BE_CHANGED"


class ExistingCluster(Cluster):
    """The cluster of your own kubeconfig. Tests cannot inject faults into it or record its requests."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self._cache = tempfile.TemporaryDirectory(prefix="kubectl-cache-")
        self.kubectl_cache = Path(self._cache.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cache.cleanup()


def find_existing() -> ExistingCluster | None:
    """
    Return the cluster that E2E_KUBECONFIG names, or None if it is not set.

    KUBECONFIG and ~/.kube/config are never read, so that tests cannot change a cluster by accident.
    """
    named = os.environ.get(NAMED)
    if not named:
        return None
    if os.environ.get(ALLOWED) != "yes":
        raise ControlPlaneUnavailable(
            f"The tests create and delete namespaces and CustomResourceDefinitions in the cluster of {NAMED}. To allow this, set "
            f"{ALLOWED}=yes"
        )
    kubeconfig = Path(named).absolute()
    if not kubeconfig.is_file():
        raise ControlPlaneUnavailable(f"{NAMED} must be a kubeconfig file, got {kubeconfig}, which is not a file")
    return ExistingCluster(kubeconfig)
