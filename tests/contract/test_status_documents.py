"""docs/status.md and docs/troubleshooting.md match the core: conditions by state and phases by reason."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from backupjobwatch.constants import GROUP, PLURAL
from backupjobwatch.domain.jobs.findings import OperationFailure, RequestFailure, Waiting
from backupjobwatch.domain.jobs.job import Outcome
from backupjobwatch.domain.status import verdict
from backupjobwatch.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    AzureError,
    AzureUnavailable,
    CredentialsNotFound,
    JobNotFound,
    PollDeferred,
    Throttled,
)
from tests.contract.markdown import plain, table
from tests.contract.project import MODULES, load, read
from tests.support.azure_errors import KINDS, NO_REQUEST, OF_REQUESTS, WHILE_PENDING
from tests.support.builders import JOB_ID, JOB_NAME, NOW, OTHER_JOB_NAME, condition, edit, job, settle, watch_body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backupjobwatch.domain.jobs.job import Job

Body = dict[str, Any]
Example = tuple[Body, Body]
"""A watch before and after an assessment."""

COLUMNS: Final = ("phase", "Ready", "Succeeded", "Finished", "Complete", "Failed", "Reconciling", "Stalled")
STATES: Final = {plain(row["state"]): row for row in table(read("docs/status.md"), "state")}
REASONS: Final = {plain(row["reason"]): row for row in table(read("docs/troubleshooting.md"), "reason")}
ABSENT: Final = "\N{EN DASH}"
MIRRORED: Final = {"job", "duration", "durationSeconds", "extendedInfo", "errors"}
AFTER_GRACE: Final = NOW + timedelta(hours=1)
AFTER_DEADLINE: Final = NOW + timedelta(days=3)
WAITING: Final[list[Waiting]] = [
    Waiting(reason="Progressing", message="m"),
    Waiting(reason="WaitingForJob", message="m"),
    Waiting(reason="AmbiguousItem", message="m"),
    Waiting(reason="TriggerUncertain", message="m"),
]
REQUEST_FAILURES: Final[list[RequestFailure]] = [
    RequestFailure(reason="InvalidTarget", message="m"),
    RequestFailure(reason="NamespaceNotAllowed", message="m"),
    RequestFailure(reason="TriggerUncertain", message="m"),
]


def seen_as(status: str, **spec: Any) -> Body:
    """Return a watch whose job has that *status*."""
    return settle(watch_body({"jobResourceId": JOB_ID, **spec}), job(status=status), NOW)


def edited(body: Body, **fields: Any) -> Example:
    """Return an edited watch before and after its next assessment."""
    changed = edit(body, **fields)
    return changed, settle(changed, job(status=body["status"]["job"]["status"]), NOW)


def steps(body: Body, observation: Job | AzureError) -> Iterator[Example]:
    """Yield three assessments with the same observation, until the grace period ends."""
    for run, now in ((1, NOW), (2, NOW + timedelta(minutes=1)), (3, AFTER_GRACE)):
        before, body = body, settle(body, observation, now, run)
        yield before, body


# ── conditions by state ──────────────────────────────────────────────────────────────────────────────────────────────


def examples() -> dict[str, list[Example]]:
    """Return examples of each state in the table."""
    (crd,) = load(f"crds/{PLURAL}.{GROUP}.yaml")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    new, running, done = watch_body(), seen_as("InProgress"), seen_as("Completed")
    unseen = {**new, "status": schema["properties"]["status"]["default"]}
    troubles = [kind("m") for kind in (Throttled, AzureUnavailable, AuthorizationFailed, CredentialsNotFound)]
    other = JOB_ID.replace(JOB_NAME, OTHER_JOB_NAME)
    not_seen = [
        settle(edit(done, **target), JobNotFound("m"), NOW)
        for target in ({"jobResourceId": other}, {"graceSeconds": 1})
    ]
    return {
        "not yet seen by the operator": [(unseen, unseen)],
        "resolving the operation, waiting for latest, requesting a backup, the job is not visible yet": [
            (new, settle(new, JobNotFound("m"), NOW, 1)),
            *((new, settle(new, waiting, NOW)) for waiting in WAITING),
        ],
        "InProgress, Started, Cancelling, or an unknown status": [
            (new, seen_as(status)) for status in ("InProgress", "Cancelling", "Paused")
        ],
        "throttled, Azure down, access refused, no token": [
            (before, settle(before, trouble, NOW, 1))
            for before in (new, running)
            for trouble in (*troubles, AuthenticationFailed("m"))
        ],
        "suspended, not finished": [
            (before, settle(edit(before, suspend=True), PollDeferred("m"), NOW)) for before in (new, running)
        ],
        "Completed; CompletedWithWarnings where accepted": [
            (new, done),
            (running, settle(running, job(), NOW)),
            (new, seen_as("CompletedWithWarnings", completedWithWarnings="Succeeded")),
        ],
        "Failed, Cancelled, warnings not accepted, deadline or grace passed, operation failed, backup not requested, invalid spec": [
            (new, settle(new, OperationFailure(message="m"), NOW)),
            *((new, settle(new, failure, NOW)) for failure in REQUEST_FAILURES),
            *((new, seen_as(status)) for status in ("Failed", "Cancelled", "CompletedWithWarnings")),
            (running, settle(running, job(status="InProgress"), AFTER_DEADLINE)),
            list(steps(new, JobNotFound("m")))[-1],
            (new, settle(watch_body({"jobName": JOB_NAME}), PollDeferred("m"), NOW)),
        ],
        "target edited": [(done, body) for body in not_seen],
        "other fields edited": [
            edited(running, pollInterval="5m"),
            edited(done, pollInterval="5m"),
            edited(done, suspend=True),
            edited(seen_as("Failed"), suspend=True),
        ],
    }


def test_every_state_has_an_example() -> None:
    """The table has the states that the examples cover, and the expected columns."""
    assert STATES.keys() == examples().keys()
    assert {tuple(row) for row in STATES.values()} == {("state", *COLUMNS)}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("state", STATES)
def test_table_of_conditions(state: str, column: str) -> None:
    """Each cell of the table matches the core's result for each example of its row."""
    cell = plain(STATES[state][column])
    for before, after in examples()[state]:
        if column == "phase":
            assert_phase(cell, before, after)
        else:
            assert_condition(cell, *(condition(body["status"], column) for body in (before, after)))


def assert_phase(cell: str, before: Body, after: Body) -> None:
    """Compare the phase in *after*, and any additional claim of the cell, with *before*."""
    text, _, more = cell.partition(", ")
    status = after["status"]
    as_before = before["status"].get("phase", "Pending")
    assert status.get("phase", "none") == (as_before if text == "as before" else text)
    if text != "none":
        assert status["observedGeneration"] == after["metadata"]["generation"]
    if more == "job fields cleared":
        assert MIRRORED & before["status"].keys()
        assert not MIRRORED & status.keys()
    elif more == "under the new generation":
        assert status["observedGeneration"] > before["status"]["observedGeneration"]
    else:
        assert more == ""


def timeless(condition: Body | None) -> Body | None:
    """Return a condition without its generation, which changes with every edit."""
    return condition and {name: value for name, value in condition.items() if name != "observedGeneration"}


def assert_condition(cell: str, before: Body | None, after: Body | None) -> None:
    """Compare the condition *after* with its cell and with *before*."""
    if cell == "as before":
        assert timeless(before) == timeless(after)
    elif cell == ABSENT:
        assert after is None
    else:
        match = re.fullmatch(r"(True|False|Unknown)(?: \((\w+)\))?", cell)
        assert match is not None, cell
        assert after is not None
        assert after["status"] == match[1]
        assert match[2] in (None, after["reason"])


@pytest.mark.parametrize("state", STATES)
def test_rules_about_conditions(state: str) -> None:
    """Every condition has the current generation, and the status has the reason and message of Ready."""
    for _, after in examples()[state]:
        status = after["status"]
        for each in status.get("conditions", ()):
            assert each["observedGeneration"] == after["metadata"]["generation"]
        ready = condition(status, "Ready") or {}
        assert (status.get("reason"), status.get("message")) == (ready.get("reason"), ready.get("message"))


@pytest.mark.parametrize(
    ("observation", "spec", "reachable"),
    [
        (job(), {}, "True"),
        (JobNotFound("m"), {}, "True"),
        (AuthorizationFailed("m"), {}, "False"),
        (AzureUnavailable("m"), {}, "False"),
        (PollDeferred("m"), {}, "Unknown"),
        (job(), {"suspend": True}, "Unknown"),
        *((kind("m"), {}, "Unknown" if issubclass(kind, PollDeferred) else "False") for kind in NO_REQUEST),
    ],
)
def test_reachable(observation: Job | AzureError, spec: Body, reachable: str) -> None:
    """AzureReachable is True after an answer, Unknown while polls are suspended or deferred, and otherwise False."""
    status = settle(watch_body({"jobResourceId": JOB_ID, **spec}), observation, NOW)["status"]
    assert (condition(status, "AzureReachable") or {})["status"] == reachable


# ── phases by reason ─────────────────────────────────────────────────────────────────────────────────────────────────


def emitted() -> set[str]:
    """Return the reasons that the code defines."""
    troubles = [kind("m") for kind in KINDS]
    return {
        *verdict._REASONS.values(),
        *(trouble.reason for trouble in troubles),
        *(trouble.final_reason for trouble in troubles),
        *("Suspended", "DeadlineExceeded", "InvalidSpec", "OperationFailed"),
        *(waiting.reason for waiting in WAITING),
        *(failure.reason for failure in REQUEST_FAILURES),
    }


def phases() -> dict[str, set[str]]:
    """Return the phases of each reason, from all scenarios of a new and a running watch."""
    both = (watch_body(), seen_as("InProgress"))
    bodies = [settle(edit(body, suspend=True), PollDeferred("m"), NOW) for body in both]
    bodies += [settle(both[1], job(status="InProgress"), AFTER_DEADLINE)]
    bodies += [settle(both[0], waiting, NOW) for waiting in WAITING]
    bodies += [settle(both[0], OperationFailure(message="m"), NOW)]
    bodies += [settle(both[0], failure, NOW) for failure in REQUEST_FAILURES]
    bodies += [settle(watch_body({"jobName": JOB_NAME}), PollDeferred("m"), NOW)]
    for outcome in Outcome:
        for accepted in ("Failed", "Succeeded"):
            bodies.append(seen_as(outcome.value or "Paused", completedWithWarnings=accepted))
    for kind in set(KINDS) - set(OF_REQUESTS):
        for body in both[:1] if kind in WHILE_PENDING else both:
            bodies += [after for _, after in steps(body, kind("m"))]
    found: dict[str, set[str]] = {}
    for body in bodies:
        found.setdefault(body["status"]["reason"], set()).add(body["status"]["phase"])
    return found


def test_reasons_are_these() -> None:
    """The defined reasons are those that occur, and the source contains no other reason."""
    assert emitted() == phases().keys()
    in_source = {reason for path in MODULES for reason in re.findall(r'\breason ?= ?"(\w+)"', path.read_text("utf-8"))}
    assert in_source <= emitted()


def test_every_reason_is_explained() -> None:
    """The table lists exactly the reasons that a watch can have."""
    assert set(REASONS) == emitted()


@pytest.mark.parametrize("reason", REASONS)
def test_phases_of_reasons(reason: str) -> None:
    """The table lists all phases of each reason."""
    cell = REASONS[reason]["phase"]
    documented = set(re.findall(r"Pending|Running|Succeeded|Failed", cell))
    if "as before" in cell:
        documented |= {"Pending", "Running"}
    assert documented == phases().get(reason)
