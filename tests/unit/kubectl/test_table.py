"""Watches and tasks as plain-text tables."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from backupjobwatch.errors import JobNotFound
from backupjobwatch.kubectl import table
from backupjobwatch.terminal.rows import Row
from tests.support.builders import JOB_ID, NOW, job, settle, watch_body
from tests.support.builders import running_job as running

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (7199, "119m"),
        (7200, "2h"),
        (172_800, "2d"),
        (63_072_000, "2y"),
    ],
)
def test_age(seconds: int, text: str) -> None:
    """An age is in the largest unit that has at least the value 2. A future time has the age 0."""
    assert table.age(NOW - timedelta(seconds=seconds), NOW) == text


def test_no_age() -> None:
    """An unknown time has no age."""
    assert table.age(None, NOW) == ""


def test_cells() -> None:
    """A row has the known values. Unknown ones are empty."""
    done = settle(watch_body(), job(), NOW)
    assert table.cells(done, now=NOW, namespaces=True) == [
        *("team-a", "nightly", "Succeeded", "JobCompleted", "Backup", "uttestvmub1", "", "20m23s", "24m", "25m")
    ]
    assert table.cells({}, now=NOW, namespaces=False) == ["", "Unseen", *[""] * 7]


def test_a_job_that_does_not_exist_has_no_duration() -> None:
    """The time that a watch waits for its job is not a duration of the job."""
    waiting = settle(watch_body(), JobNotFound("Azure knows no such job."), NOW, consecutive_failures=1)
    later = NOW + timedelta(hours=1)
    gone = settle(waiting, JobNotFound("Azure knows no such job."), later, consecutive_failures=9)
    duration = table.TITLES.index("DURATION")
    assert gone["status"]["phase"] == "Failed"
    assert [table.cells(body, now=later, namespaces=False)[duration] for body in (waiting, gone)] == ["", ""]
    assert table.task_rows(Row.from_body(gone, now=later))[0][3] == ""


def test_plain() -> None:
    """Columns are aligned with their headers, and no line has trailing spaces."""
    text = table.plain(["NAME", "PHASE", "AGE"], [["a", "Running", ""], ["long-name", "", "5m"]])
    assert text == "NAME        PHASE     AGE\na           Running\nlong-name             5m\n"


NAME = "a-name-that-people-copy"
LONG_REASON = "JobCompletedWithWarnings"


def drawn(width: int, *, namespaces: bool = False, **properties: Any) -> list[str]:
    """Render a table of two watches for a terminal of this *width*, and return its lines."""
    done = settle(watch_body(), job(**properties), NOW)
    done["metadata"] |= {"name": NAME}
    done["status"]["reason"] = LONG_REASON
    done["status"]["extendedInfo"] = {"progressPercent": 44}
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(table.WatchTable([done, watch_body()], now=NOW, namespaces=namespaces))
    return console.export_text().splitlines()


@pytest.mark.parametrize(
    ("width", "shown", "cut"),
    [
        (160, {NAME, LONG_REASON, "Backup", "uttestvmub1", "44%", "20m23s", "24m", "25m"}, ()),
        (120, {NAME, LONG_REASON, "Backup", "uttestvmub1", "44%", "20m23s", "24m", "25m"}, ()),
        (115, {NAME, LONG_REASON, "Backup", "uttestvmub1", "44%", "20m23s", "24m"}, ("25m",)),
        (110, {NAME, LONG_REASON, "Backup", "uttestvmub1", "44%", "20m23s"}, ("24m", "25m")),
        (96, {NAME, LONG_REASON, "uttestvmub1", "44%", "20m23s"}, ("Backup", "24m")),
        (85, {NAME, LONG_REASON, "uttestvmub1", "20m23s"}, ("Backup", "44%")),
        (80, {NAME, LONG_REASON, "20m23s"}, ("uttestvmub1", "44%")),
        (60, {NAME, LONG_REASON}, ("20m23s",)),
        (50, {NAME}, (LONG_REASON,)),
        (22, {"Succeeded"}, (NAME, LONG_REASON)),
    ],
)
@pytest.mark.parametrize("namespaces", [True, False])
def test_widths(width: int, shown: set[str], cut: Sequence[str], namespaces: bool) -> None:  # noqa: FBT001
    """Columns that do not fit are hidden: first times and operations, then items. Names, phases and reasons stay."""
    width += len("NAMESPACE") + 2 if namespaces else 0
    lines = drawn(width, namespaces=namespaces)
    assert len(lines) == 3
    assert max(map(len, lines)) <= width
    words = set(lines[1].split())
    assert shown | {"Succeeded"} <= words
    assert words.isdisjoint(cut)


def test_columns_never_touch() -> None:
    """Columns never touch, even if a cell is as wide as its column."""
    for width in range(40, 130):
        heads, row, _ = drawn(width)
        start = heads.index("PHASE")
        assert row[start - 2 : start] == "  "
        assert row[start : start + 9] == "Succeeded"
        assert row[start + 9 : start + 11].strip() == ""


def test_wide_characters() -> None:
    """East Asian characters are two cells wide."""
    widths, _ = table.fit(["NAME", "REASON"], [["日本語", "x"]], 80)
    assert widths == [6, 6]
    assert table.fit(["NAME", "REASON"], [["a", "日" * 40]], 20) == ([4, 14], 2)


def test_task_rows() -> None:
    """The job comes first. Its tasks are indented below it, in Azure's words."""
    body = settle(watch_body(), running(), NOW)
    assert [row[:2] for row in table.task_rows(Row.from_body(body, now=NOW))] == [
        ["nightly", "Running"],
        ["  Take Snapshot", "Completed"],
        ["  Transfer data to vault", "Completed"],
    ]
    assert table.task_rows(Row.from_body(body, now=NOW))[0][-1] == "Backup of uttestvmub1"


@pytest.mark.parametrize(
    ("task", "details"),
    [
        ({"taskExecutionDetails": "63.5 GBs / 127 GBs Transferred"}, "63.5 GBs / 127 GBs Transferred"),
        ({"taskExecutionDetails": "all", "dataTransferredBytes": 5}, "all"),
        ({"dataTransferredBytes": 1023}, "1023 B transferred"),
        ({"dataTransferredBytes": 1536}, "1.5 KiB transferred"),
        ({"dataTransferredBytes": 616490449}, "587.9 MiB transferred"),
        ({"dataTransferredBytes": 2**63 - 1}, "8.0 EiB transferred"),
        ({"dataTransferredBytes": 0}, ""),
        ({"dataTransferredBytes": True, "taskExecutionDetails": 5}, ""),
        ({}, ""),
    ],
)
def test_task_details(task: dict[str, Any], details: str) -> None:
    """A task shows Azure's text for the transferred data, or else the bytes."""
    body = settle(watch_body(), running(), NOW)
    body["status"]["extendedInfo"]["tasks"] = [{"taskId": "Transfer", **task}]

    assert table.task_rows(Row.from_body(body, now=NOW))[1:] == [["  Transfer", "", "", "", details]]
    assert len(table.task_rows(Row.from_body(body, now=NOW))[0]) == len(table.TASK_TITLES)


@pytest.mark.parametrize("accepted", ["Succeeded", "Failed"])
def test_warnings(accepted: str) -> None:
    """What Azure reports about a job that completed with warnings is a warning, whether the watch accepts it or not."""
    error = {"errorCode": 1, "errorTitle": "AgentOld", "errorString": "Update it."}
    warned = job(status="CompletedWithWarnings", errorDetails=[error])
    body = settle(watch_body({"jobResourceId": JOB_ID, "completedWithWarnings": accepted}), warned, NOW)
    assert body["status"]["phase"] == accepted
    assert list(table.trouble(body)) == ["Warning 1: AgentOld: Update it."]


def test_errors_with_recommendations() -> None:
    """Each error is followed by its recommendations, one per line, all printable."""
    error = {
        "errorCode": 400239,
        "errorTitle": "AgentDown",
        "errorString": "No\x1b[31m word",
        "recommendations": ["Start it."],
    }
    body = settle(watch_body(), job(status="Failed", errorDetails=[error]), NOW)
    assert list(table.trouble(body)) == ["Error 400239: AgentDown: No [31m word", "  Recommendation: Start it."]
    assert list(table.trouble({"status": {"errors": "none"}})) == []


def test_undelivered_notifications() -> None:
    """Retried and failed notifications are listed with their messages. Delivered ones are not."""
    body = settle(watch_body(), job(), NOW)
    entries = [("a", "Delivered", None), ("b", "Retrying", "No\x1b[31m Role."), ("c", "Failed", "The receiver failed.")]
    body["status"]["notifications"] = [
        {"name": name, "id": "i", "phase": "Succeeded", "state": state, **({"message": message} if message else {})}
        for name, state, message in entries
    ]
    assert list(table.trouble(body)) == [
        "Notification b: Retrying: No [31m Role.",
        "Notification c: Failed: The receiver failed.",
    ]


def test_order() -> None:
    """Watches are ordered by namespace and name."""
    bodies = [watch_body(name=name, namespace=namespace) for namespace, name in (("b", "a"), ("a", "z"), ("a", "c"))]
    ordered = [(body["metadata"]["namespace"], body["metadata"]["name"]) for body in table.in_order(bodies)]
    assert ordered == [("a", "c"), ("a", "z"), ("b", "a")]
