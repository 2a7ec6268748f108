"""Whose an object is: what would be made anew must not be deleted."""

from __future__ import annotations

from typing import Any

import pytest

from backupjobwatch.domain.api.ownership import MARKERS, find_owner

CONTROLLER = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "upgrade", "controller": True}


@pytest.mark.parametrize("kind", ["labels", "annotations"])
@pytest.mark.parametrize("mark", MARKERS)
def test_marks(kind: str, mark: str) -> None:
    """Each mark is known as a label and as an annotation, whatever its value, and is named."""
    owner = find_owner({kind: {"team": "a", mark: ""}})

    assert owner is not None
    assert owner.startswith(MARKERS[mark])
    assert mark in owner


def test_controller() -> None:
    """A controller is named, wherever among the references it is."""
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
def test_nobodys(metadata: dict[str, Any]) -> None:
    """What tells no owner, or makes no sense, is nobody's."""
    assert find_owner(metadata) is None
