"""A scrape of ``/metrics`` only reads summaries, which are computed when a snapshot is stored."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.status.summary import summarize
from tests.functional.watch_groups import all_running, put_job, watch_jobs, watch_name
from tests.support.clock import OperatorClock
from tests.support.scrape import Scrape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

WATCHES: Final = 50
INFO: Final = "backupjobwatch_watch_info"


@contextlib.asynccontextmanager
async def counting_summaries(operator: Operator) -> AsyncIterator[list[str]]:
    """Collect the watch name of each summary that the operator computes."""
    made: list[str] = []

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code is summarize.__code__:
            made.append(frame.f_locals["watch"].name)

    async def profile(function: Any) -> None:
        sys.setprofile(function)

    async def in_operator(function: Any) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(profile(function), operator._loop))

    await in_operator(note)
    try:
        yield made
    finally:
        await in_operator(None)


async def test_scrapes_make_no_summaries(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """A scrape computes no summary: for ten thousand watches, that would block the event loop for half a second."""
    async with start() as operator:
        clock = OperatorClock(operator)
        async with clock.frozen():
            watch_jobs(api, [vault], range(WATCHES), pollInterval="5m")
            await clock.advance_until(lambda: api.writes(watch_name(WATCHES - 1)), within=120)
            await clock.advance_until(
                lambda: all(api.get(watch_name(number))["status"].get("job") for number in range(WATCHES)), within=120
            )
            await clock.advance(0, rounds=10)
            for _ in range(2):
                async with counting_summaries(operator) as made:
                    scrape = await Scrape.of(operator)
                assert len(scrape.series(INFO)) == WATCHES
                assert made == []


async def test_an_end_shows_in_the_next_scrape(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """Summaries follow the snapshots, so no scrape shows a phase that the object no longer has."""
    async with start() as operator:
        watch_jobs(api, [vault], [0], pollInterval="10s")
        await all_running(api, 1)
        await Scrape.until(operator, lambda each: each.series(INFO, name=watch_name(0), phase="Running"))
        put_job(vault, 0, "Completed")
        await operator.advance_to("Succeeded", api, watch_name(0))
        scrape = await Scrape.until(operator, lambda each: each.series(INFO, name=watch_name(0), phase="Succeeded"))
        assert len(scrape.series(INFO, name=watch_name(0))) == 1
