"""A scrape of /metrics, parsed like Prometheus."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import requests
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.operator import Operator


class Scrape:
    """Samples by name, with their labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = list(text_string_to_metric_families(text))
        self._samples = [sample for family in self.families for sample in family.samples]

    @classmethod
    async def of(cls, operator: Operator) -> Self:
        """Scrape an operator."""
        url = f"http://127.0.0.1:{operator.settings.metrics_port}/metrics"
        answer = await asyncio.to_thread(requests.get, url, timeout=60)
        answer.raise_for_status()
        return cls(answer.text)

    @classmethod
    async def until(cls, operator: Operator, condition: Callable[[Self], object]) -> Self:
        """Scrape until *condition* returns a truthy value."""
        async with asyncio.timeout(120):
            while not condition(scrape := await cls.of(operator)):  # noqa: ASYNC110 -- no event signals a scrape
                await asyncio.sleep(0.05)
        return scrape

    def series(self, name: str, /, **labels: str) -> list[dict[str, str]]:
        """Return the labels of each series with that name and these labels."""
        return [sample.labels for sample in self._samples if sample.name == name and _has(sample.labels, labels)]

    def value(self, name: str, /, **labels: str) -> float:
        """Return the sum of the matching series, or 0 without a match."""
        return sum(sample.value for sample in self._samples if sample.name == name and _has(sample.labels, labels))


def _has(labels: dict[str, str], wanted: dict[str, str]) -> bool:
    return wanted.items() <= labels.items()
