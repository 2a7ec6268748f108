"""An embedded Kubernetes API server for tests and for `make demo`; see ``cluster``."""

from __future__ import annotations

from .binaries import Binaries, find_binaries
from .cluster import Cluster, ControlPlane, running_control_plane
from .errors import ControlPlaneUnavailable
from .existing import ExistingCluster, find_existing
from .faults import Fault, Faults, Hold
from .kubectl import Kubectl, KubectlFailed, kubectl_path
from .traffic import Request, Traffic

__all__ = [
    "Binaries",
    "Cluster",
    "ControlPlane",
    "ControlPlaneUnavailable",
    "ExistingCluster",
    "Fault",
    "Faults",
    "Hold",
    "Kubectl",
    "KubectlFailed",
    "Request",
    "Traffic",
    "find_binaries",
    "find_existing",
    "kubectl_path",
    "running_control_plane",
]
