"""Run a Prometheus that scrapes one operator, and query it."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import requests
import yaml

from demo.ports import reserved_port

from .binaries import PrometheusUnavailable, find_binaries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PATIENCE = 60.0


class Series(NamedTuple):
    """One series of a result: its labels, and its values with their Unix times."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


class QueryFailed(Exception):
    """Prometheus rejected a query. The message is from Prometheus."""


class Prometheus:
    """A client of the HTTP API: https://prometheus.io/docs/prometheus/latest/querying/api/."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def query(self, promql: str) -> list[Series]:
        """Evaluate a query at the current time."""
        return [_series(each, [each["value"]]) for each in self._ask("query", query=promql)]

    def query_range(self, promql: str, *, start: float, end: float, step: float) -> list[Series]:
        """Evaluate a query from *start* to *end* (Unix times), every *step* seconds."""
        found = self._ask("query_range", query=promql, start=start, end=end, step=step)
        return [_series(each, each["values"]) for each in found]

    def wait_for(self, promql: str) -> list[Series]:
        """Repeat a query until it returns a series."""
        deadline = time.monotonic() + _PATIENCE
        while not (found := self.query(promql)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"Prometheus has nothing for {promql}")
            time.sleep(0.2)
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Return the loaded alerts, with their state and health."""
        answer = self._get("rules").json()["data"]["groups"]
        return [rule for group in answer for rule in group["rules"]]

    def version(self) -> str:
        """Return the version of Prometheus."""
        return str(self._get("status/buildinfo").json()["data"]["version"])

    def ready(self) -> bool:
        """Return whether Prometheus is ready."""
        with contextlib.suppress(requests.RequestException):
            return bool(self._session.get(f"{self.url}/-/ready", timeout=2).ok)
        return False

    def _ask(self, what: str, **parameters: object) -> list[dict[str, Any]]:
        answer = self._get(what, **parameters).json()
        if answer["status"] != "success":
            raise QueryFailed(f"{parameters['query']}: {answer['error']}")
        data = answer["data"]
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        found: list[dict[str, Any]] = data["result"]
        return found

    def _get(self, what: str, **parameters: object) -> requests.Response:
        return self._session.get(f"{self.url}/api/v1/{what}", params=parameters, timeout=30)  # type: ignore[arg-type]


def _series(found: Mapping[str, Any], values: list[list[Any]]) -> Series:
    return Series(dict(found["metric"]), [(float(at), float(value)) for at, value in values])


@contextlib.contextmanager
def running_prometheus(target: str, *, rules: str = "", interval: float = 1.0) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes *target* (host:port) every *interval* seconds and evaluates *rules*."""
    binaries = find_binaries()
    with tempfile.TemporaryDirectory(prefix="prometheus-") as folder, reserved_port() as port:
        root = Path(folder)
        (root / "rules.yaml").write_text(rules or "groups: []\n", encoding="utf-8")
        scrape = {
            "job_name": "backupjobwatch",
            "honor_labels": True,  # as in the PodMonitor
            "static_configs": [{"targets": [target], "labels": {"namespace": "backupjobwatch-system", "pod": "demo"}}],
        }
        every = f"{interval * 1000:.0f}ms"
        config = {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": [str(root / "rules.yaml")],
            "scrape_configs": [scrape],
        }
        (root / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        command = [
            str(binaries.prometheus),
            f"--config.file={root / 'prometheus.yaml'}",
            f"--storage.tsdb.path={root / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ]
        with (root / "log").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            prometheus = Prometheus(f"http://127.0.0.1:{port}")
            deadline = time.monotonic() + _PATIENCE
            while not prometheus.ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise PrometheusUnavailable(f"Prometheus does not start: {(root / 'log').read_text()}")
                time.sleep(0.1)
            yield prometheus
        finally:
            process.kill()
            process.wait()
