"""The status of a watch with ``completedWithin``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.findings import PinnedJob, UnsupportedItem, Waiting
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.errors import InvalidSpec, PollDeferred
from tests.support.builders import JOB_NAME, NOW, VAULT_REF, job, list_entry, running_job, settle, standing, watch_body

PINS = (PinnedJob(name=JOB_NAME, note="It ended before."),)
NOTHING = Waiting(reason="WaitingForJob", message="m", searched=True)


def body(within: str = "24h", **fields: Any) -> dict[str, Any]:
    return watch_body(
        {"latest": {"item": "vm1", "completedWithin": within}, "vault": VAULT_REF, **fields},
        creationTimestamp=format_time(NOW),
    )


@pytest.mark.parametrize("observation", [job(), list_entry()], ids=["GET", "list"])
def test_success(observation: Any) -> None:
    """The message of a success says which job it was. The status has the job, and stays when it is written again."""
    done = settle(body(), observation, NOW, pinned=PINS)

    assert done["status"]["phase"] == "Succeeded"
    assert done["status"]["message"].endswith("completed in 20m23s. It ended before.")
    assert done["status"]["jobs"][0]["name"] == JOB_NAME
    assert standing(done["status"])["Complete"] == "True"
    again = settle(done, PollDeferred("m"), NOW + timedelta(days=1))
    assert again["status"]["message"] == done["status"]["message"]


@pytest.mark.parametrize("observation", [running_job(), job(status="Failed")], ids=["running", "failed"])
def test_other_outcomes(observation: Any) -> None:
    """Only a success has the note."""
    status = settle(body(), observation, NOW, pinned=PINS)["status"]

    assert "It ended before." not in status["message"]
    assert standing(status)["Ready"] != "True"


def test_a_database() -> None:
    """An item that cannot be judged makes the spec invalid."""
    status = settle(body(), UnsupportedItem(message="No databases."), NOW)["status"]

    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "InvalidSpec", "No databases.")
    assert standing(status)["AzureReachable"] == "True"


def test_a_value_that_is_too_long() -> None:
    """The message has the limit and the value, and no request is sent."""
    status = settle(body("625h"), PollDeferred("m"), NOW)["status"]

    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "at most 624h for a Recovery Services vault, got 625h0m0s." in status["message"]


def test_a_search_that_begins_late() -> None:
    """If Azure no longer lists all jobs of the time, the watch fails. After a complete search it waits."""
    late = NOW + timedelta(days=29)
    assert isinstance(Watch.from_body(body("600h")).spec_at(late), InvalidSpec)
    searched = settle(body("600h"), NOTHING, NOW + timedelta(days=1))
    assert not isinstance(Watch.from_body(searched).spec_at(late), InvalidSpec)
