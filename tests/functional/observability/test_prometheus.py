"""A real Prometheus scrapes the operator and runs the queries of dashboard, alerts and documentation."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING, Final

from demo.prometheus import Prometheus, running_prometheus
from demo.simulator import AzureSimulator, Fault
from tests.contract.markdown import blocks
from tests.contract.monitoring import ALERTS, dashboard_queries, rule_file
from tests.contract.project import read
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from demo.simulator import Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

SCRAPED: Final = 3.0
"""Scrape interval in seconds."""
DONE: Final = "00000000-0000-4000-8000-000000000001"
ELSEWHERE: Final = "11111111-5e1f-4000-8000-000000000000"


@contextlib.asynccontextmanager
async def prometheus_of(operator: Operator) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that scrapes *operator* and has the alert rules."""
    target = f"127.0.0.1:{operator.settings.metrics_port}"
    async with contextlib.AsyncExitStack() as stack:
        running = running_prometheus(target, rules=rule_file(), interval=SCRAPED)
        prometheus = await asyncio.to_thread(stack.enter_context, running)
        await asyncio.to_thread(prometheus.wait_for, "backupjobwatch_build_info")
        yield prometheus


async def test_every_query_has_an_answer(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """Prometheus accepts every query, and those of the dashboard return data."""
    sim.quotas.enable()
    throttled = sim.add_vault(ELSEWHERE, "rg", "rsv").set_job(JOB_NAME, running_payload())
    going = vault.set_job(OTHER_JOB_NAME, running_payload())
    async with start(resync_interval="1s") as operator, prometheus_of(operator) as prometheus:
        for name, job_id in (
            ("ends", vault.set_job(JOB_NAME, running_payload())),
            ("goes", going),
            ("waits", throttled),
        ):
            api.create({"jobResourceId": job_id, "pollInterval": "10s"}, name)
        await api.events_emitted(3)
        sim.faults.add(Fault.throttled(retry_after=1800), path=ELSEWHERE)
        vault.set_job(JOB_NAME, job_payload(status="Failed"))
        api.create({"jobResourceId": vault.set_job(DONE, job_payload())}, "done")
        await operator.advance_to("Failed", api, "ends")
        await api.status("waits", reason="Throttled")
        for wanted in (
            'increase(backupjobwatch_outcomes_total{phase="Failed"}[1m]) > 0',
            'increase(backupjobwatch_outcomes_total{phase="Succeeded"}[1m]) > 0',
            "backupjobwatch_azure_wait_seconds > 0",
            'ALERTS{alertname="BackupJobWatchAzureThrottled"}',
            'ALERTS{alertname="BackupJobWatchFailed"}',
            "rate(backupjobwatch_event_loop_lag_seconds_count[1m]) > 0",
        ):
            await asyncio.to_thread(prometheus.wait_for, wanted)
        for title, query in dashboard_queries("1m"):
            # Some panels show only errors that did not occur, but the metric itself exists.
            found = await asyncio.to_thread(prometheus.wait_for, query.removesuffix(" > 0"))
            # The quantile of an operation without requests is NaN.
            assert not all(math.isnan(value) for series in found for _, value in series.points), f"{title}: NaN"
        for query in blocks(read("docs/metrics.md"), "promql"):
            await asyncio.to_thread(prometheus.query, query)
        rules = {rule["name"]: rule for rule in await asyncio.to_thread(prometheus.rules)}
        for alert, rule in ALERTS.items():
            await asyncio.to_thread(prometheus.query, rule["expr"])
            assert (rules[alert]["health"], rules[alert].get("lastError", "")) == ("ok", "")
        active = {name: rule["state"] for name, rule in rules.items() if rule["state"] != "inactive"}
        assert active == {"BackupJobWatchFailed": "firing", "BackupJobWatchAzureThrottled": "pending"}
        (alert,) = rules["BackupJobWatchFailed"]["alerts"]
        assert alert["annotations"]["summary"] == "team-a/ends failed: JobFailed."


async def test_a_deletion_ends_the_series_at_once(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """After a deletion, the series of the watch end with the next scrape."""
    async with start() as operator, prometheus_of(operator) as prometheus:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload(status="Failed"))})
        series = 'backupjobwatch_watch_info{namespace="team-a",name="nightly"}'
        await asyncio.to_thread(prometheus.wait_for, series)
        api.delete()
        await asyncio.to_thread(prometheus.wait_for, f"absent({series})")
        assert await asyncio.to_thread(prometheus.query, f"count_over_time({series}[1m])")
