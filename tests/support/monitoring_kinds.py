"""The Prometheus operator's kinds for a cluster without them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import yaml

from tests.support.stand_ins import MONITORING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.controlplane import Kubectl


@contextlib.contextmanager
def monitoring_kinds(kubectl: Kubectl) -> Iterator[None]:
    """Install stand-ins for the Prometheus operator's kinds that the cluster does not have."""
    missing = [each for each in MONITORING if kubectl("get", "crd", each["metadata"]["name"], ok=False).returncode]
    if not missing:
        yield
        return
    text = yaml.safe_dump_all(missing)
    kubectl("create", "-f", "-", stdin=text)
    kubectl.wait_established("-f", "-", stdin=text)
    yield
    kubectl("delete", "-f", "-", stdin=text)
