"""A small cluster, the Azure simulator, the operator between them, and the invariants that hold in every test."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
from datetime import UTC, datetime
from http.client import OK
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.arm.client import ArmClient
from backupjobwatch.arm.credentials import StaticToken
from backupjobwatch.arm.poller import Poller
from backupjobwatch.domain.api.spec import parse_spec, target_digest
from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.observability.metrics.instruments import Metrics
from backupjobwatch.settings import Settings
from demo.ports import reserved_port
from demo.simulator import AzureSimulator, EntraSimulator, ManualClock, Vault
from tests.functional.bound_client import BoundClient
from tests.functional.polling import TOKEN_A, TOKEN_B, Credentials, Polling
from tests.functional.tenants import Tenants
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.canary import TOKEN, scan
from tests.support.gates import states
from tests.support.kubernetes import DELETIONS, KubernetesApi
from tests.support.kubernetes_gitops import PATCHES
from tests.support.movable_loop import MovableLoop
from tests.support.operator import Operator, azure_threads, running_operator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from backupjobwatch.arm.credentials import TokenSource
    from tests.support.kubernetes_traffic import Request

    OpenClient = Callable[..., BoundClient]
    OpenPoller = Callable[..., Polling]
    StartOperator = Callable[..., AbstractAsyncContextManager[Operator]]


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run all tests of this folder in an event loop whose clock they can move."""
    return {"movable": MovableLoop}


@pytest.fixture(scope="session", autouse=True)
def _shared_states(tmp_path_factory: pytest.TempPathFactory) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        states.share(tmp_path_factory.getbasetemp().parent)  # shared by all workers of this run


@pytest.fixture(autouse=True)
def _few_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust none of the machine's certificate authorities, because each operator would spend 0.1 s on loading them."""
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)


@pytest.fixture
async def sim() -> AsyncIterator[AzureSimulator]:
    async with AzureSimulator(clock=ManualClock(), tokens={TOKEN: "demo-principal"}) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    return sim.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)


@pytest.fixture
def at_once(sim: AzureSimulator, vault: Vault) -> None:
    """Let the vault name the job of an operation at once, because the simulator's clock stands still.

    That clock shows the time of the operator, which lists the jobs since its own time.
    """
    vault.protection.names_job_after = 0.0
    sim.clock.advance((datetime.now(UTC) - sim.clock.now()).total_seconds())


@pytest.fixture
def done(vault: Vault) -> str:
    """The resource ID of a succeeded job."""
    return vault.set_job(JOB_NAME, job_payload())


@pytest.fixture
def going(vault: Vault) -> str:
    """The resource ID of a running job."""
    return vault.set_job(OTHER_JOB_NAME, running_payload())


@pytest.fixture
def job_id(done: str) -> JobId:
    return JobId.parse(done)


@pytest.fixture
def open_client(sim: AzureSimulator) -> Iterator[OpenClient]:
    """Open a client of the simulator, and close it at the end of the test. All its threads must end."""
    with contextlib.ExitStack() as stack:

        def open_client(*, tokens: TokenSource | None = None, **options: Any) -> BoundClient:
            values = {"azure_endpoint": sim.url, "development": True, **options}
            client = BoundClient(Settings(**values), tokens or StaticToken(TOKEN))
            stack.callback(client.close)
            return client

        yield open_client
    for thread in azure_threads():
        thread.join(60.0)
    assert azure_threads() == []


@pytest.fixture
def client(open_client: OpenClient) -> BoundClient:
    return open_client()


@pytest.fixture
async def open_poller(sim: AzureSimulator) -> AsyncIterator[OpenPoller]:
    """Open a poller with the two identities of ``polling``, and freeze the test's clock."""
    sim.tokens.add(TOKEN_A, "principal-a")
    sim.tokens.add(TOKEN_B, "principal-b")
    pollers: list[Poller] = []
    clients: list[ArmClient] = []
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)

    def open_poller(**options: Any) -> Polling:
        loop.freeze()
        settings = Settings(azure_endpoint=sim.url, development=True, **options)
        client, credentials, news = ArmClient(settings, Metrics()), Credentials(), list[str]()
        poller = Poller(settings, client, credentials, Metrics(), on_observation=news.append)
        clients.append(client)
        pollers.append(poller)
        return Polling(poller, credentials, news)

    yield open_poller
    for poller in pollers:
        await poller.close()
    for client in clients:
        client.close()
    loop.thaw()  # stopping the simulator needs working timeouts


@pytest.fixture
async def api() -> AsyncIterator[KubernetesApi]:
    async with KubernetesApi(Path(os.environ["KUBECONFIG"])) as api:
        yield api
        assert_promises_kept(api)


@pytest.fixture
def start(api: KubernetesApi, sim: AzureSimulator, caplog: pytest.LogCaptureFixture) -> Iterator[StartOperator]:
    """Start an operator, wait until it watches, and verify that it leaves nothing behind."""

    @contextlib.asynccontextmanager
    async def start(*, watching: bool = True, **options: Any) -> AsyncIterator[Operator]:
        values: dict[str, Any] = {
            "azure_endpoint": sim.url,
            "development": True,
            "development_token": TOKEN,
            "operator_identity_namespaces": "*",
        }
        before = api.watched
        with reserved_port() as probes, reserved_port() as metrics:
            settings = Settings(**{"probe_port": probes, "metrics_port": metrics, **values, **options})
            async with running_operator(settings) as operator:
                if watching:  # the operator may list hundreds of watches first
                    await api.until(lambda: api.watched > before or operator.ended, within=240)
                    assert not operator.ended, "the operator ended during its start"
                yield operator
        assert operator.leftovers == []

    yield start
    for thread in azure_threads():  # they end on their own after the stop
        thread.join(60.0)
    assert azure_threads() == []
    defects = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert [text for text in defects if "failed to reconcile" in text or "Exception in callback" in text] == []


@pytest.fixture
async def operator(start: StartOperator) -> AsyncIterator[Operator]:
    async with start() as operator:
        yield operator


def assert_promises_kept(api: KubernetesApi) -> None:
    """Verify the invariants that hold in every test."""
    for request in api.traffic.requests:
        scan(request.line, str(request))
        assert request.user_agent, request.line
        if "/leases" in request.path:  # tests/functional/kube/test_terms.py covers the Lease
            continue
        # The operator never writes to the object itself: it adds no finalizer, annotation or label.
        assert request.method in ("GET", "POST", "DELETE", "PATCH") or request.line.endswith("/status"), request.line
        assert request.method != "POST" or request.line.endswith(("/events", "/token")), request.line
        if request.method == "DELETE" and request.status == OK:
            assert_time_was_over(api, request)
    assert_identities_are_ones_own(api)
    assert_triggers_are_ones_own(api)
    for change in api.objects.history:
        if change.part == "status":
            assert_gate_honest(change.after)


def assert_time_was_over(api: KubernetesApi, request: Request) -> None:
    """Verify that a deleted watch had finished, had a TTL and no owner, and was unchanged since."""
    assert re.search(DELETIONS, request.line), request.line
    fence = request.body["preconditions"]
    (body,) = (
        change.before
        for change in api.objects.history
        if change.type == "DELETED" and change.before and change.before["metadata"]["uid"] == fence["uid"]
    )
    assert body["metadata"]["resourceVersion"] == fence["resourceVersion"]
    assert body["status"]["observedGeneration"] == body["metadata"]["generation"]
    assert body["status"]["phase"] in ("Succeeded", "Failed")
    assert body["spec"]["ttlSecondsAfterFinished"] >= 0
    assert not any(reference.get("controller") for reference in body["metadata"].get("ownerReferences", ()))


def assert_identities_are_ones_own(api: KubernetesApi) -> None:
    """Verify that the operator reads only Secrets and ServiceAccounts that a watch in their namespace names."""
    named = {
        (body["metadata"]["namespace"], f"{plural}/{identity[field]}")
        for body in (change.after for change in api.objects.history)
        for identity in (
            body["spec"].get("identity", {}),
            *(entry.get("webhook", {}) for entry in body["spec"].get("notify", ())),
        )
        for field, plural in (("serviceAccountName", "serviceaccounts"), ("secretName", "secrets"))
        if field in identity
    }
    for request in api.traffic.matching("/(serviceaccounts|secrets)"):
        _, _, _, _, namespace, plural, name, *_ = request.path.split("/")
        assert (namespace, f"{plural}/{name}") in named, request.line


def assert_triggers_are_ones_own(api: KubernetesApi) -> None:
    """Verify that the operator patches only the annotation of objects that a watch in their namespace names."""
    named = {
        (change.after["metadata"]["namespace"], name)
        for change in api.objects.history
        for entry in change.after["spec"].get("notify", ())
        for name in (entry.get("flux", {}).get("name"), entry.get("argocd", {}).get("application"))
    }
    for request in api.traffic.matching("^PATCH "):
        match = re.match(PATCHES, request.line)
        assert match is not None, request.line
        assert (match["namespace"], match["name"]) in named, request.line
        (annotation,) = request.body["metadata"]["annotations"]
        assert annotation in ("reconcile.fluxcd.io/requestedAt", "argocd.argoproj.io/refresh")


def assert_gate_honest(body: Mapping[str, Any]) -> None:
    """Verify that a status matches the current spec, and that only a succeeded job opens the gate."""
    status, spec = body["status"], body["spec"]
    conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert status["observedGeneration"] == body["metadata"]["generation"]
    assert status["target"] == target_digest(spec)
    assert {condition["observedGeneration"] for condition in status["conditions"]} == {status["observedGeneration"]}
    if "True" in {conditions.get(gate) for gate in ("Ready", "Complete", "Succeeded")}:
        warnings = {"CompletedWithWarnings", "SuccessWithWarning"}
        accepted = {"Completed", "Success"} | (warnings if spec["completedWithWarnings"] == "Succeeded" else set())
        assert status["phase"] == "Succeeded"
        assert status["job"]["status"] in accepted
        source = parse_spec(spec).source
        # Jobs that the operator resolved are pinned in the status. All of them must have succeeded.
        pinned = [source.name.lower()] if isinstance(source, JobId) else [job["name"] for job in status["jobs"]]
        assert status["job"]["name"].lower() in pinned
        assert {job["status"] for job in status.get("jobs", ())} <= accepted
        assert not any("errorCode" in job for job in status.get("jobs", ()))


@pytest.fixture
async def tenants(
    api: KubernetesApi,
    sim: AzureSimulator,
    start: StartOperator,
    tmp_path: Path,
) -> AsyncIterator[Tenants]:
    """Namespaces with their own identities."""
    async with EntraSimulator(tokens=sim.tokens) as entra:
        authority = tmp_path / "entra.pem"
        authority.write_text(entra.ca_pem)
        tenants = Tenants(api, sim, entra, start)
        tenants.options = {"azure_authority": entra.url, "azure_authority_ca_file": str(authority)}
        yield tenants
