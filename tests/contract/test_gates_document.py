"""The snippets in docs/gates.md are consistent with each other and with the project."""

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
"""Seconds from the deadline until the watch finishes, even if Azure is unreachable."""
TIMES: Final = {plain(row["tool"]): plain(row["set it to"]) for row in table(read(DOCUMENT), "tool")}


def seconds(text: str) -> float:
    """Parse the timeout at the start of a cell, in seconds or as a duration."""
    word = text.partition(",")[0]
    return float(word) if word.isdigit() else durationpy.from_str(word).total_seconds()


@pytest.mark.parametrize("tool", TIMES)
def test_the_watch_times_out_first(tool: str) -> None:
    """The timeout of every tool is longer than the watch's deadline."""
    assert seconds(TIMES[tool]) >= line("spec", "activeDeadlineSeconds") + MARGIN


def test_lines_have_the_times_of_the_table() -> None:
    """The snippets have the timeouts of the table."""
    assert line("spec", "timeout") == TIMES["Flux Kustomization"]
    given = re.findall(r"--timeout[= ](\S+)", "\n".join(commands(read(DOCUMENT))))
    assert set(given) == {TIMES["kubectl"], "0"}
    assert TIMES["kubectl"] == TIMES["Helm 4"]


def test_lines_are_about_our_kind() -> None:
    """The snippets contain the CRD's group, version and kind."""
    for field in ("healthCheckExprs", "dependsOn"):
        (entry,) = line("spec", field)
        assert (entry["apiVersion"], entry["kind"]) == (API_VERSION, KIND)


def test_the_watch_has_one_name() -> None:
    """All snippets refer to the same watch."""
    (dependency,) = line("spec", "dependsOn")
    assert set(re.findall(r"bjw/([\w-]+)", read(DOCUMENT))) == {dependency["name"]}


def test_the_component_exists() -> None:
    """The component in the snippet exists."""
    (component,) = line("components")
    assert "kind: Component" in (ROOT / component / "kustomization.yaml").read_text(encoding="utf-8")


def test_annotations_are_argo_cds() -> None:
    """The annotations for hooks and sync waves are Argo CD's, with string values."""
    annotations: dict[str, Any] = {}
    for fragment in fragments():
        annotations |= fragment.get("metadata", {}).get("annotations", {})
    assert annotations.keys() == {f"argocd.argoproj.io/{name}" for name in ("hook", "hook-delete-policy", "sync-wave")}
    assert all(isinstance(value, str) for value in annotations.values())
