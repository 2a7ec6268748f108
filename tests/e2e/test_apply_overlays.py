"""Applying the same overlay again changes nothing."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import pytest

from demo.controlplane import Kubectl, running_control_plane
from tests.contract.kustomizations import COMPONENTS, IDENTITIES, OVERLAYS, build
from tests.support.monitoring_kinds import monitoring_kinds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.controlplane import ControlPlane


@pytest.fixture(scope="module")
def own(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """A separate control plane: an admission policy stays in effect for some time after its deletion."""
    del control_plane  # skips these tests if there is no embedded control plane
    with running_control_plane() as own:
        yield own


@pytest.fixture(scope="module")
def kubectl(own: ControlPlane) -> Kubectl:
    return Kubectl(own)


@pytest.fixture
def namespace(kubectl: Kubectl) -> str:
    """A namespace for a single test."""
    name = f"e2e-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    return name


@pytest.fixture(scope="module")
def _monitoring(kubectl: Kubectl) -> Iterator[None]:
    with monitoring_kinds(kubectl):
        yield


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.usefixtures("_monitoring")
def test_overlays(kubectl: Kubectl, namespace: str, tmp_path: Path, overlay: str) -> None:
    """Applying an overlay with all components again changes nothing."""
    components = [*COMPONENTS, *(name for name in IDENTITIES if name not in overlay)]
    objects = build(tmp_path, overlay, *components, namespace=namespace)
    built = tmp_path / "built.json"  # with -k, each command would build it again
    built.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}), encoding="utf-8")
    kubectl("apply", "-f", str(built))
    try:
        said = kubectl("apply", "-f", str(built)).stdout.splitlines()
        assert len(said) == len(objects)
        changed = [line for line in said if not line.endswith(" unchanged")]
        # kubectl always patches the selector of a PodDisruptionBudget, because it can only replace it as a whole.
        assert [line for line in changed if not line.startswith("poddisruptionbudget.policy/")] == []
        assert kubectl("diff", "-f", str(built)).stdout == ""
    finally:
        kubectl("delete", "-f", str(built), "--wait=false", "--ignore-not-found")
