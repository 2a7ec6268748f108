"""Watches as plain lines, and the text that both kinds of view share."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.jobs.data_protection import parse_job as parse_backup_vault_job
from backupjobwatch.domain.jobs.recovery_services import parse_job
from backupjobwatch.domain.status.verdict import RUNNING
from backupjobwatch.errors import JobNotFound
from backupjobwatch.terminal.plain import PlainLines, reminder
from backupjobwatch.terminal.rows import Row
from tests.support.azure import payload, payload_names
from tests.support.builders import JOB_NAME, NOW, job, running_job, settle, vast_payload, watch_body

if TYPE_CHECKING:
    from datetime import datetime

RESTORE = "job-iaasvm-restore-inprogress-progress"
STAMP = "2018-05-21T09:00:00Z"


def row(body: dict[str, Any], now: datetime = NOW) -> Row:
    """Return the values of *body* that a terminal shows."""
    return Row.from_body(body, now=now)


def test_one_line_for_each_change() -> None:
    """Each change is one line with its time. Tasks are indented below their job. Nothing is repeated."""
    lines, body = PlainLines(), watch_body(name=JOB_NAME)
    running = running_job(extendedInfo={"tasksList": [{"taskId": "Take Snapshot", "status": "InProgress"}]})
    body = settle(body, running, NOW)
    assert lines.changes(row(body), now=NOW) == [
        f"{STAMP}  {JOB_NAME}  Running  Backup of uttestvmub1",
        f"{STAMP}  {JOB_NAME}    Take Snapshot: InProgress",
    ]
    later = NOW + timedelta(minutes=1)
    body = settle(body, running, later)
    assert lines.changes(row(body, later), now=later) == []
    body = settle(body, job(), later)
    assert lines.changes(row(body, later), now=later) == [
        f"2018-05-21T09:01:00Z  {JOB_NAME}    Take Snapshot: Completed",
        f"2018-05-21T09:01:00Z  {JOB_NAME}    Transfer data to vault: Completed",
        f"2018-05-21T09:01:00Z  {JOB_NAME}  Succeeded  Backup of uttestvmub1  20m23s",
    ]
    assert lines.changes(row(body, later), now=later + timedelta(days=1)) == []


def test_the_verdict_comes_last() -> None:
    """A job that has ended before the first look has its verdict last, without repeated words and without progress."""
    restore = {**payload(RESTORE)["properties"], "status": "Failed"}
    body = settle(watch_body(name="nightly"), parse_job({**payload(RESTORE), "properties": restore}), NOW)
    item = body["status"]["job"]["entityFriendlyName"]
    lines = PlainLines().changes(row(body), now=NOW)
    assert lines[-1].startswith(f"{STAMP}  nightly  Failed  Restore of {item} failed")
    assert lines[-1].count(f"Restore of {item}") == 1
    assert len(lines) > 1
    assert not any(line.endswith("%") for line in lines)


def test_trouble_and_recovery_are_printed() -> None:
    """An error has a line with its message. The recovery from it is a change too."""
    lines, body = PlainLines(), settle(watch_body(), running_job(), NOW)
    before = lines.changes(row(body), now=NOW)
    body = settle(body, JobNotFound("Azure knows no such job."), NOW, consecutive_failures=1)
    (trouble,) = lines.changes(row(body), now=NOW)
    assert "Running  Backup of uttestvmub1  Azure knows no such job. The watch fails if" in trouble
    assert lines.changes(row(settle(body, running_job(), NOW)), now=NOW) == before[:1]


def test_progress_is_printed_in_steps() -> None:
    """Progress of 1 % adds no line, progress of 5 % does."""
    lines, told = PlainLines(), []
    for percent in (0, 3, 4.9, 5, 9, 10, 99, 100):
        restore = running_job(extendedInfo={"progressPercentage": percent})
        told += lines.changes(row(settle(watch_body(), restore, NOW)), now=NOW)
    assert [line.split("  ")[-1] for line in told if line.endswith("%")] == ["0 %", "5 %", "10 %", "95 %", "100 %"]


def test_a_task_has_its_details() -> None:
    """A task's line shows the transferred data. More data alone adds no line, but appears in a reminder."""
    lines, body = PlainLines(), watch_body(name=JOB_NAME)
    task, told = {"taskId": "Transfer data to vault", "status": "InProgress"}, list[str]()
    for transferred, expected in (("47.6", 2), ("60.1", 0)):
        details = {"taskExecutionDetails": f"{transferred} GBs / 127 GBs Transferred"}
        body = settle(body, running_job(extendedInfo={"tasksList": [{**task, **details}]}), NOW)
        changes = lines.changes(row(body), now=NOW)
        assert len(changes) == expected
        told = changes or told
    first = f"{STAMP}  {JOB_NAME}    Transfer data to vault: InProgress  47.6 GBs / 127 GBs Transferred"
    assert told[1] == first
    assert reminder([row(body)], now=NOW)[1] == first.replace("47.6", "60.1")


def test_a_reminder_omits_ended_jobs() -> None:
    """A reminder shows the running jobs and tasks. It only counts jobs if there are many."""
    running = settle(watch_body(name="running"), parse_job(payload(RESTORE)), NOW)
    ended = settle(watch_body(name="ended"), job(), NOW)
    lines = reminder([row(ended), row(running)], now=NOW)
    assert [line.split("  ")[1] for line in lines] == ["running"] * len(lines)
    assert lines[0].split("  ")[2] == RUNNING
    assert lines[-1].endswith("    40 %")
    assert reminder([row(ended), *[row(running)] * 11], now=NOW) == [f"{STAMP}  11 of 12 jobs have not ended."]
    assert reminder([row(ended)], now=NOW) == []


def test_two_watches_are_tracked_separately() -> None:
    """Changes are tracked separately for each watch."""
    lines, body = PlainLines(), settle(watch_body(), running_job(), NOW)
    assert lines.changes(row(body), now=NOW, key="team-a/nightly") != []
    assert lines.changes(row(body), now=NOW, key="team-b/nightly") != []


def test_a_restore_in_a_row() -> None:
    """A running restore shows its percentage and the remaining time. The elapsed time starts with the job."""
    restore = parse_job(payload(RESTORE))
    assert restore.start_time is not None
    now = restore.start_time + timedelta(minutes=10, seconds=1)
    shown = row(settle(watch_body(name=JOB_NAME), restore, now), now)
    assert (shown.phase, shown.percent, shown.elapsed, shown.waited, shown.message) == (RUNNING, 42, "10m1s", "", "")
    assert shown.title == f"Restore of {shown.item} ({JOB_NAME[:8]})"
    assert shown.remaining
    assert [(task.status, task.percent) for task in shown.tasks] == [("InProgress", 42)]


def test_waiting_has_a_time_too() -> None:
    """Before Azure shows the job, only the time of the wait is known."""
    body = settle(watch_body(name=JOB_NAME), JobNotFound("Azure knows no such job."), NOW, consecutive_failures=1)
    shown = row(body, NOW + timedelta(seconds=90))
    assert (shown.phase, shown.elapsed, shown.waited, shown.title, shown.message) == (
        *("Pending", "", "1m30s", JOB_NAME[:8]),
        "Azure knows no such job. The watch fails if this lasts longer than 10m0s (spec.graceSeconds).",
    )


def test_a_clock_that_is_behind() -> None:
    """If the local clock is behind Azure's, the elapsed time is zero."""
    assert row(settle(watch_body(), running_job(), NOW), NOW - timedelta(days=1)).elapsed == "0s"


@pytest.mark.parametrize("name", payload_names("job-") + payload_names("dp-job-"))
def test_every_payload_has_lines(name: str) -> None:
    """Each recorded job is shown in printable lines. One has the phase, and the others are indented."""
    parse = parse_backup_vault_job if name.startswith("dp-") else parse_job
    body = settle(watch_body(), parse(payload(name)), NOW)
    lines = PlainLines().changes(row(body), now=NOW)
    first, *others = reversed(lines) if row(body).finished else lines
    assert first.split("  ")[2] == body["status"]["phase"]
    assert all(line.split("  ")[2] == "" for line in others)
    assert all(line.isprintable() and "None" not in line for line in lines)


def test_the_longest_job() -> None:
    """The longest job has one line per task that a status keeps, and the length of a line is limited."""
    lines = PlainLines().changes(row(settle(watch_body(), parse_job(vast_payload("a")), NOW)), now=NOW)
    assert 1 < len(lines) <= 52
    assert max(map(len, lines)) < 4000


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"metadata": None, "spec": 5, "status": []},
        watch_body(status={"phase": "Succeeded"}),
        watch_body(name="\x1b[2J"),
    ],
)
def test_an_object_without_a_status(body: dict[str, Any]) -> None:
    """Without a valid status the phase is Unseen. The line is always printable."""
    (line,) = PlainLines().changes(row(body), now=NOW)
    assert "Unseen" in line
    assert line.isprintable()


def test_terminal_escapes_are_not_passed_on() -> None:
    """Control sequences in a status do not reach the terminal."""
    body = settle(watch_body(), job(status="Failed"), NOW)
    for field in ("message", "reason"):
        body["status"][field] = "\x1b]0;pwned\x07\x1b[2J"
    body["status"]["job"]["entityFriendlyName"] = "\x1b[31mred\r\n"
    body["status"]["extendedInfo"]["tasks"] = [{"taskId": "\x9b2J", "status": "\x1b[1m", "duration": 7}]
    assert all(line.isprintable() for line in PlainLines().changes(row(body), now=NOW))
