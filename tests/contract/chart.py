"""Render the Helm charts, or return Helm's error for values that it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from tests.support.documents import load_documents
from tests.support.helm import CHART, CRD_CHART, run_helm

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.project import Manifest

NAMESPACE: Final = "backupjobwatch-system"
EVERYTHING: Final[dict[str, Any]] = {
    "replicaCount": 2,
    "monitoring": {"enabled": True},
    "networkPolicy": {"enabled": True},
    "admissionPolicy": {"enabled": True},
}
"""Values that render every kind of object."""


def render(home: Path, values: str | dict[str, Any] = "", *args: str) -> list[Manifest]:
    """Render the chart with values, or with the values file of that name in ``ci``."""
    if isinstance(values, dict):
        path = home / "values.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
    else:
        path = CHART / "ci" / f"{values or 'default'}-values.yaml"
    command = ["template", "backupjobwatch", str(CHART), "--namespace", NAMESPACE, "--values", str(path), *args]
    done = run_helm(home, *command)
    assert (done.returncode, done.stderr) == (0, "")
    return load_documents(done.stdout)


def render_crds(home: Path, *settings: str) -> list[Manifest]:
    """Return the objects of the CRD chart, rendered with ``--set`` values."""
    sets = [part for each in settings for part in ("--set", each)]
    done = run_helm(home, "template", "backupjobwatch-crds", str(CRD_CHART), *sets)
    assert (done.returncode, done.stderr) == (0, "")
    return load_documents(done.stdout)


def refusal(home: Path, *settings: str) -> str:
    """Return Helm's error message for refused values."""
    sets = [part for each in settings for part in ("--set", each)]
    done = run_helm(home, "template", "backupjobwatch", str(CHART), *sets)
    assert done.returncode != 0
    return done.stderr
