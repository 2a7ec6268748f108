"""Owner detection: a watch that a controller would recreate must not be deleted."""

from __future__ import annotations

from typing import Any

import pytest

from backupjobwatch.domain.api.ownership import MARKERS, find_owner

CONTROLLER = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "upgrade", "controller": True}


@pytest.mark.parametrize("kind", ["labels", "annotations"])
@pytest.mark.parametrize("mark", MARKERS)
def test_marks(kind: str, mark: str) -> None:
    """Each marker is recognized as a label and as an annotation, whatever its value, and appears in the result."""
    owner = find_owner({kind: {"team": "a", mark: ""}})

    assert owner is not None
    assert owner.startswith(MARKERS[mark])
    assert mark in owner


def test_controller() -> None:
    """The controller is found at any position in ownerReferences."""
    assert find_owner({"ownerReferences": [{"kind": "Node"}, CONTROLLER]}) == "Workflow upgrade (controller)"


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": None, "annotations": None, "ownerReferences": None},
        {"labels": {"app.kubernetes.io/instance": "x", "app.kubernetes.io/managed-by": "Helm"}},
        {"labels": ["kustomize.toolkit.fluxcd.io/name"], "ownerReferences": {"controller": True}},
        {"ownerReferences": [{**CONTROLLER, "controller": False}, {"kind": "ConfigMap"}, "Workflow", None]},
    ],
    ids=repr,
)
def test_no_owner(metadata: dict[str, Any]) -> None:
    """An object without a marker or a controller has no owner. Malformed metadata is ignored."""
    assert find_owner(metadata) is None
