"""Locate the binaries of etcd and the API server."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .build import build
from .errors import ControlPlaneUnavailable

ETCD, KUBE_APISERVER, CRD_APISERVER = "etcd", "kube-apiserver", "apiextensions-apiserver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """The paths of an API server and of the etcd that stores its objects."""

    etcd: Path
    apiserver: Path

    @property
    def complete(self) -> bool:
        """Whether this is a kube-apiserver, which serves all built-in kinds itself."""
        return self.apiserver.name == KUBE_APISERVER


def find_binaries() -> Binaries:
    """
    Return the binaries in KUBEBUILDER_ASSETS, or those built from Debian's archive if it is not set.

    The first call without KUBEBUILDER_ASSETS builds them. Raises ControlPlaneUnavailable if that fails.
    """
    if named := os.environ.get("KUBEBUILDER_ASSETS"):
        return binaries_in(Path(named), KUBE_APISERVER)
    return binaries_in(build(), CRD_APISERVER)


def binaries_in(directory: Path, apiserver: str) -> Binaries:
    found = Binaries(etcd=directory.absolute() / ETCD, apiserver=directory.absolute() / apiserver)
    for program in (found.etcd, found.apiserver):
        if not os.access(program, os.X_OK):
            raise ControlPlaneUnavailable(f"{program} does not exist or is not executable")
    return found
