"""While a proxy answers in Azure's place, watches keep their phase. They resume when Azure is back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from demo.simulator import Fault, Operation
from tests.support.azure import IN_VAULT
from tests.support.builders import JOB_NAME, OPERATION, job_payload, running_payload, standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.simulator import AzureSimulator
    from demo.simulator import Vault as SimulatedVault
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

PAGES = {
    "200": Fault.html(status=200, title="Sign in"),
    "401": Fault.html(status=401),
    "403": Fault.html(status=403, title="Access denied"),
    "404": Fault.html(status=404),
    "407": Fault.html(status=407),
    "redirect": Fault.redirect(to="https://login.example"),
    "empty 200": Fault.empty(),
    "empty 404": Fault.empty(status=404),
    "JSON 403": Fault.answer(status=403, body='{"error": {"code": "AuthorizationFailed", "message": "Blocked."}}'),
    "JSON 404": Fault.answer(status=404, body="{}", headers={"x-ms-failure-cause": "gateway"}),
    "cached": Fault.without_request_id(),
}
RETRIES = {
    "408": (Fault.html(status=408), "AzureUnavailable"),
    "502": (Fault.html(status=502), "AzureUnavailable"),
}
FIELDS = {"pollInterval": "10s", "graceSeconds": 0}


def watch_name(page: str) -> str:
    return page.lower().replace(" ", "-")


class Behind:
    """Watches behind a proxy, each with its own job and error page."""

    def __init__(self, api: KubernetesApi, sim: AzureSimulator, vault: SimulatedVault, operator: Operator) -> None:
        self._api, self._sim, self._vault, self._operator = api, sim, vault, operator
        self._faults = PAGES | {name: fault for name, (fault, _) in RETRIES.items()}
        self._jobs = {page: f"00000000-5e1f-4000-8000-{number:012}" for number, page in enumerate(self._faults)}

    def start(self, payload: Callable[..., dict[str, Any]]) -> None:
        for page, job in self._jobs.items():
            self._api.create({"jobResourceId": self._vault.set_job(job, payload()), **FIELDS}, watch_name(page))

    def end_jobs(self) -> None:
        for job in self._jobs.values():
            self._vault.set_job(job, job_payload())

    def block(self) -> None:
        for page, fault in self._faults.items():
            self._sim.faults.add(fault, path=self._jobs[page], times=None)

    def unblock(self) -> None:
        self._sim.faults.clear()

    async def poll(self, times: int) -> None:
        """Advance the clock until each job was polled *times* more."""
        wanted = {job: len(self._sim.requests_to(job)) + times for job in self._jobs.values()}
        await self._operator.advance_until(
            lambda: all(len(self._sim.requests_to(job)) >= count for job, count in wanted.items())
        )

    async def until_running(self) -> None:
        """Wait until all jobs were seen, without advancing the clock, so that no write times out."""
        names = [watch_name(page) for page in self._faults]
        await self._api.until(lambda: all("job" in self._api.get(name)["status"] for name in names))

    async def statuses(self) -> dict[str, dict[str, Any]]:
        """Advance the clock until all watches report their error, and return the statuses by page."""
        expected = {page: reason for page, (_, reason) in RETRIES.items()}
        await self._operator.advance_until(
            lambda: all(self._reason(page) == expected.get(page, "UnexpectedResponse") for page in self._faults)
        )
        return {page: self._api.get(watch_name(page))["status"] for page in self._faults}

    async def succeed(self) -> None:
        """Advance the clock until all watches have succeeded."""
        await self._operator.advance_until(lambda: all(self._reason(page) == "JobCompleted" for page in self._faults))

    def _reason(self, page: str) -> object:
        return self._api.get(watch_name(page))["status"].get("reason")


@pytest.fixture
def behind(api: KubernetesApi, sim: AzureSimulator, vault: SimulatedVault, operator: Operator) -> Behind:
    return Behind(api, sim, vault, operator)


async def test_pages_at_first(behind: Behind) -> None:
    """Watches without a first result stay Pending, and succeed when Azure answers again."""
    behind.block()
    behind.start(job_payload)
    await behind.poll(times=5)
    for page, status in (await behind.statuses()).items():
        assert status["phase"] == "Pending", page
        assert standing(status) | {"AzureReachable": "False", "Ready": "Unknown"} == standing(status), page
        assert "is not from Azure Resource Manager" in status["message"], page
        assert "troubleSince" not in status, page
    behind.unblock()
    await behind.succeed()


async def test_pages_while_jobs_run(behind: Behind) -> None:
    """Watches of running jobs stay Running and keep their job data."""
    behind.start(running_payload)
    await behind.until_running()
    behind.block()
    behind.end_jobs()
    await behind.poll(times=5)
    for page, status in (await behind.statuses()).items():
        assert (status["phase"], status["job"]["status"]) == ("Running", "InProgress"), page
        assert "troubleSince" not in status, page
    behind.unblock()
    await behind.succeed()


async def test_a_page_that_throttles(
    api: KubernetesApi, sim: AzureSimulator, vault: SimulatedVault, operator: Operator
) -> None:
    """The operator treats a proxy's 429 like one from Azure."""
    rule = sim.faults.add(Fault.html(status=429), times=1)
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), **FIELDS})
    await api.status(phase="Pending", reason="Throttled")
    assert rule.used == 1
    await operator.advance_to("Succeeded", api)


@pytest.mark.parametrize("source", ["operation", "latest"])
async def test_pages_before_the_job_is_known(
    *, api: KubernetesApi, sim: AzureSimulator, vault: SimulatedVault, operator: Operator, source: str
) -> None:
    """A proxy's page instead of an operation or a list does not fail a watch."""
    vault.set_job(JOB_NAME, job_payload())
    vault.add_operation(Operation.succeeding(OPERATION, JOB_NAME, after=0))
    pages = [PAGES[name] for name in ("200", "403", "404", "empty 200")]
    for page in pages:
        sim.faults.add(page, times=1)
    named = {"operationId": OPERATION} if source == "operation" else {"latest": {"item": "uttestvmub1"}}
    api.create({**named, "vault": IN_VAULT, **FIELDS})
    await api.status(phase="Pending", reason="UnexpectedResponse")
    await operator.poll(sim, times=len(pages) - 2)
    assert {write["phase"] for write in api.writes()} == {"Pending"}
    assert {write["reason"] for write in api.writes()} == {"UnexpectedResponse"}


async def test_a_page_until_the_deadline(
    api: KubernetesApi, sim: AzureSimulator, vault: SimulatedVault, operator: Operator
) -> None:
    """A blocked watch fails at its deadline, and the message quotes the proxy's page."""
    sim.faults.add(PAGES["403"], times=None)
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "activeDeadlineSeconds": 1, **FIELDS})
    await operator.advance_to("Failed", api)
    status = api.get()["status"]
    assert status["reason"] == "DeadlineExceeded"
    assert "403 Forbidden is not from Azure Resource Manager" in status["message"]
    assert "It says: Access denied." in status["message"]


@pytest.mark.parametrize(
    ("headers", "reason"), [({}, "JobNotFound"), ({"x-ms-failure-cause": "gateway"}, "VaultNotFound")]
)
async def test_an_empty_object_of_azure(
    *, api: KubernetesApi, sim: AzureSimulator, vault: SimulatedVault, operator: Operator, headers: Any, reason: str
) -> None:
    """A 404 from Azure with an empty object counts for graceSeconds."""
    sim.faults.add(Fault.answer(status=404, body="{}", headers=headers, official=True), times=None)
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), **FIELDS})
    await operator.advance_to("Failed", api)
    assert api.get()["status"]["reason"] == reason
