"""Any bytes that Azure or a proxy returns become a result or a typed error."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backupjobwatch.arm.client import ArmClient, Page
from backupjobwatch.arm.credentials import StaticToken
from backupjobwatch.domain.jobs.findings import OperationFailure, PinnedJob, Waiting
from backupjobwatch.domain.jobs.job import Job
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId, VaultKind
from backupjobwatch.errors import AzureError
from backupjobwatch.observability.metrics.instruments import Metrics
from backupjobwatch.settings import Settings
from demo.simulator import Fault, running_simulator
from demo.simulator.messages import Answer
from tests.property.oracles import check_status
from tests.property.strategies import dp_payloads, json_values, operations, pages, payloads
from tests.support.azure import DATA
from tests.support.builders import (
    JOB_NAME,
    NOW,
    OPERATION,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    VAULT,
    settle,
    watch_body,
)  # fmt: skip
from tests.support.canary import TOKEN
from tests.support.scale import at_scale

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from backupjobwatch.arm.client import Reading
    from demo.simulator import AzureSimulator

EXAMPLES: Final = at_scale(150, 5000)
VAULTS: Final = [
    VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=VAULT, kind=kind) for kind in VaultKind
]
KNOWN: Final = [path.read_bytes() for path in sorted(DATA.glob("*.json"))]


def broken(body: bytes, at: int, piece: bytes, length: int) -> bytes:
    """Replace a part of *body*."""
    start = at % (len(body) + 1)
    return body[:start] + piece + body[start + length :]


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


bodies: Final = st.one_of(
    st.binary(max_size=300),
    st.builds(encoded, st.one_of(json_values, payloads, dp_payloads, operations, pages)),
    st.builds(broken, st.sampled_from(KNOWN), st.integers(0), st.binary(max_size=8), st.integers(0, 12)),
    st.builds(lambda depth: b"[" * depth, st.integers(1, 100_000)),
)
codings: Final = st.sampled_from(
    [
        (None, bytes),
        (None, bytes),
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("gzip", bytes),  # not gzip
        ("br, gzip", bytes),
        ("no-such-coding", bytes),
    ]
)
_odd = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
headers: Final = st.fixed_dictionaries(
    {"Content-Type": st.one_of(st.just("application/json"), _odd)},
    optional={
        "Retry-After": st.one_of(st.sampled_from(["0", "-1", "1e400", "nan", "Wed, 21 Oct 2026 07:28:00 GMT"]), _odd),
        "x-ms-ratelimit-remaining-subscription-reads": st.one_of(st.integers().map(str), _odd),
        "x-ms-request-id": st.one_of(st.just("r1"), _odd),
        "x-ms-failure-cause": st.one_of(st.just("gateway"), _odd),
        "Location": _odd,
        "WWW-Authenticate": st.one_of(st.just('Bearer claims="e30="'), _odd),
    },
)
statuses: Final = st.one_of(
    st.just(200), st.sampled_from([200, 202, 204, 302, 400, 401, 403, 404, 409, 429, 500, 503]), st.integers(200, 999)
)


class FuzzClient:
    """Sends requests to the simulator, which returns the response of the test."""

    def __init__(self, simulator: AzureSimulator) -> None:
        self._simulator = simulator
        self._runner = asyncio.Runner()
        self._client = ArmClient(
            Settings(azure_endpoint=simulator.url, development=True, azure_total_timeout="5s"),  # type: ignore[arg-type]
            Metrics(),
        )

    def read(self, what: str, vault: VaultId, answer: Answer) -> Any:
        """Return the result of *answer*, or the error that it causes."""
        self._simulator.faults.clear()
        self._simulator.faults.add(Fault(kind="fuzz", respond=lambda _true, _request: answer), times=None)
        tokens = StaticToken(TOKEN)
        request: Coroutine[Any, Any, Reading[Any]]
        if what == "job":
            request = self._client.get_job(tokens, JobId(vault=vault, name=JOB_NAME))
        elif what == "list":
            request = self._client.list_page(tokens, vault, filter_="status eq 'InProgress'")
        else:
            request = self._client.get_operation(tokens, OperationId(vault=vault, name=OPERATION))
        try:
            reading: Reading[Any] = self._runner.run(request)
        except AzureError as error:
            return error
        return reading.value.items if isinstance(reading.value, Page) else reading.value

    def close(self) -> None:
        self._client.close()
        self._runner.close()


@pytest.fixture(scope="module")
def client() -> Iterator[FuzzClient]:
    with running_simulator(tokens={TOKEN: "operator"}) as simulator:
        client = FuzzClient(simulator)
        yield client
        client.close()


@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(
    what=st.sampled_from(["job", "list", "operation"]),
    vault=st.sampled_from(VAULTS),
    status=statuses,
    body=bodies,
    coding=codings,
    fields=headers,
)
def test_any_bytes(
    *, client: FuzzClient, what: str, vault: VaultId, status: int, body: bytes, coding: Any, fields: dict[str, str]
) -> None:
    """Through the real transport, any response yields the requested type or an error that maps to a valid status."""
    name, pack = coding
    answer = Answer(status, pack(body), {**fields, **({"Content-Encoding": name} if name else {})})
    found = client.read(what, vault, answer)
    if isinstance(found, AzureError | Job | Waiting | OperationFailure):
        check_status(settle(watch_body(), found, NOW, consecutive_failures=1))
    else:
        assert all(isinstance(each, Job if what == "list" else PinnedJob) for each in found)
    if isinstance(found, Job):
        assert 200 <= status < 300
