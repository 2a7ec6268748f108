"""Objects and statuses of version 0.1.0, after an upgrade: ``tests/data/objects/version-0.1.0.yaml``."""

from __future__ import annotations

import copy
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from backupjobwatch.domain.api.spec import target_digest
from backupjobwatch.domain.jobs.times import format_time, parse_time
from tests.functional.notifying import SETTINGS
from tests.functional.watch_groups import FINISHED, phase, put_job
from tests.support.clock import OperatorClock
from tests.support.kubernetes import EVENT_POSTS, NAMESPACE, STATUS_WRITES
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

FILE: Final = Path(__file__).parents[2] / "data" / "objects" / "version-0.1.0.yaml"
WRITTEN: Final = datetime(2025, 6, 28, 22, 0, 30, tzinfo=UTC)
"""The time at which the statuses of the file were written."""
STARTED: Final = "2025-06-28T21:50:19Z"
"""The start time of the jobs in the file."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

OBJECTS: Final[dict[str, dict[str, Any]]] = {
    body["metadata"]["name"]: body for body in yaml.safe_load_all(FILE.read_text(encoding="utf-8"))
}


def is_finished(body: dict[str, Any]) -> bool:
    return body["status"]["phase"] in FINISHED


def plant(api: KubernetesApi, body: dict[str, Any]) -> None:
    """Put an object into the cluster unchanged."""
    api.objects.plant((NAMESPACE, body["metadata"]["name"]), body, uid=body["metadata"]["uid"])


def moved(value: Any, *, now: datetime) -> Any:
    """Return *value* with its times shifted, as if it had been written *now*."""

    def later(match: re.Match[str]) -> str:
        time = parse_time(match[0])
        assert time is not None
        return format_time(now + (time - WRITTEN))

    match value:
        case dict():
            return {key: moved(each, now=now) for key, each in value.items()}
        case list():
            return [moved(each, now=now) for each in value]
        case str():
            return _TIME.sub(later, value)
        case _:
            return value


@pytest.mark.parametrize("name", OBJECTS)
def test_target_digests(name: str) -> None:
    """A spec has the digest that its status contains. Otherwise the watch would start over."""
    assert target_digest(OBJECTS[name]["spec"]) == OBJECTS[name]["status"]["target"]


async def test_finished_watches(api: KubernetesApi, sim: AzureSimulator, start: StartOperator) -> None:
    """Finished watches cause no request to Azure, write, Event or notification for an hour after the start."""
    async with Receiver() as receiver:
        for body in filter(is_finished, map(copy.deepcopy, OBJECTS.values())):
            for entry in body["spec"].get("notify", ()):
                entry["webhook"]["url"] = receiver.url
            plant(api, body)
        async with start(**SETTINGS) as operator:
            clock = OperatorClock(operator)
            for _ in range(60):
                await clock.advance(60)
        assert receiver.deliveries == []
    assert sim.requests == ()
    for line in (STATUS_WRITES, EVENT_POSTS, "^DELETE ", "^PATCH "):
        assert api.traffic.matching(line) == []


async def test_unfinished_watches(api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator) -> None:
    """The operator writes no watch while Azure's responses do not change. Running watches finish with their jobs."""
    jobs, now = {"running-operation": (4, 6), "running-resource-id": (10,)}, datetime.now(UTC)
    for name, numbers in jobs.items():
        for number in numbers:
            is_completed = (name, number) == ("running-operation", 4)
            put_job(vault, number, "Completed" if is_completed else "InProgress", startTime=moved(STARTED, now=now))
    before = {}
    for name, body in OBJECTS.items():
        if not is_finished(body):
            metadata, status = moved(body["metadata"], now=now), moved(body["status"], now=now)
            before[name] = {**copy.deepcopy(body), "metadata": metadata, "status": status}
            plant(api, before[name])
    assert sorted(before) == ["pending-latest", *sorted(jobs), "suspended"]
    async with start() as operator:
        clock = OperatorClock(operator)
        await clock.advance_until(lambda: len(sim.requests) > 8, within=120, step=5)
        assert [name for name in before if api.writes(name)] == []
        for numbers in jobs.values():
            for number in numbers:
                put_job(vault, number, "Completed")
        await clock.advance_until(lambda: all(phase(api, name) == "Succeeded" for name in jobs), within=120, step=5)
    assert sim.requests_to("/backupOperations/") == ()
    assert api.writes("suspended") == []
    assert {write["phase"] for name in jobs for write in api.writes(name)} <= {"Running", "Succeeded"}
