"""The operator as users run it, in a separate process."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from demo.ports import reserved_port
from tests.support.canary import TOKEN, scan
from tests.support.commands import Command, is_measured

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from demo.controlplane import Cluster

_FOREIGN = re.compile(r"(BACKUPJOBWATCH|AZURE|KUBERNETES|IDENTITY|MSI)_")
_PATIENCE = 120.0


def clean_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without settings of the operator, and with *variables*."""
    kept = {name: value for name, value in os.environ.items() if not _FOREIGN.match(name)}
    return {**kept, **variables}


def settings_for(cluster: Cluster, azure: str, **settings: str) -> dict[str, str]:
    """Return the environment of an operator for *cluster* and *azure*. *settings* have no prefix."""
    usual = {
        "AZURE_ENDPOINT": azure,
        "DEVELOPMENT": "true",
        "DEVELOPMENT_TOKEN": TOKEN,
        "OPERATOR_IDENTITY_NAMESPACES": "*",
        "RESYNC_INTERVAL": "1s",
        **settings,
    }
    prefixed = {f"BACKUPJOBWATCH_{name}": value for name, value in usual.items()}
    return clean_environment(**cluster.environment, **prefixed)


class OperatorProcess:
    """``backupjobwatch run``."""

    def __init__(self, environment: Mapping[str, str], log: Path, seconds_ahead: float = 0.0) -> None:
        self._reservation = contextlib.ExitStack()
        self._port = self._reservation.enter_context(reserved_port())
        self._log = log
        self._scanned = 0
        with log.open("w") as output:
            self._process = Command(
                "backupjobwatch",
                "run",
                environment={
                    **environment,
                    "BACKUPJOBWATCH_PROBE_PORT": str(self._port),
                    "BACKUPJOBWATCH_METRICS_PORT": "0",
                },
                output=output,
                measured=is_measured(),
                seconds_ahead=seconds_ahead,
            )

    def wait_ready(self) -> Self:
        """Block until the operator reports that it is ready."""
        deadline = time.monotonic() + _PATIENCE
        while self.probe("readyz") != HTTPStatus.OK:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the operator is not ready ({self._process.returncode}):\n{self.log}")
            time.sleep(0.05)
        return self

    def probe(self, name: str) -> int | None:
        """Return the HTTP status of a probe, or None if the connection is refused."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", f"/{name}")
            return connection.getresponse().status
        return None

    @property
    def log(self) -> str:
        """The complete output."""
        return self._log.read_text()

    def scan_log(self) -> None:
        """Scan the new output for secrets."""
        with self._log.open() as log:
            log.seek(self._scanned)
            scan("the log of an operator", log.read())
            self._scanned = log.tell()

    @property
    def running(self) -> bool:
        """Whether the process is still running."""
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def wait(self, seconds: float = _PATIENCE) -> int:
        """Wait for the process to end, and return its exit code."""
        code = self._process.wait(seconds)
        self._reservation.close()
        return code

    def stop(self) -> None:
        """Stop the process like Kubernetes does, and wait for its end."""
        self.send(signal.SIGTERM)
        if self.wait() != 0:
            raise RuntimeError(f"the operator ended with exit code {self._process.returncode}:\n{self.log}")

    def kill(self) -> None:
        """Kill the process, like a crash or a lost node."""
        self._process.kill()
        self.wait()


class Operators:
    """Runs one operator at a time by default, because two would process the same watches."""

    def __init__(self, cluster: Cluster, azure: str, directory: Path) -> None:
        self._cluster = cluster
        self._azure = azure
        self._directory = directory
        self._started: list[OperatorProcess] = []
        self._shared: OperatorProcess | None = None
        self.seconds_ahead = 0.0
        """How far the wall clocks of the next operators are ahead."""

    def shared(self) -> OperatorProcess:
        """Return the shared operator, which watches all namespaces."""
        if self._shared is None or not self._shared.running:
            self._shared = self.start().wait_ready()
        return self._shared

    def start(self, **settings: str) -> OperatorProcess:
        """Start an operator with its own *settings*, and stop any other."""
        self.stop()
        return self.start_beside(**settings)

    def start_beside(self, **settings: str) -> OperatorProcess:
        """Start an operator with its own *settings* next to the others."""
        log = self._directory / f"operator-{len(self._started)}.log"
        operator = OperatorProcess(settings_for(self._cluster, self._azure, **settings), log, self.seconds_ahead)
        self._started.append(operator)
        return operator

    @property
    def current(self) -> OperatorProcess:
        """The operator that started last."""
        return self._started[-1]

    def stop(self) -> None:
        """Stop all operators."""
        for operator in self._started:
            if operator.running:
                operator.stop()
            else:
                operator.wait()

    def logs(self) -> list[str]:
        """Return the output of each operator, oldest first."""
        return [operator.log for operator in self._started]

    def scan_logs(self) -> None:
        """Scan the new output of all operators for secrets."""
        for operator in self._started:
            operator.scan_log()


def prove_no_traceback(log: str) -> None:
    """Check that a log has no traceback."""
    assert "Traceback" not in log, log
