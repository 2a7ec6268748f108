"""The tests' reimplementation of each tool's rules can also return a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.gates import argo_cd, argo_workflows, flux, kstatus
from tests.support.gates.flux_checks import AT_REST, BEING_WORKED_ON, complaints

if TYPE_CHECKING:
    from tests.support.gates.kstatus import Body


def watch(observed: Any = 2, generation: int = 2, **conditions: Any) -> dict[str, Any]:
    """Return an object of generation 2 with these conditions, each given as a status or as fields."""
    listed = []
    for kind, given in conditions.items():
        fields = given if isinstance(given, dict) else {"status": given}
        listed.append({"type": kind, "observedGeneration": 2, "reason": "R", "message": "m", **fields})
    return {"metadata": {"generation": generation}, "status": {"observedGeneration": observed, "conditions": listed}}


# ── kstatus ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ({"metadata": {"generation": 1}}, "Current"),
        (watch(), "Current"),
        (watch(None, Ready="False"), "InProgress"),
        (watch(1, Ready="True"), "InProgress"),
        (watch(3, Ready="True"), "InProgress"),
        (watch(Ready="True"), "Current"),
        (watch(Ready="Unknown"), "InProgress"),
        (watch(Ready="False"), "InProgress"),
        (watch(Ready="False", Stalled="True"), "Failed"),
        (watch(Ready="False", Stalled="False"), "InProgress"),
        (watch(Ready="True", Reconciling="True"), "InProgress"),
        (watch(Reconciling="True", Stalled="True"), "InProgress"),
        (watch(Stalled="True", Reconciling="True"), "Failed"),
        (watch(Complete="True"), "Current"),
    ],
)
def test_kstatus(body: Body, verdict: str) -> None:
    """The first matching rule decides, Ready=False is not a failure, and an object without conditions is current."""
    assert kstatus.verdict(body) == verdict


def test_kstatus_requires_numbers() -> None:
    """A generation that is a string raises a TypeError."""
    with pytest.raises(TypeError):
        kstatus.verdict(watch("2", Ready="True"))


# ── Flux ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

DONE: Final[dict[str, Any]] = {"Ready": "True", "Finished": "True"}
SPOILED: Final[dict[str, Body]] = {
    "FAIL0001": watch(**DONE, Failed="True"),
    "FAIL0002": watch(Reconciling="True"),
    "FAIL0003": watch(Ready="Unknown", Finished="True", Reconciling="True"),
    "FAIL0004": watch(Ready="Unknown", Reconciling="True", Stalled="True"),
    "FAIL0005": watch(Ready="False", Reconciling="True", Stalled="True"),
    "FAIL0006": watch(3, Ready="False", Reconciling="True"),
    "FAIL0007": watch(1, **DONE),
    "FAIL0008": watch(Ready="True", Finished={"status": "True", "observedGeneration": 1}),
    "FAIL0009": watch(3, 2, **DONE),
    "FAIL0011": watch(Ready="Unknown"),
    "WARN0001": watch(**DONE, Stalled="False"),
    "WARN0002": watch(Ready="False", Finished="True", Failed={"status": "True", "reason": "Other"}),
    "WARN0003": watch(Ready="False", Reconciling="False"),
    "WARN0004": watch(Ready="False", Stalled="False"),
    "WARN0005": watch(Ready={"status": "False", "observedGeneration": 0}),
}


def test_every_check_is_tried() -> None:
    """The tests cover every check."""
    assert SPOILED.keys() == {*AT_REST, *BEING_WORKED_ON}


@pytest.mark.parametrize("check", SPOILED)
def test_flux_check(check: str) -> None:
    """Each check reports the problem that it looks for."""
    assert check in complaints(SPOILED[check])


def test_expressions() -> None:
    """The generation comes first, then inProgress, failed and current. An expression without a value is an error."""
    both = {"inProgress": "metadata.generation == 9", "failed": "true", "current": "true"}
    assert flux.health(both, watch(1)) == "InProgress"
    assert flux.health({**both, "inProgress": "true"}, watch()) == "InProgress"
    assert flux.health(both, watch()) == "Failed"
    assert flux.health({"current": "true"}, watch()) == "Current"
    assert flux.health({"current": "false"}, watch()) == "InProgress"
    for expression in ("status.phase == 'x'", "nothing.at == 'all'", "'a text'", "1 +"):
        with pytest.raises(flux.CelError):
            flux.health({"current": expression}, watch())


# ── Argo ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("selector", "met"),
    [
        ("a.b == x", True),
        ("a.b = x", True),
        ("a.b==y", False),
        ("a.b != y", True),
        ("a.b in (y, x)", True),
        ("a.b in (y)", False),
        ("a.b notin (y)", True),
        ("a.n == 1", True),
        ("a.t == true", True),
        ("l.0.b == z", True),
        ("missing == x", False),
        ("missing in (x)", False),
        ("missing != x", True),
        ("missing notin (x)", True),
        ("a.b", True),
        ("missing", False),
        ("!missing", True),
        ("a.b == x, a.n == 1", True),
        ("a.b == x, a.n == 2", False),
    ],
)
def test_selectors(selector: str, met: bool) -> None:  # noqa: FBT001 - a cell of the table
    """Keys are paths, numbers and booleans compare as strings, and a missing value equals nothing."""
    body = {"a": {"b": "x", "n": 1, "t": True}, "l": [{"b": "z"}]}
    assert argo_workflows.verdict(body, success=selector, failure="") == ("success" if met else "keeps polling")


def test_one_failure_is_enough() -> None:
    """Failure conditions come first, and any one of them is sufficient."""
    body = {"a": "x"}
    assert argo_workflows.verdict(body, success="a == x", failure="a == y, a == x") == "failure"
    with pytest.raises(ValueError, match="no label selector"):
        argo_workflows.verdict(body, success='status.conditions.#(type=="Ready").status == True', failure="")


@pytest.mark.parametrize(
    ("health", "hook", "wave"),
    [
        (None, "Succeeded", "Succeeded"),
        ("Healthy", "Succeeded", "Succeeded"),
        ("Progressing", "Running", "Running"),
        ("Suspended", "Running", "Running"),
        ("Degraded", "Failed", "Failed"),
        ("Unknown", "Failed", "Running"),
        ("Missing", "Succeeded", "Running"),
    ],
)
def test_hooks_and_waves(health: str | None, hook: str, wave: str) -> None:
    """A resource without health is done, and a hook fails if its script failed."""
    given = None if health is None else argo_cd.Health(health, "")
    assert (argo_cd.hook(given), argo_cd.wave(given)) == (hook, wave)


def test_scripts_that_fail() -> None:
    """A script that fails or returns an invalid health makes the health Unknown."""
    for script in ("error('no')", "return { status = 'Fine' }", "return 'Healthy'"):
        health = argo_cd.health(script, watch())
        assert health is not None
        assert health.status == "Unknown"


@pytest.mark.parametrize(("hook", "status"), [(False, "Progressing"), (True, "Healthy")])
def test_deletion_before_scripts_saw_it(hook: bool, status: str) -> None:  # noqa: FBT001 - a cell of the table
    """Earlier Argo CD versions set the health during deletion themselves, except for hooks that they hold."""
    finalizers = [argo_cd.HOOK_FINALIZER] if hook else []
    body = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers}}
    health = argo_cd.health("return { status = 'Healthy' }", body, scripts_see_deletion=False)
    assert health is not None
    assert health.status == status
