"""The retry numbers in the documents match the code."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backupjobwatch.domain.polling.schedule import retry_delay
from backupjobwatch.errors import DeliveryError, DeliveryFailed, DeliveryRefused
from tests.contract.project import read


@pytest.mark.parametrize(
    ("kind", "sentence", "attempts", "least", "most"),
    [
        (DeliveryFailed, "ten attempts within about an hour", 10, timedelta(minutes=55), timedelta(minutes=66)),
        (DeliveryRefused, "five attempts within two minutes", 5, timedelta(minutes=1), timedelta(minutes=2)),
    ],
)
def test_retries_of_notifications(
    kind: type[DeliveryError], sentence: str, attempts: int, least: timedelta, most: timedelta
) -> None:
    """docs/notifications.md states the number of attempts and the total backoff."""
    assert sentence in " ".join(read("docs/notifications.md").split())
    assert kind.attempts == attempts
    waits = [retry_delay(attempt, "seed", None) for attempt in range(1, attempts)]
    assert least <= sum(waits, timedelta()) <= most
