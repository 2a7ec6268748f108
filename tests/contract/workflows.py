"""Read the workflows in .github."""

from __future__ import annotations

from typing import Any, Final

from tests.contract.project import ROOT, load

WORKFLOWS: Final = sorted((ROOT / ".github" / "workflows").iterdir())


def matrix() -> list[dict[str, Any]]:
    """Return the Kubernetes versions in the CI matrix, each with its image."""
    (workflow,) = load(".github/workflows/ci.yaml")
    include: list[dict[str, Any]] = workflow["jobs"]["kubernetes"]["strategy"]["matrix"]["include"]
    return include
