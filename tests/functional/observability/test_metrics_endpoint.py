"""The /metrics endpoint: its formats, its build information, and its limits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from backupjobwatch import __version__
from backupjobwatch.constants import REQUESTED_AT
from backupjobwatch.errors import SettingsError
from backupjobwatch.observability.metrics import catalogue
from demo.simulator import AzureSimulator, Fault
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.scrape import Scrape

if TYPE_CHECKING:
    from demo.simulator import Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

WATCHES, INFO = "backupjobwatch_watches", "backupjobwatch_watch_info"
OUTCOMES, REQUESTS = "backupjobwatch_outcomes_total", "backupjobwatch_azure_requests_total"


# ── the server ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_both_formats(operator: Operator) -> None:
    """A scraper gets OpenMetrics or the Prometheus text format, compressed if it accepts that."""
    url = f"http://127.0.0.1:{operator.settings.metrics_port}/metrics"
    plain = await asyncio.to_thread(requests.get, url, timeout=60)
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = await asyncio.to_thread(requests.get, url, headers=wanted, timeout=60)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.headers["Content-Encoding"] in ("gzip", "deflate")
    families = text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
    assert f"{catalogue.PREFIX}watches" in {family.name for family in families}
    assert (await asyncio.to_thread(requests.get, url.replace("/metrics", "/healthz"), timeout=60)).status_code == 404


async def test_every_metric_is_in_the_catalogue(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """The scrape has exactly the families of the catalogue, with their types, help texts and labels."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
    await api.events_emitted(1)
    scrape = await Scrape.until(operator, lambda each: each.value(WATCHES) and each.value(OUTCOMES))
    told = {family.name: family for family in scrape.families if not family.name.endswith("_created")}
    listed = {metric.name.removesuffix("_total"): metric for metric in catalogue.ALL}
    assert {name for name in told if not name.startswith("process_")} == listed.keys()
    for name, metric in listed.items():
        assert told[name].type == metric.kind
        assert told[name].documentation == metric.meaning
        for sample in told[name].samples:
            assert sample.labels.keys() - {"le"} == metric.labels.keys()
            for label, values in metric.labels.items():
                assert not values or sample.labels[label] in values


async def test_metrics_have_version_and_leadership(operator: Operator) -> None:
    """The metrics have the version, the leadership and the event loop lag."""
    scrape = await Scrape.until(operator, lambda each: each.value("backupjobwatch_event_loop_lag_seconds_count"))
    assert [each["version"] for each in scrape.series("backupjobwatch_build_info")] == [__version__]
    assert scrape.value("backupjobwatch_leader") == 1


async def test_the_resync_is_reported(start: StartOperator) -> None:
    """The time of the last resync is a metric."""
    async with start(resync_interval="1s") as operator:
        scrape = await Scrape.until(operator, lambda each: each.value("backupjobwatch_last_resync_timestamp_seconds"))
    assert scrape.value("backupjobwatch_last_resync_timestamp_seconds") > 1.7e9


async def test_a_port_in_use_ends_the_operator(start: StartOperator, operator: Operator) -> None:
    """If the metrics port is in use, the operator exits instead of running without metrics."""
    with pytest.raises(SettingsError, match=r"BACKUPJOBWATCH_METRICS_PORT: port \d+ is not available"):
        async with start(metrics_port=operator.settings.metrics_port):
            pass


# ── limits against hostile input ─────────────────────────────────────────────────────────────────────────────────────


async def test_watches_beyond_the_limit_are_only_counted(
    api: KubernetesApi, vault: Vault, start: StartOperator
) -> None:
    """Above the limit, only watches that have not ended keep their own series."""
    done, going = vault.set_job(JOB_NAME, job_payload()), vault.set_job(OTHER_JOB_NAME, running_payload())
    async with start(metrics_watch_limit=2) as operator:
        for number in range(3):
            api.create({"jobResourceId": done}, f"done-{number}")
        for number in range(2):
            api.create({"jobResourceId": going}, f"going-{number}")
        await api.events_emitted(5)
        scrape = await Scrape.until(operator, lambda each: each.value(WATCHES, phase="Succeeded") == 3)
    assert {each["name"] for each in scrape.series(INFO)} == {"going-0", "going-1"}
    assert scrape.value(WATCHES) == 5
    assert scrape.value("backupjobwatch_left_out", what="watches") == 3


async def test_subscriptions_beyond_the_limit_are_omitted(
    api: KubernetesApi, sim: AzureSimulator, start: StartOperator
) -> None:
    """Sixty subscriptions get at most fifty series. The metrics count the omitted ones."""
    async with start() as operator:
        for number in range(60):
            subscription = f"00000000-5e1f-4000-8000-{number:012}"
            job_id = sim.add_vault(subscription, "rg", "rsv").set_job(JOB_NAME, job_payload())
            api.create({"jobResourceId": job_id}, f"watch-{number}")
        await api.events_emitted(60)
        scrape = await Scrape.of(operator)
    assert len(scrape.series("backupjobwatch_azure_budget_reads")) == 50
    assert scrape.value("backupjobwatch_left_out", what="subscriptions") == 10


async def test_odd_codes_are_one(api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator) -> None:
    """Unusual status codes share one label value."""
    job_id = vault.set_job(JOB_NAME, running_payload())
    api.create({"jobResourceId": job_id, "pollInterval": "10s"})
    await api.status(phase="Running")
    for code in (299, 418, 511, 599):
        sim.faults.add(Fault.empty(status=code))
    for number in range(4):
        api.annotate(**{REQUESTED_AT.replace("/", "__").replace(".", "_"): str(number)})
        await operator.poll(sim)
    scrape = await Scrape.until(operator, lambda each: each.value(REQUESTS) >= 5)
    codes = {each["code"] for each in scrape.series(REQUESTS)}
    assert codes == {"200", "Other"}


async def test_an_unknown_status_adds_no_label(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """A phase or reason that a user writes into a status creates no new label value."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload())})
    before = await api.status(phase="Running")
    body = api.get()
    body["status"] = {**before, "reason": "MadeUp" * 5}
    api.objects.put_status(("team-a", "nightly"), body)
    api._announce()
    scrape = await Scrape.until(operator, lambda each: each.value(WATCHES, reason="Other"))
    assert "MadeUp" not in scrape.text
