"""A user's shell: kubectl with a current namespace, and a stand-in for `az`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.support.az import Az

if TYPE_CHECKING:
    from demo.controlplane import Kubectl


class Shell:
    """Runs scripts with /bin/sh."""

    def __init__(self, kubectl: Kubectl, namespace: str, folder: Path) -> None:
        binaries, kubeconfig = folder / "bin", folder / "kubeconfig"
        binaries.mkdir()
        config = yaml.safe_load(Path(kubectl.environment["KUBECONFIG"]).read_text("utf-8"))
        (context,) = (each for each in config["contexts"] if each["name"] == config["current-context"])
        context["context"]["namespace"] = namespace
        kubeconfig.write_text(yaml.safe_dump(config), "utf-8")
        self.az = Az(binaries)
        self._folder = folder
        self._environment = {
            **kubectl.environment,
            "KUBECONFIG": str(kubeconfig),
            "PATH": self.az.path(f"{kubectl.path.parent}:{os.environ['PATH']}"),
        }

    def start(self, script: str, *args: str, **environment: str) -> subprocess.Popen[str]:
        """Start a script, with its errors merged into its output."""
        path = self._folder / "script"
        path.write_text(script, "utf-8")
        return subprocess.Popen(
            ["/bin/sh", str(path), *args],
            env={**self._environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script: str, *args: str, **environment: str) -> tuple[int, str]:
        """Run a script to its end, and return its exit status and output."""
        return ended(self.start(script, *args, **environment))


def ended(process: subprocess.Popen[str], seconds: float = 60) -> tuple[int, str]:
    """Wait for the end of a script, and return its exit status and output."""
    try:
        said, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, said
