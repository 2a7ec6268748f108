"""The request counts of the benchmark's Azure, which decide whether a goal is met."""

from __future__ import annotations

import aiohttp

from tests.bench.azure import TOKEN, Azure, job_id

VAULT = job_id(0).rpartition("/")[0]
API_VERSION = {"api-version": "2025-08-01"}


async def test_reads_are_those_of_the_window() -> None:
    """Each list page and each GET of a job counts once, and only during the window."""
    azure = Azure(1)
    async with (
        azure.simulator as simulator,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http,
    ):

        async def get(path: str) -> int:
            async with http.get(f"{simulator.url}{path}", params=API_VERSION) as answer:
                return answer.status

        assert await get(VAULT) == 200
        azure.clear()
        assert [await get(path) for path in (VAULT, VAULT, job_id(0))] == [200, 200, 200]
    assert azure.count(60) == {"list_pages": 2, "job_gets": 1}
    assert azure.count(0) == {"list_pages": 0, "job_gets": 0}
