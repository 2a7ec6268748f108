"""A cluster of the user's own, used only when that has been said twice."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Self

from .cluster import Cluster
from .errors import ControlPlaneUnavailable

NAMED, ALLOWED = "E2E_KUBECONFIG", "E2E_CLUSTER_MAY_BE_CHANGED"


class ExistingCluster(Cluster):
    """The cluster that a kubeconfig of the user's leads to. There are no faults to be made in it, and no requests to be seen."""

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
    Return the cluster that the environment names; None if it names none.

    KUBECONFIG and ~/.kube/config are never read: tests create and delete things, and nobody should find out
    afterwards where.
    """
    named = os.environ.get(NAMED)
    if not named:
        return None
    if os.environ.get(ALLOWED) != "yes":
        raise ControlPlaneUnavailable(
            f"{NAMED} names a cluster, and the tests would create and delete namespaces and CustomResourceDefinitions in it; "
            f"say that they may with {ALLOWED}=yes"
        )
    kubeconfig = Path(named).absolute()
    if not kubeconfig.is_file():
        raise ControlPlaneUnavailable(f"{NAMED} names {kubeconfig}, which is no file")
    return ExistingCluster(kubeconfig)
