"""Read the table and snippets of docs/gates.md, and apply the snippets with each tool's rules."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from tests.contract.markdown import blocks, plain, table
from tests.contract.project import ROOT, read
from tests.support.documents import load_documents
from tests.support.gates import argo_cd, argo_workflows, flux, kstatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.gates.kstatus import Body

DOCUMENT: Final = "docs/gates.md"
CUSTOMIZATION: Final = ROOT / "manifests/components/argocd/resource_customizations/azurebackup.dev/BackupJobWatch"
HEALTH_SCRIPT: Final = (CUSTOMIZATION / "health.lua").read_text(encoding="utf-8")
KUBECTL: Final = "kubectl wait"
"""The column that only kubectl itself can fill in."""


def expected() -> dict[str, dict[str, str]]:
    """Return the table, by row and column."""
    rows = table(read(DOCUMENT), "watch")
    return {plain(row["watch"]): {plain(name): plain(cell) for name, cell in row.items()} for row in rows}


@cache
def fragments() -> list[dict[str, Any]]:
    """Return the manifest snippets of the document."""
    return [fragment for block in blocks(read(DOCUMENT), "yaml") for fragment in load_documents(block)]


def line(*path: str) -> Any:
    """Return the value at a path of the only snippet that has it. In a list, use the first item."""
    (found,) = (value for fragment in fragments() if (value := _at(fragment, path)) is not None)
    return found


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if isinstance(value, list):
            value = value[0]
        value = value.get(name) if isinstance(value, dict) else None
    return value


def judge(body: Body) -> dict[str, str]:
    """Return each tool's result for a watch by column, except kubectl's."""
    return {column: judge_by(column, body) for column in _TOOLS}


def judge_by(column: str, body: Body) -> str:
    """Return the result of one column's tool for a watch."""
    return _TOOLS[column](body)


def _health_check(body: Body) -> str:
    (check,) = line("spec", "healthCheckExprs")
    try:
        return flux.health(check, body)
    except flux.CelError:
        return "error: waits"


def _resource_set(body: Body) -> str:
    (dependency,) = line("spec", "dependsOn")
    try:
        return "continues" if flux.ready(dependency, body) else "waits"
    except flux.CelError:
        return "error: waits"


def _health(body: Body) -> argo_cd.Health:
    health = argo_cd.health(HEALTH_SCRIPT, body)
    assert health is not None
    before_they_saw_deletion = argo_cd.health(HEALTH_SCRIPT, body, scripts_see_deletion=False)
    assert before_they_saw_deletion is not None
    assert before_they_saw_deletion.status == health.status
    return health


def _gate(body: Body) -> str:
    phase = argo_cd.hook(_health(body))
    assert argo_cd.wave(_health(body)) == phase
    return phase


def _workflow(body: Body) -> str:
    template = line("resource")
    return argo_workflows.verdict(body, success=template["successCondition"], failure=template["failureCondition"])


_TOOLS: Final[Mapping[str, Callable[[Body], str]]] = {
    "kstatus": kstatus.verdict,
    "healthCheckExprs": _health_check,
    "ResourceSet": _resource_set,
    "Argo CD": lambda body: _health(body).status,
    "hook, wave": _gate,
    "Argo Workflows": _workflow,
}
