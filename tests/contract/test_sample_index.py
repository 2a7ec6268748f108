"""Every sample is in the index, explains its purpose, and has current kinds and existing fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from backupjobwatch.constants import API_VERSION, KIND
from tests.contract.kubernetes_schemas import ValidationError, latest_version, validate
from tests.contract.markdown import links, tables
from tests.support.samples import FILES, SAMPLES, every_object, name_of, objects

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.contract.project import Manifest

INDEX: Final = (SAMPLES / "README.md").read_text("utf-8")
TRIED: Final = {
    links(row["sample"].replace("`", ""))[0]: row["tried here"]
    for rows in tables(INDEX)
    for row in rows
    if "tried here" in row
}
EACH_FILE: Final = pytest.mark.parametrize("path", FILES, ids=name_of)
CURRENT: Final = {
    KIND: API_VERSION,
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "Receiver": "notification.toolkit.fluxcd.io/v1",
    "ResourceSet": "fluxcd.controlplane.io/v1",
    "Workflow": "argoproj.io/v1alpha1",
    "EventSource": "argoproj.io/v1alpha1",
    "Sensor": "argoproj.io/v1alpha1",
    **dict.fromkeys(("Task", "TaskRun", "PipelineRun"), "tekton.dev/v1"),
    **dict.fromkeys(("EventListener", "TriggerTemplate"), "triggers.tekton.dev/v1beta1"),
    "Component": "kustomize.config.k8s.io/v1alpha1",
    **dict.fromkeys(("ServiceAccount", "Secret"), "v1"),
    "Deployment": "apps/v1",
    "Job": "batch/v1",
    **dict.fromkeys(("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"), "rbac.authorization.k8s.io/v1"),
}
OF_KUBERNETES: Final = {"v1", "apps/v1", "batch/v1", "rbac.authorization.k8s.io/v1"}


def head(path: Path) -> list[str]:
    """Return the comment lines at the top of a sample."""
    lines = path.read_text("utf-8").splitlines()
    lines = lines[1:] if path.suffix == ".sh" else lines
    return lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))]


def references(value: Any) -> Iterator[tuple[str, str]]:
    """Yield each kind and version that occur together."""
    if isinstance(value, list):
        for each in value:
            yield from references(each)
    elif isinstance(value, dict):
        if {"apiVersion", "kind"} <= value.keys():
            yield value["kind"], value["apiVersion"]
        for each in value.values():
            yield from references(each)


def test_index_lists_all_samples() -> None:
    """The index lists exactly the samples, each once."""
    assert sorted(links(INDEX.replace("`", ""))) == [name_of(path) for path in FILES]


def test_index_states_how_samples_are_tested() -> None:
    """The index states how each tool's sample is tested, and which samples no tool has run."""
    assert TRIED.keys() == {name_of(path) for path in FILES if path.parent != SAMPLES}
    assert all(TRIED.values())
    for name, said in TRIED.items():
        of_a_tool = {version for each in objects(SAMPLES / name) for _, version in references(each)} - OF_KUBERNETES
        ran = "run with" in said or "script run" in said
        assert ran or "not run by" in said or of_a_tool <= {API_VERSION, "kustomize.config.k8s.io/v1alpha1"}, name


@EACH_FILE
def test_samples_explain_themselves(path: Path) -> None:
    """Each sample starts with a comment that explains it, of at least two lines if it is for a tool."""
    lines = head(path)
    assert (1 if path.parent == SAMPLES else 2) <= len(lines) <= 12
    assert all(len(line) <= 120 for line in lines)
    assert lines[-1].rstrip().endswith((".", "`"))


@EACH_FILE
def test_kinds_are_current(path: Path) -> None:
    """Every kind has the version that its project currently serves, including in references."""
    for each in every_object(path):
        for kind, version in references(each):
            assert version == CURRENT[kind], kind


@pytest.mark.parametrize(
    "each",
    [
        pytest.param(each, id=f"{name_of(path)} {each['kind']}")
        for path in FILES
        for each in every_object(path)
        if each["apiVersion"] in OF_KUBERNETES
    ],
)
def test_kubernetes_knows_the_fields(each: Manifest) -> None:
    """The Kubernetes schema accepts each built-in object and refuses unknown fields."""
    validate(each, latest_version(), strict=True)


def test_kubernetes_refuses_other_fields() -> None:
    """The Kubernetes schema in these tests refuses a misspelt field."""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}, "rules": []}
    version = latest_version()
    validate(role, version, strict=True)
    with pytest.raises(ValidationError, match="ruless"):
        validate({**role, "ruless": []}, version, strict=True)


@EACH_FILE
def test_rights_are_bound(path: Path) -> None:
    """Each role in a file is bound, and each binding names a role and an account of that file or the tool."""
    names: dict[str, set[str]] = {}
    for each in objects(path):
        names.setdefault(each["kind"], set()).add(each.get("metadata", {}).get("name"))
    bindings = [each for each in objects(path) if each["kind"] in ("RoleBinding", "ClusterRoleBinding")]
    bound = {(each["roleRef"]["kind"], each["roleRef"]["name"]) for each in bindings}
    roles = {(kind, name) for kind in ("Role", "ClusterRole") for name in names.get(kind, ())}
    assert roles <= bound
    assert all(name.startswith("tekton-triggers-eventlistener-") for _, name in bound - roles)
    accounts = {subject["name"] for each in bindings for subject in each["subjects"]}
    assert accounts <= names.get("ServiceAccount", set()) | {"notification-controller", "backupjobwatch"}
