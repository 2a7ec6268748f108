"""The operator's metrics after success, failure, errors and deletion."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backupjobwatch.domain.api.notify_spec import FLUX_GROUPS
from backupjobwatch.observability.metrics.catalogue import ANSWERS
from demo.simulator import AzureSimulator, Fault
from tests.functional.notifying import SETTINGS, is_settled, notifications, webhook
from tests.support.azure import SUBSCRIPTION_ID
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.kubernetes import DELETIONS, STATUS_WRITES
from tests.support.receiver import Receiver
from tests.support.scrape import Scrape

if TYPE_CHECKING:
    from demo.simulator import Vault
    from tests.functional.conftest import StartOperator
    from tests.functional.tenants import Tenants
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

WATCHES, INFO = "backupjobwatch_watches", "backupjobwatch_watch_info"
OUTCOMES, REQUESTS = "backupjobwatch_outcomes_total", "backupjobwatch_azure_requests_total"
WRITES, READS = "backupjobwatch_status_writes_total", "backupjobwatch_azure_reads_total"
TOKENS, TROUBLE = "backupjobwatch_token_failures_total", "backupjobwatch_watch_trouble_timestamp_seconds"
QUEUE_WAITS = "backupjobwatch_workqueue_queue_duration_seconds_count"
NOTIFICATIONS = "backupjobwatch_notifications_total"
ONE = {"namespace": "team-a", "name": "nightly"}


# ── lifecycle ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_watch_from_start_to_success(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """The metrics of a watch show its phase, its times, and one outcome when it has succeeded."""
    job_id = vault.set_job(JOB_NAME, running_payload())
    api.create({"jobResourceId": job_id, "pollInterval": "10s"})
    await api.events_emitted(1)
    scrape = await Scrape.until(operator, lambda each: each.value(WATCHES, phase="Running", reason="JobInProgress"))
    assert scrape.series(INFO) == [{**ONE, "phase": "Running", "reason": "JobInProgress"}]
    assert scrape.value("backupjobwatch_watch_job_start_timestamp_seconds", **ONE) == 1526891740
    assert scrape.series("backupjobwatch_watch_completion_timestamp_seconds") == []
    assert scrape.value(OUTCOMES) == 0
    vault.set_job(JOB_NAME, job_payload())
    await operator.advance_to("Succeeded", api)
    await api.events_emitted(2)
    scrape = await Scrape.until(operator, lambda each: each.value(OUTCOMES))
    assert scrape.value(WATCHES, phase="Succeeded", reason="JobCompleted") == scrape.value(WATCHES) == 1
    assert scrape.series(INFO) == [{**ONE, "phase": "Succeeded", "reason": "JobCompleted"}]
    assert scrape.value("backupjobwatch_watch_job_duration_seconds", **ONE) == 1223
    assert len(scrape.series("backupjobwatch_watch_completion_timestamp_seconds", **ONE)) == 1
    assert scrape.value(OUTCOMES, phase="Succeeded", reason="JobCompleted") == scrape.value(OUTCOMES) == 1
    assert scrape.value(WRITES, reason="transition", result="written") == scrape.value(WRITES) == 2
    assert scrape.value(REQUESTS, operation="get_job", result="success", code="200") == 2
    assert scrape.value("backupjobwatch_azure_request_duration_seconds_count", operation="get_job") == 2
    assert scrape.value(READS, answer="asked") == scrape.value(READS) == 2
    assert scrape.value("backupjobwatch_poll_lag_seconds_count") == 2
    assert scrape.value("backupjobwatch_poll_overdue_seconds") == 0


async def test_a_failed_job_is_an_outcome(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """A failed job counts as one failed watch and one failed outcome."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload(status="Failed"))})
    await api.events_emitted(1)
    scrape = await Scrape.until(operator, lambda each: each.value(OUTCOMES))
    assert scrape.value(OUTCOMES, phase="Failed", reason="JobFailed") == scrape.value(OUTCOMES) == 1
    assert scrape.value(WATCHES, phase="Failed", reason="JobFailed") == scrape.value(WATCHES) == 1


async def test_the_work_queues_are_measured(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """The reconcile, event and deletion queues report depth, waits and retries."""
    api.traffic.fail(STATUS_WRITES, status=503)
    api.traffic.fail(DELETIONS, status=503, times=1)
    job_id = vault.set_job(JOB_NAME, job_payload())
    api.create({"jobResourceId": job_id, "pollInterval": "10s", "ttlSecondsAfterFinished": 0})
    await operator.advance_until(lambda: not api.objects.find(None))
    scrape = await Scrape.until(operator, lambda each: each.value(QUEUE_WAITS, queue="ttl"))
    for queue in ("reconcile", "events", "ttl"):
        assert scrape.value("backupjobwatch_workqueue_depth", queue=queue) == 0
        assert scrape.value(QUEUE_WAITS, queue=queue) >= 1
    for queue in ("reconcile", "ttl"):
        assert scrape.value("backupjobwatch_workqueue_retries_total", queue=queue) >= 1


async def test_series_vanish_with_the_object(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """A deleted watch loses its series, but its outcome remains counted."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
    api.create({"jobResourceId": vault.set_job(OTHER_JOB_NAME, running_payload())}, "other")
    await api.events_emitted(2)
    await Scrape.until(operator, lambda each: each.value(WATCHES) == 2 and each.value(OUTCOMES))
    api.delete()
    scrape = await Scrape.until(operator, lambda each: each.value(WATCHES) == 1)
    assert '"nightly"' not in scrape.text
    assert [each["name"] for each in scrape.series(INFO)] == ["other"]
    assert scrape.value(OUTCOMES) == 1


async def test_a_recreated_watch_replaces_the_series(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """A watch that was recreated while its deletion was missed has only the series of the new object."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload(status="Failed"))})
    await api.status(phase="Failed")
    api.swallow("DELETED", "nightly")
    api.delete()
    await asyncio.sleep(1.1)  # creation timestamps have whole seconds
    api.create({"jobResourceId": vault.set_job(OTHER_JOB_NAME, running_payload())})
    await api.status(phase="Running")
    scrape = await Scrape.until(operator, lambda each: each.value(WATCHES, phase="Running"))
    assert scrape.series(INFO) == [{**ONE, "phase": "Running", "reason": "JobInProgress"}]
    assert scrape.value(WATCHES) == 1


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_throttling_shows(api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator) -> None:
    """A 429 appears in the request, wait and trouble metrics."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"})
    await api.status(phase="Running")
    sim.faults.add(Fault.throttled(retry_after=600), times=None)
    await operator.poll(sim)
    await api.status(reason="Throttled")
    scrape = await Scrape.until(operator, lambda each: each.value(WATCHES, reason="Throttled"))
    assert scrape.value(REQUESTS, operation="get_job", result="throttled", code="429") == 1
    assert 500 < scrape.value("backupjobwatch_azure_wait_seconds", subscription=SUBSCRIPTION_ID) <= 600
    assert len(scrape.series(TROUBLE, **ONE)) == 1
    operator.advance(60)
    operator.advance(60)
    scrape = await Scrape.until(operator, lambda each: each.value(READS, answer="deferred"))
    assert scrape.value(REQUESTS, operation="get_job") == 2
    assert scrape.value("backupjobwatch_poll_overdue_seconds") > 60


async def test_remaining_requests_show(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The metrics have Azure's remaining requests and the operator's read budget."""
    sim.quotas.enable()
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload())})
    await api.status(phase="Running")
    scrape = await Scrape.of(operator)
    assert scrape.value("backupjobwatch_azure_remaining_requests", subscription=SUBSCRIPTION_ID) == 249
    assert 18 < scrape.value("backupjobwatch_azure_budget_reads", subscription=SUBSCRIPTION_ID) <= 20
    assert scrape.value("backupjobwatch_azure_wait_seconds", subscription=SUBSCRIPTION_ID) == 0


async def test_trouble_ends_after_recovery(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """While Azure is down, the metrics show failed requests and trouble. After recovery, the trouble ends."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"})
    await api.status(phase="Running")
    sim.faults.add(Fault.reset(), times=None)
    await operator.poll(sim)
    await api.status(reason="AzureUnavailable")
    scrape = await Scrape.until(operator, lambda each: each.series(TROUBLE))
    assert scrape.value(REQUESTS, operation="get_job", result="unreachable", code="none") >= 1
    sim.faults.clear()
    await operator.poll(sim)
    await api.status(reason="JobInProgress")
    scrape = await Scrape.until(operator, lambda each: not each.series(TROUBLE))
    assert scrape.value(WATCHES, reason="JobInProgress") == 1


async def test_writes_that_fail_are_counted(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """Failed and successful status writes are counted separately."""
    api.traffic.fail(STATUS_WRITES, status=503)
    async with start(resync_interval="1s") as operator:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "pollInterval": "10s"})
        await operator.advance_to("Succeeded", api)
        scrape = await Scrape.until(operator, lambda each: each.value(WRITES, result="written"))
    assert scrape.value(WRITES, reason="transition", result="failed") == 1
    assert scrape.value(WRITES) == 2


async def test_reads_have_documented_answers(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """The metric of reads has only documented values of its answer label."""
    job_id = vault.set_job(JOB_NAME, running_payload())
    for name in ("first", "second"):
        api.create({"jobResourceId": job_id}, name)
        await api.status(name, phase="Running")
    scrape = await Scrape.until(operator, lambda each: each.value(READS, answer="asked") == 1)
    assert {each["answer"] for each in scrape.series(READS)} == set(ANSWERS)


async def test_shared_queries_count_as_one_request(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Two watches of one job that are polled at the same time cost one request."""
    job_id = vault.set_job(JOB_NAME, job_payload())
    with sim.hold() as hold:
        api.create({"jobResourceId": job_id})
        await hold.arrived()
        api.create({"jobResourceId": job_id}, "other")
        await Scrape.until(operator, lambda each: each.value(READS, answer="joined") == 1)
    await api.events_emitted(2)
    scrape = await Scrape.of(operator)
    assert (scrape.value(READS, answer="asked"), scrape.value(REQUESTS)) == (1, 1)


async def test_answers_without_a_request_show(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """If more watches are due than the budget covers, the metrics count answers from lists."""
    async with start(azure_reads_per_second=0.5, azure_read_burst=10) as operator:
        for number in range(12):
            job_id = vault.set_job(f"00000000-0000-4000-8000-{number:012}", running_payload())
            api.create({"jobResourceId": job_id, "pollInterval": "10s"}, f"watch-{number}")
        async with asyncio.timeout(120):
            while not (scrape := await Scrape.of(operator)).value(READS, answer="listed"):
                operator.advance(2)
    assert scrape.value(REQUESTS, operation="list_jobs", result="success") > 0
    requests_made = scrape.value(REQUESTS, operation="get_job")
    assert scrape.value(READS, answer="asked") >= requests_made > 0  # some requests are in flight


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_tokens_are_counted_where_they_are_fetched(tenants: Tenants, vault: Vault) -> None:
    """Only requests to Entra count, not cached tokens. A refusal counts for the namespace's identity."""
    good, bad = tenants.add("team-a"), tenants.add("team-b")
    bad.annotate(client_id="00000000-0000-4000-8000-000000000000")
    async with tenants.operator() as operator:
        good.watch(vault.set_job(JOB_NAME, running_payload()))
        await tenants.api.status(namespace="team-a", phase="Running")
        await operator.poll(tenants.sim)
        scrape = await Scrape.of(operator)
        assert scrape.value(REQUESTS, operation="token", result="success", code="200") == 1
        assert scrape.value(TOKENS) == 0
        bad.watch(vault.set_job(OTHER_JOB_NAME, running_payload()))
        await tenants.api.status(namespace="team-b", reason="AuthenticationFailed")
        scrape = await Scrape.of(operator)
    assert scrape.value(TOKENS, owner="namespace", reason="AuthenticationFailed") >= 1
    assert scrape.value(TOKENS, owner="operator") == 0
    assert scrape.value(REQUESTS, operation="token", result="refused") >= 1


async def test_a_missing_identity_is_counted(tenants: Tenants, vault: Vault) -> None:
    """A missing or forbidden identity counts as a token failure, although no token was requested."""
    tenants.add()
    job_id = vault.set_job(JOB_NAME, running_payload())
    async with tenants.operator(operator_identity_namespaces="") as operator:
        tenants.api.create({"jobResourceId": job_id, "identity": {"secretName": "none"}})
        tenants.api.create({"jobResourceId": job_id}, "operators")
        await tenants.api.status(reason="CredentialsNotFound")
        await tenants.api.status("operators", reason="IdentityNotAllowed")
        scrape = await Scrape.of(operator)
    assert scrape.value(TOKENS, owner="namespace", reason="CredentialsNotFound") >= 1
    assert scrape.value(TOKENS, owner="operator", reason="IdentityNotAllowed") >= 1


async def test_a_token_request_without_an_answer_is_no_success(tenants: Tenants, vault: Vault) -> None:
    """A token request without a response is not counted under the code of an earlier response."""
    tenant = tenants.add()
    tenant.put_client_secret()
    tenants.entra.faults.add(Fault.reset(), path="oauth2/v2.0/token", times=None)
    async with tenants.operator() as operator:
        tenant.watch(vault.set_job(JOB_NAME, job_payload()), "secretName")
        await tenants.api.status(phase="Pending", reason="AzureUnavailable")
        scrape = await Scrape.of(operator)
    assert scrape.value(REQUESTS, operation="token", code="none") == scrape.value(REQUESTS, operation="token") >= 1


# ── notifications ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_notifications_are_counted_by_channel(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """Each attempt counts once, by channel and result."""
    api.gitops.put(f"kustomizations.{FLUX_GROUPS['Kustomization']}", "apps", namespace="team-a")
    async with Receiver() as slow, Receiver() as closed, start(**SETTINGS) as operator:
        slow.answer(503)
        closed.then = 404
        flux = {"name": "flux", "flux": {"kind": "Kustomization", "name": "apps"}}
        entries = [webhook(slow.url, "slow"), webhook(closed.url, "closed"), flux]
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "notify": entries})
        await operator.advance_until(
            lambda: sum(is_settled(entry, "Succeeded") for entry in notifications(api).values()) == len(entries)
        )
        scrape = await Scrape.of(operator)
    counts = {
        (each["channel"], each["result"]): scrape.value(NOTIFICATIONS, **each) for each in scrape.series(NOTIFICATIONS)
    }
    assert {key: count for key, count in counts.items() if count} == {
        ("webhook", "delivered"): 1,
        ("webhook", "retried"): 1 + 4,
        ("webhook", "failed"): 1,
        ("flux", "delivered"): 1,
    }
