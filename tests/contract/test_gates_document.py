"""docs/gates.md: what it has for copying fits together, and with the project."""

from __future__ import annotations

import re
from typing import Any, Final

import durationpy
import pytest

from backupjobwatch.constants import API_VERSION, KIND
from backupjobwatch.domain.api.spec import POLL_INTERVALS
from backupjobwatch.domain.status.assessment import DEADLINE_WAIT
from tests.contract.markdown import commands, plain, table
from tests.contract.project import ROOT, read
from tests.support.gates.verdicts import DOCUMENT, fragments, line

MARGIN: Final = (DEADLINE_WAIT + 2 * max(POLL_INTERVALS.values())).total_seconds()
"""Seconds after its deadline within which a watch is judged, whatever Azure does."""
TIMES: Final = {plain(row["tool"]): plain(row["set it to"]) for row in table(read(DOCUMENT), "tool")}


def seconds(text: str) -> float:
    """Read a time-out, in seconds or as a duration, whatever else the cell says."""
    word = text.partition(",")[0]
    return float(word) if word.isdigit() else durationpy.from_str(word).total_seconds()


@pytest.mark.parametrize("tool", TIMES)
def test_the_watch_gives_up_first(tool: str) -> None:
    """Every tool is told to wait longer than the watch does."""
    assert seconds(TIMES[tool]) >= line("spec", "activeDeadlineSeconds") + MARGIN


def test_lines_have_the_times_of_the_table() -> None:
    """What is there for copying has the table's time-outs."""
    assert line("spec", "timeout") == TIMES["Flux Kustomization"]
    given = re.findall(r"--timeout[= ](\S+)", "\n".join(commands(read(DOCUMENT))))
    assert set(given) == {TIMES["kubectl"], "0"}
    assert TIMES["kubectl"] == TIMES["Helm 4"]


def test_lines_are_about_our_kind() -> None:
    """The lines name our group, version and kind where the tool wants them."""
    for field in ("healthCheckExprs", "dependsOn"):
        (entry,) = line("spec", field)
        assert (entry["apiVersion"], entry["kind"]) == (API_VERSION, KIND)


def test_the_watch_has_one_name() -> None:
    """All lines are about the same watch."""
    (dependency,) = line("spec", "dependsOn")
    assert set(re.findall(r"bjw/([\w-]+)", read(DOCUMENT))) == {dependency["name"]}


def test_the_component_is_there() -> None:
    """The component that is to be named is one."""
    (component,) = line("components")
    assert "kind: Component" in (ROOT / component / "kustomization.yaml").read_text(encoding="utf-8")


def test_annotations_are_argo_cds() -> None:
    """What makes a watch a hook or a part of a wave is written as Argo CD reads it: as texts."""
    annotations: dict[str, Any] = {}
    for fragment in fragments():
        annotations |= fragment.get("metadata", {}).get("annotations", {})
    assert annotations.keys() == {f"argocd.argoproj.io/{name}" for name in ("hook", "hook-delete-policy", "sync-wave")}
    assert all(isinstance(value, str) for value in annotations.values())
