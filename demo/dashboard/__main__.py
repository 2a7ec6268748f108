"""``make dashboard``: draw docs/dashboard.svg from a run of five minutes.

The run uses a real API server, a real Prometheus, the operator as a separate process, and the Azure simulator. The
simulator throttles one subscription for a while and is unreachable later. The picture shows the results of the
dashboard's own queries.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import yaml

from backupjobwatch import __version__
from backupjobwatch.constants import API_VERSION, KIND
from demo.controlplane import Cluster, ControlPlaneUnavailable, Kubectl, running_control_plane
from demo.dashboard.drawing import Span, draw
from demo.ports import reserved_port
from demo.prometheus import Prometheus, PrometheusUnavailable, running_prometheus
from demo.simulator import AzureSimulator, Fault, SimulatedClock, running_simulator
from demo.simulator.jobs import CANCELLED, COMPLETED_WITH_WARNINGS, DOCUMENTED, FAILED, RESTORE, SQL_FULL_BACKUP
from demo.stage import NAMESPACE, ROOT, TOKEN, exit_on_signals, running_operator, staged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from demo.prometheus.server import Series
    from demo.simulator.timeline import Job

DASHBOARD: Final = ROOT / "manifests" / "components" / "monitoring" / "dashboard.json"
PICTURE: Final = ROOT / "docs" / "dashboard.svg"
SPEED: Final = 12
LASTS: Final = 300.0
"""The length of the run in seconds."""
WAVE_EVERY, WAVES, WAVE = 10.0, 20, 4
THROTTLED_AT, THROTTLED_FOR = 90.0, 40
DOWN_AT, UP_AT = 190.0, 225.0
STEP: Final = 3.0
SUBSCRIPTIONS: Final = ("00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b")
KINDS: Final = (DOCUMENTED, RESTORE, SQL_FULL_BACKUP, DOCUMENTED, FAILED, RESTORE, COMPLETED_WITH_WARNINGS, CANCELLED)


def play(azure: AzureSimulator, kubectl: Kubectl) -> None:
    """Create watches and inject faults until the run ends."""
    azure.quotas.enable()
    vaults = [azure.add_vault(subscription, "backup", "rsv") for subscription in SUBSCRIPTIONS]
    events: list[tuple[float, str, Any]] = [
        (THROTTLED_AT, "Azure throttles a subscription", lambda: azure.faults.add(_throttled(), path=SUBSCRIPTIONS[1])),
        (DOWN_AT, "Azure is unreachable", lambda: azure.faults.add(Fault.reset(), times=None)),
        (UP_AT, "Azure is back", azure.faults.clear),
    ]
    for wave in range(WAVES):
        jobs = [_job(wave * WAVE + number) for number in range(WAVE)]
        ids = [vaults[number % 2].add_job(job, starts="when asked") for number, job in enumerate(jobs)]
        names = [f"watch-{wave:02}-{number}" for number in range(WAVE)]
        text = yaml.safe_dump_all(_watch(name, job_id) for name, job_id in zip(names, ids, strict=True))
        events.append(
            (wave * WAVE_EVERY, "", lambda text=text: kubectl("apply", "-f", "-", "-n", NAMESPACE, stdin=text))
        )
    started = time.monotonic()
    for at, what, act in sorted(events, key=lambda event: event[0]):
        time.sleep(max(started + at - time.monotonic(), 0))
        if what:
            print(f"{at:4.0f} s: {what}", flush=True)
        act()
    time.sleep(max(started + LASTS - time.monotonic(), 0))


def answers(prometheus: Prometheus, span: Span) -> Iterator[tuple[Mapping[str, Any], Sequence[tuple[str, Series]]]]:
    """Evaluate each query of each panel: graphs over the whole run, other panels at its end."""
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        found: list[tuple[str, Series]] = []
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "30s")
            series = (
                prometheus.query_range(query, start=span.start, end=span.end, step=STEP)
                if panel["type"] == "timeseries"
                else prometheus.query(query)
            )
            found += [(target["legendFormat"], each) for each in series]
        yield panel, found


def _throttled() -> Fault:
    return Fault.throttled(retry_after=THROTTLED_FOR)


def _job(number: int) -> Job:
    kind = KINDS[number % len(KINDS)]
    return dataclasses.replace(kind, name=str(uuid.UUID(int=number + 1, version=4)), start_time=None)


def _watch(name: str, job_id: str) -> dict[str, Any]:
    spec = {"jobResourceId": job_id, "pollInterval": "10s"}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}


def record(cluster: Cluster) -> str:
    """Run the scenario, and return the picture."""
    clock = SimulatedClock(speed=SPEED, start=datetime.now(UTC) - timedelta(hours=2))
    with running_simulator(clock=clock, tokens={TOKEN: "demo"}) as azure:
        stage = staged(cluster)
        with (
            reserved_port() as port,
            running_operator(stage, azure.url, metrics_port=port),
            running_prometheus(f"127.0.0.1:{port}") as prometheus,
        ):
            prometheus.wait_for("backupjobwatch_build_info")
            start = time.time()
            play(azure, Kubectl(cluster))
            span = Span(start=start, end=time.time())
            note = (
                (
                    "The dashboard of manifests/components/monitoring, drawn by `make dashboard`, not by Grafana, from the answers of "
                    f"Prometheus {prometheus.version()} to its own queries,"
                ),
                (
                    f"during a run of {LASTS / 60:.0f} minutes against the Azure simulator, which throttles a subscription at "
                    f"{THROTTLED_AT / 60:.1f} min and is unreachable from {DOWN_AT / 60:.1f} to {UP_AT / 60:.1f} min."
                ),
            )
            return draw(f"BackupJobWatch {__version__}", note, list(answers(prometheus, span)), span)


def main() -> None:
    """Draw the picture."""
    exit_on_signals()
    try:
        with running_control_plane() as cluster:
            PICTURE.write_text(record(cluster), encoding="utf-8")
    except (ControlPlaneUnavailable, PrometheusUnavailable) as error:
        sys.exit(str(error))
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
