"""Watches as rich renders them."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from backupjobwatch.domain.jobs.recovery_services import parse_job
from backupjobwatch.terminal.rows import Row
from backupjobwatch.terminal.view import PHASE_STYLES, jobs_view, phase_text
from tests.support.azure import payload
from tests.support.builders import JOB_NAME, NOW, job, running_job, settle, vast_payload, watch_body

if TYPE_CHECKING:
    from collections.abc import Sequence


def drawn(*bodies: dict[str, Any], width: int = 100, **options: Any) -> str:
    """Return the rendered view as text."""
    console = Console(file=StringIO(), width=width, **options)
    console.print(jobs_view([Row.from_body(body, now=NOW) for body in bodies]))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def rows(text: str) -> Sequence[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_line_for_each_job_and_its_tasks_beneath() -> None:
    """Each job has its phase, title and elapsed time. Its tasks follow."""
    first = settle(watch_body(name=JOB_NAME), job(), NOW)
    second = settle(watch_body(name="nightly"), running_job(), NOW)
    shown = rows(drawn(first, second))
    assert shown[0] == ["Succeeded", "Backup", "of", "uttestvmub1", f"({JOB_NAME[:8]})", "20m23s"]
    assert shown[1] == ["Take", "Snapshot", "Completed"]
    assert shown[2] == ["Transfer", "data", "to", "vault", "Completed"]
    assert shown[3][:2] == ["Running", "Backup"]
    assert len(shown) == 6


def test_progress_has_a_bar() -> None:
    """A restore's progress is a bar and a percentage, followed by the remaining time."""
    body = settle(watch_body(), parse_job(payload("job-iaasvm-restore-inprogress-progress")), NOW)
    text = drawn(body)
    assert "━" in text
    assert text.count("42 %") == 2
    assert " left" in text
    assert "10.42 GBs / 24.8 GBs Transferred" in [line.strip() for line in text.splitlines()]
    assert "%" not in drawn(settle(watch_body(), running_job(), NOW))


@pytest.mark.parametrize(
    ("status", "colour"),
    [
        ("InProgress", "36"), ("Inprogress", "36"), ("Started", "36"), ("Cancelling", "33"), ("Canceling", "33"),
        ("Completed", "32"), ("Success", "32"), ("CompletedWithWarnings", "33"), ("SuccessWithWarning", "33"),
        ("Failed", "31"), ("Cancelled", "31"), ("Canceled", "31"), ("NotStarted", "2"), ("Skipped", "2"),
    ],
)  # fmt: skip
def test_task_colours(status: str, colour: str) -> None:
    """A task has the colour of its status, in each spelling. An unknown status is dim."""
    body = settle(watch_body(), running_job(extendedInfo={"tasksList": [{"taskId": "T", "status": status}]}), NOW)

    assert f"\x1b[{colour}m{status}" in drawn(body, force_terminal=True, color_system="standard")


def test_a_failure_is_shown_in_full() -> None:
    """The whole message of a failure is shown."""
    body = settle(watch_body(), parse_job(payload("job-iaasvm-failed")), NOW)
    words = " ".join(drawn(body).split())
    assert body["status"]["message"] in words


def test_markup_is_text() -> None:
    """Markup and emoji codes in an item's name are shown as text."""
    body = settle(watch_body(), job(entityFriendlyName="[red]vm[/red] :smile:"), NOW)
    assert "[red]vm[/red] :smile:" in drawn(body)


def test_phases_have_colours_and_words() -> None:
    """Each phase has its own text and colour. Without colours the text remains."""
    assert len(set(PHASE_STYLES.values())) == len(PHASE_STYLES)
    assert all(phase_text(phase).plain == phase for phase in (*PHASE_STYLES, "Later"))
    body = settle(watch_body(), job(), NOW)
    assert "\x1b[1;32mSucceeded" in drawn(body, force_terminal=True, color_system="standard")
    assert "\x1b[" not in drawn(body, no_color=True, force_terminal=False)


@pytest.mark.parametrize("width", [1, 20, 40, 80, 300])
def test_any_width(width: int) -> None:
    """No line is wider than the terminal, even with very long names."""
    body = settle(watch_body(), parse_job(vast_payload("a")), NOW)
    assert max(map(len, drawn(body, watch_body(), width=width).splitlines())) <= width


def test_nothing() -> None:
    """Without watches the view is empty."""
    assert drawn().strip() == ""
