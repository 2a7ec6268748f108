"""Where the programs come from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .build import build
from .errors import ControlPlaneUnavailable

ETCD, KUBE_APISERVER, CRD_APISERVER = "etcd", "kube-apiserver", "apiextensions-apiserver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """An API server, and the etcd it keeps its objects in."""

    etcd: Path
    apiserver: Path

    @property
    def complete(self) -> bool:
        """Whether it is the kube-apiserver, that has all of Kubernetes' kinds itself."""
        return self.apiserver.name == KUBE_APISERVER


def find_binaries() -> Binaries:
    """
    Return what KUBEBUILDER_ASSETS names; without it what was built from Debian's archive, building it if need be.

    ControlPlaneUnavailable if neither can be had.
    """
    if named := os.environ.get("KUBEBUILDER_ASSETS"):
        return binaries_in(Path(named), KUBE_APISERVER)
    return binaries_in(build(), CRD_APISERVER)


def binaries_in(directory: Path, apiserver: str) -> Binaries:
    found = Binaries(etcd=directory.absolute() / ETCD, apiserver=directory.absolute() / apiserver)
    for program in (found.etcd, found.apiserver):
        if not os.access(program, os.X_OK):
            raise ControlPlaneUnavailable(f"{program} is not there, or cannot be executed")
    return found
