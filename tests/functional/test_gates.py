"""The table of docs/gates.md, cell by cell: each tool's verdict on what the operator really writes.

tests/e2e/test_kubectl_wait.py covers kubectl itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.contract.markdown import code, plain, table
from tests.contract.project import read
from tests.support.gates import argo_cd, argo_workflows, flux, scenes, verdicts
from tests.support.gates.flux_checks import complaints
from tests.support.gates.scenes import SCENES
from tests.support.gates.states import DELETED_AS_HOOK, NO_STATUS, NOT_SEEN, all_states, written

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.gates.kstatus import Body

EXPECTED: Final = verdicts.expected()
REASONS: Final = table(read("docs/troubleshooting.md"), "reason")
COLUMNS: Final = ("kstatus", "healthCheckExprs", "ResourceSet", "Argo CD", "hook, wave", "Argo Workflows")
OPEN: Final = {"Current", "continues", "Healthy", "Succeeded", "success", "complete", "ready", "succeeded"}
"""The words of a cell whose gate is open."""


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_states_are_in_the_table() -> None:
    """The document has a row for each state, and a column for each tool."""
    assert list(EXPECTED) == list(all_states())
    assert {tuple(row) for row in EXPECTED.values()} == {("watch", *COLUMNS, verdicts.KUBECTL)}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("row", EXPECTED)
def test_cell(row: str, column: str) -> None:
    """Each cell is the tool's verdict on every watch in that state."""
    assert {verdicts.judge_by(column, body) for body in all_states()[row].values()} == {EXPECTED[row][column]}


def test_open_gates_are_bold() -> None:
    """Bold marks open gates: those of a succeeded watch, and those of a CRD that lost its default."""
    rows = table(read(verdicts.DOCUMENT), "watch")
    for row in rows:
        words = {word for name, cell in row.items() if name != "watch" for word in cell.split(", ")}
        assert {plain(word) for word in words if "**" in word} == {plain(word) for word in words} & OPEN
    opening = {plain(row["watch"]) for row in rows if "**" in str(row)}
    hook = f"succeeded, {DELETED_AS_HOOK}"  # a watch that is being deleted can only open a gate of Argo CD
    assert opening == {scenes.SUCCEEDED, scenes.STILL_SUCCEEDED, NO_STATUS, hook}
    assert {name for name, cell in EXPECTED[hook].items() if cell in OPEN} == {"Argo CD", "hook, wave"}


def test_the_scenes_cover_every_reason() -> None:
    """The scenes cover every phase and reason of docs/troubleshooting.md."""
    documented = set()
    for row in REASONS:
        phases = set(re.findall(r"Pending|Running|Succeeded|Failed", row["phase"]))
        if "as before" in row["phase"]:
            phases |= {"Pending", "Running"}
        documented |= {(phase, plain(row["reason"])) for phase in phases}
    assert {(scene.phase, scene.reason) for scene in SCENES} == documented
    for scene in SCENES:
        status = written()[scene.name]["status"]
        assert (status["phase"], status["reason"]) == (scene.phase, scene.reason)


# ── other rules of the tools ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_flux_checks(scene: scenes.Scene) -> None:
    """Flux's own checks pass. The only deviation is intended: nothing reconciles a suspended watch."""
    deviations = {"FAIL0011"} if scene.watch == scenes.SUSPENDED else set()
    assert complaints(written()[scene.name]) == deviations


def test_never_reconciling_and_stalled() -> None:
    """No watch has both Reconciling and Stalled, because kstatus uses only the first of them."""
    for scene in SCENES:
        types = {condition["type"] for condition in written()[scene.name]["status"]["conditions"]}
        assert not {"Reconciling", "Stalled"} <= types


@pytest.mark.parametrize("row", EXPECTED)
def test_ready_alone_has_the_same_result(row: str) -> None:
    """In a ResourceSet, ``ready: true`` alone has the same result, except for a CRD without its default."""
    for body in all_states()[row].values():
        goes_on = flux.ready({"ready": True}, body)
        assert goes_on == (EXPECTED[row]["ResourceSet"] == "continues" or row == NO_STATUS)


def test_reasons_of_a_wait_are_shown() -> None:
    """A hook or wave that waits shows the operator's own message."""
    for scene in SCENES:
        body = written()[scene.name]
        health = argo_cd.health(verdicts.HEALTH_SCRIPT, body)
        assert health is not None
        assert health.message == body["status"]["message"]


# ── conditions that open too early ────────────────────────────────────────────────────────────────────────────────────

FRESH: Final = (NOT_SEEN, "not-seen")
RUNNING: Final = (scenes.IN_PROGRESS, "running-job-in-progress")
STALE: Final = ("succeeded, and edited since", "succeeded-job-completed-stale")
BY_PHASE: Final = "status.phase == Succeeded"
VACUOUS: Final = "status.conditions.filter(c, c.type == 'Complete').all(c, c.status == 'True')"

EARLY: Final[dict[str, tuple[tuple[str, str], Callable[[Body], bool]]]] = {
    f"successCondition: {BY_PHASE}": (
        STALE,
        lambda body: argo_workflows.verdict(body, success=BY_PHASE, failure="") == "success",
    ),
    "status.observedGeneration == 1 alone": (
        STALE,
        lambda body: (
            argo_workflows.verdict(body, success=f"{BY_PHASE}, status.observedGeneration == 1", failure="") == "success"
        ),
    ),
    "readyExpr: status.phase == 'Succeeded'": (STALE, lambda body: flux.holds("status.phase == 'Succeeded'", body)),
    "dependsOn": (FRESH, lambda body: flux.ready({}, body)),
    f"current: {VACUOUS}": (RUNNING, lambda body: flux.health({"current": VACUOUS}, body) == "Current"),
    "Argo CD without the health check": (RUNNING, lambda body: argo_cd.hook(argo_cd.health(None, body)) == "Succeeded"),
}


@pytest.mark.parametrize("line", EARLY)
def test_opens_too_early(line: str) -> None:
    """Each expression that the document warns of opens a gate too early."""
    (row, name), opens = EARLY[line]
    assert any(line in each["setting"].replace("`", "") for each in table(read(verdicts.DOCUMENT), "setting"))
    assert opens(all_states()[row][name])
    assert not any(cell in OPEN for cell in EXPECTED[row].values())


def test_closed_by_a_missing_field() -> None:
    """A missing field meets the failureCondition that the document warns of, so the workflow fails."""
    condition = "status.phase != Running"
    assert f"failureCondition: {condition}" in code(read(verdicts.DOCUMENT))
    row, name = FRESH
    assert argo_workflows.verdict(all_states()[row][name], success=BY_PHASE, failure=condition) == "failure"
