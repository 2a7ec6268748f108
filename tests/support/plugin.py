"""Run ``kubectl bjw`` with the real kubectl, on watches whose statuses the tests write."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.recovery_services import parse_job
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.errors import JobNotFound
from tests.support.azure import payload
from tests.support.builders import VAULT_ID
from tests.support.canary import scan
from tests.support.commands import ROOT, Command, Done
from tests.support.kubernetes_client import path_of
from tests.support.watches import manifest, until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demo.controlplane import Cluster, ControlPlane
    from tests.support.kubernetes_client import KubernetesClient

PROGRAMS: Final = ("kubectl-bjw", "kubectl_complete-bjw")
AGENT: Final = r"^kubectl-bjw/"
PATIENCE: Final = 120.0
_INSTALLED: Final = Path(sys.executable).parent


Completion = tuple[list[str], str]
"""The candidates without their descriptions, and the shell directive."""


class Plugin:
    """Runs ``kubectl bjw`` with this environment's programs on PATH."""

    def __init__(self, cluster: Cluster, kubectl: Path, folder: Path, namespace: str = "") -> None:
        self._cluster = cluster
        self._kubectl = kubectl
        self._folder = folder
        self.namespace = namespace
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # Shells start background jobs with SIGINT ignored. Children inherit that, and Ctrl-C would have no effect.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        # Users do not have this package installed. The kubernetes library imports it if it exists, which takes 2 s.
        (folder / "sitecustomize.py").write_text("import sys\nsys.modules['kubernetes_validate'] = None\n", "utf-8")

    def in_namespace(self, namespace: str) -> Plugin:
        """Return a plugin with another default namespace."""
        return Plugin(self._cluster, self._kubectl, self._folder, namespace)

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment for kubectl."""
        path = f"{self._folder}:{_INSTALLED}:{os.environ['PATH']}"
        # The kubernetes library loads slowly, so cache its bytecode even if that is disabled elsewhere.
        kept = os.environ.get("PYTHONPYCACHEPREFIX") or str(self._folder.parent / "plugin-bytecode")
        bytecode = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": kept}
        shown = {"PATH": path, "PYTHONPATH": str(self._folder), "COLUMNS": "200"}
        return {**os.environ, **self._cluster.environment, **bytecode, **shown, **variables}

    def command(self, *args: str) -> list[str]:
        """Return the command line."""
        return [str(self._kubectl), "bjw", *self._placed(*args)]

    def start(
        self, *args: str, terminal: int | None = None, output: IO[str] | None = None, **variables: str
    ) -> Command:
        """Start a command like kubectl, but without kubectl."""
        environment = self.environment(**variables)
        placed = self._placed(*args)
        return Command("kubectl-bjw", *placed, environment=environment, terminal=terminal, output=output)

    def __call__(self, *args: str, stdin: str | bytes = "", **variables: str) -> Done:
        """Run a command to its end like kubectl, but without kubectl."""
        environment = self.environment(**variables)
        with Command("kubectl-bjw", *self._placed(*args), environment=environment, stdin=True) as process:
            out, err = process.communicate(stdin, PATIENCE)
        scan(f"kubectl bjw {args[:1]}", out + err)
        return Done(process.wait(), out, err)

    def complete(self, *words: str) -> Completion:
        """Complete the last word like kubectl, but without kubectl."""
        with Command("kubectl_complete-bjw", *words, environment=self.environment()) as process:
            out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        return _completion(out)

    def complete_by_kubectl(self, *words: str) -> Completion:
        """Complete the last word with kubectl, like its completion scripts."""
        done = subprocess.run(
            [str(self._kubectl), "__complete", "bjw", *words],
            env=self.environment(),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        return _completion(done.stdout)

    def _placed(self, *args: str) -> tuple[str, ...]:
        where = ("-n", self.namespace) if self.namespace and not {"-n", "-A"} & {*args} else ()
        return (*args, *where)


def _completion(text: str) -> Completion:
    *candidates, directive = text.splitlines()
    return [line.partition("\t")[0] for line in candidates], directive


class Screen:
    """A command on its own terminal."""

    def __init__(self, plugin: Plugin, *args: str, by_kubectl: bool = False, **variables: str) -> None:
        """Start a command directly, or through kubectl, which is slower."""
        self._terminal, its_side = pty.openpty()
        variables["TERM"] = "xterm-256color"
        self._process: Command | subprocess.Popen[bytes]
        if by_kubectl:
            self._process = subprocess.Popen(
                plugin.command(*args),
                env=plugin.environment(**variables),
                stdin=its_side,
                stdout=its_side,
                stderr=its_side,
                start_new_session=True,
            )
        else:
            self._process = plugin.start(*args, terminal=its_side, output=None, **variables)
        os.close(its_side)
        self.text = ""
        """The complete output."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)
        scan("a terminal", self.text)

    def until(self, pattern: str, *, after: int = 0) -> int:
        """Wait for a match of a regular expression after a position in the output, and return its end."""
        deadline = time.monotonic() + PATIENCE
        while (found := re.compile(pattern).search(self.text, after)) is None:
            assert time.monotonic() < deadline, self.text[after:]
            self._read()
        return found.end()

    def interrupt(self) -> int:
        """Press Ctrl-C, which interrupts all processes of the terminal, and return the exit code."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(PATIENCE)

    def end(self) -> int:
        """Wait for the end, and return the exit code."""
        while self._process.poll() is None:
            self._read()
        self._read()
        return self._process.wait()

    def _read(self) -> None:
        if select.select([self._terminal], [], [], 0.1)[0]:
            try:
                self.text += os.read(self._terminal, 65536).decode(errors="replace")
            except OSError:  # the command closed the terminal
                time.sleep(0.1)


class Written:
    """Watches of a namespace whose statuses the test writes like the operator."""

    def __init__(self, client: KubernetesClient, namespace: str) -> None:
        self._client = client
        self.namespace = namespace
        self._count = 0

    def create(self, name: str, labels: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        """Create a watch of a job without any status."""
        self._count += 1
        job_id = f"{VAULT_ID}/backupJobs/00000000-0000-4000-8000-{self._count:012}"
        body = manifest(name, {"jobResourceId": job_id, **spec})
        body["metadata"]["labels"] = dict(labels or {})
        return self._done("POST", path_of(self.namespace), body)

    def become(self, name: str, example: str, **properties: Any) -> dict[str, Any]:
        """Set the status for a job like an Azure example, with other *properties*."""
        body = self._done("GET", path_of(self.namespace, name))
        job = payload(example)
        job_id = body["spec"]["jobResourceId"]
        job |= {"id": job_id, "name": job_id.rsplit("/", 1)[1]}
        job["properties"] |= properties
        status = next_status(Watch.from_body(body), Assessment(finding=parse_job(job)), now=datetime.now(UTC))
        return self._done("PUT", f"{path_of(self.namespace, name)}/status", {**body, "status": status})

    def fail(self, name: str, message: str) -> dict[str, Any]:
        """Fail the watch before its job is found."""
        body = self._done("GET", path_of(self.namespace, name))
        status = next_status(
            Watch.from_body(body),
            Assessment(finding=JobNotFound(message), consecutive_failures=3),
            now=datetime.now(UTC),
        )
        return self._done("PUT", f"{path_of(self.namespace, name)}/status", {**body, "status": status})

    def edit(self, name: str, **spec: Any) -> dict[str, Any]:
        """Change fields of the spec."""
        kind = "application/merge-patch+json"
        return self._done("PATCH", path_of(self.namespace, name), {"spec": spec}, content_type=kind)

    def label(self, name: str, **labels: str) -> dict[str, Any]:
        """Change labels."""
        kind = "application/merge-patch+json"
        body = {"metadata": {"labels": labels}}
        return self._done("PATCH", path_of(self.namespace, name), body, content_type=kind)

    def get(self, name: str) -> dict[str, Any]:
        """Return a watch."""
        return self._done("GET", path_of(self.namespace, name))

    def delete(self, name: str) -> None:
        """Delete a watch."""
        self._done("DELETE", path_of(self.namespace, name))

    def _done(self, method: str, path: str, body: Any = None, **options: str) -> dict[str, Any]:
        answer = self._client(method, path, body, **options)
        assert answer.status < HTTPStatus.MULTIPLE_CHOICES, answer
        return answer.body


def ended(process: Command) -> tuple[int, str, str]:
    """Wait for a command's end, and return its exit code, output and error output."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    scan("kubectl bjw", out + err)
    return process.wait(), out, err


class Waited:
    """A running `kubectl bjw wait` that has sent its first request."""

    def __init__(self, plugin: Plugin, control_plane: ControlPlane, *args: str) -> None:
        before = len(control_plane.requests.where(agent=AGENT))
        self.process = plugin.start("wait", *args)
        until(lambda: len(control_plane.requests.where(agent=AGENT)) > before)

    def end(self) -> tuple[int, str, str]:
        """Wait for the end, as in ``ended``."""
        return ended(self.process)
