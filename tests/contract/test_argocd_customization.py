"""Test the Argo CD scripts like Argo CD's own tests, and their entries in argocd-cm."""

from __future__ import annotations

import copy
import re
import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from backupjobwatch.constants import GROUP, KIND, MAX_REQUESTED_AT, PLURAL, REQUESTED_AT
from tests.contract.project import ROOT, kustomize, load, read, relative
from tests.support.gates import argo_cd, lua
from tests.support.gates.verdicts import CUSTOMIZATION, HEALTH_SCRIPT

if TYPE_CHECKING:
    from pathlib import Path

COMPONENT: Final = ROOT / "manifests" / "components" / "argocd"
ENTRIES: Final = {name: f"resource.customizations.{name}.{GROUP}_{KIND}" for name in ("health", "actions")} | {
    "updates": f"resource.customizations.ignoreResourceUpdates.{GROUP}_{KIND}"
}
TESTS: Final[dict[str, Any]] = {
    name: yaml.safe_load((CUSTOMIZATION / name).read_text(encoding="utf-8"))
    for name in ("health_test.yaml", "actions/action_test.yaml")
}
HEALTH_TESTS: Final[list[dict[str, Any]]] = TESTS["health_test.yaml"]["tests"]
DISCOVERY_TESTS: Final[list[dict[str, Any]]] = TESTS["actions/action_test.yaml"]["discoveryTests"]
ACTION_TESTS: Final[list[dict[str, Any]]] = TESTS["actions/action_test.yaml"]["actionTests"]
DISCOVERY_SCRIPT: Final = (CUSTOMIZATION / "actions" / "discovery.lua").read_text(encoding="utf-8")


def action_script(name: str) -> str:
    """Return the script of an action from the path that Argo CD uses."""
    return (CUSTOMIZATION / "actions" / name / "action.lua").read_text(encoding="utf-8")


def example(*path: str) -> dict[str, Any]:
    """Return the object of an example."""
    body: dict[str, Any] = yaml.safe_load(CUSTOMIZATION.joinpath(*path).resolve().read_text(encoding="utf-8"))
    return body


# ── scripts: https://github.com/argoproj/argo-cd/tree/master/util/lua ────────────────────────────────────────────────


def test_path_matches_group_and_kind() -> None:
    """The folder path contains the group and kind, and each offered action has a script."""
    assert CUSTOMIZATION.relative_to(COMPONENT).parts == ("resource_customizations", GROUP, KIND)
    actions = {path.parent.name for path in CUSTOMIZATION.glob("actions/*/action.lua")}
    assert {action["name"] for test in DISCOVERY_TESTS for action in test["result"]} == actions
    assert {test["action"] for test in ACTION_TESTS} == actions


@pytest.mark.parametrize("test", HEALTH_TESTS, ids=lambda test: test["inputPath"])
def test_health(test: dict[str, Any]) -> None:
    """health_test.yaml: the script returns the expected health and message for each example."""
    health = argo_cd.health(HEALTH_SCRIPT, example(test["inputPath"]))
    assert health is not None
    assert health._asdict() == test["healthStatus"]


def test_every_example_is_tested() -> None:
    """Each example has a test, including the resource under deletion that Argo CD requires for every check."""
    examples = {f"testdata/{path.name}" for path in (CUSTOMIZATION / "testdata").iterdir()}
    assert {test["inputPath"] for test in HEALTH_TESTS} == examples
    assert "testdata/terminating.yaml" in examples


@pytest.mark.parametrize("test", DISCOVERY_TESTS, ids=lambda test: test["inputPath"])
def test_discovery(test: dict[str, Any]) -> None:
    """action_test.yaml: the action is enabled only when it has an effect."""
    assert argo_cd.discover(DISCOVERY_SCRIPT, example("actions", test["inputPath"])) == test["result"]


@pytest.mark.parametrize("test", ACTION_TESTS, ids=lambda test: test["inputPath"])
def test_action(test: dict[str, Any]) -> None:
    """action_test.yaml: apart from the time, the action changes only the expected fields."""
    after = argo_cd.act(action_script(test["action"]), example("actions", test["inputPath"]))
    expected = example("actions", test["expectedOutputPath"])
    asked = [body["metadata"]["annotations"].pop(REQUESTED_AT) for body in (after, expected)]
    assert after == expected
    assert re.fullmatch(r"By Argo CD at: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", asked[0])
    assert asked[0] > asked[1]
    assert len(asked[0]) <= MAX_REQUESTED_AT


def test_action_keeps_annotations() -> None:
    """The action keeps existing annotations and sets only the request."""
    body = example("testdata/progressing_running.yaml")
    body["metadata"]["annotations"] = {"example.com/note": "mine", REQUESTED_AT: "before"}
    after = argo_cd.act(action_script("refresh"), body)
    assert after["metadata"]["annotations"].keys() == {"example.com/note", REQUESTED_AT}
    assert after["metadata"]["annotations"]["example.com/note"] == "mine"
    assert after["metadata"]["annotations"][REQUESTED_AT] != "before"


@pytest.mark.parametrize(
    ("where", "status"),
    [
        ({"status": None}, "Progressing"),
        ({"status": {}}, "Progressing"),
        ({"status": {"observedGeneration": 1}}, "Progressing"),
        ({"status": {"observedGeneration": 1, "conditions": []}}, "Progressing"),
        ({"status": {"observedGeneration": "1", "conditions": [{"type": "Ready", "status": "True"}]}}, "Progressing"),
        ({"status": {"conditions": [{"type": "Ready", "status": "True"}]}, "metadata": {"name": "w"}}, "Progressing"),
        ({"status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "False"}]}}, "Progressing"),
    ],
)
def test_incomplete_statuses_open_no_gate(where: dict[str, Any], status: str) -> None:
    """With an incomplete status, the script opens no gate and does not fail."""
    body = {**copy.deepcopy(example("testdata/healthy.yaml")), **where}
    health = argo_cd.health(HEALTH_SCRIPT, body)
    assert health is not None
    assert health.status == status


HOOK: Final = argo_cd.HOOK_FINALIZER
DELETED: Final = "2026-12-01T00:00:00Z"
"""A time after the completion of the examples."""


@pytest.mark.parametrize(
    ("file", "metadata", "status"),
    [
        ("healthy", {"generation": 2, "finalizers": [HOOK]}, "Healthy"),
        ("healthy_with_warnings", {"generation": 2, "finalizers": [HOOK]}, "Healthy"),
        ("degraded_job_failed", {"generation": 2, "finalizers": [HOOK]}, "Degraded"),
        # Another finalizer, such as that of a foreground deletion, or none.
        ("healthy", {"generation": 2, "finalizers": [HOOK, "foregroundDeletion"]}, "Progressing"),
        ("healthy", {"generation": 2, "finalizers": ["example.com/mine"]}, "Progressing"),
        ("healthy", {"generation": 2, "finalizers": []}, "Progressing"),
        ("healthy", {"generation": 2, "finalizers": None}, "Progressing"),
        # The operator has observed the generation of the deletion.
        ("healthy", {"generation": 1, "finalizers": [HOOK]}, "Healthy"),
        ("degraded_job_failed", {"generation": 1, "finalizers": [HOOK]}, "Degraded"),
        ("progressing_running", {"generation": 1, "finalizers": [HOOK]}, "Progressing"),
        # An edit that the operator has not observed, and generations that no API server sets.
        ("healthy", {"generation": 3, "finalizers": [HOOK]}, "Progressing"),
        ("healthy", {"generation": 0, "finalizers": [HOOK]}, "Progressing"),
        ("healthy", {"generation": None, "finalizers": [HOOK]}, "Progressing"),
        # No verdict.
        ("progressing_running", {"generation": 2, "finalizers": [HOOK]}, "Progressing"),
        ("progressing_not_seen", {"generation": 2, "finalizers": [HOOK]}, "Progressing"),
        ("progressing_not_seen", {"generation": 0, "finalizers": [HOOK]}, "Progressing"),
        ("suspended", {"generation": 2, "finalizers": [HOOK]}, "Progressing"),
    ],
)
def test_deleted_hook(file: str, metadata: dict[str, Any], status: str) -> None:
    """A deleted hook keeps its result only if it had finished and only Argo CD's finalizer remains."""
    body = example(f"testdata/{file}.yaml")
    body["metadata"] |= {**metadata, "deletionTimestamp": DELETED}
    body["metadata"] = {name: value for name, value in body["metadata"].items() if value is not None}
    health = argo_cd.health(HEALTH_SCRIPT, body)
    assert health is not None
    assert health.status == status
    assert status != "Progressing" or health.message.startswith(("Pending deletion", "Waiting", "Azure"))


@pytest.mark.parametrize(
    ("generation", "completed", "status"),
    [
        (2, "2026-11-30T23:59:59Z", "Healthy"),
        (2, DELETED, "Healthy"),
        (1, "2026-12-01T00:00:01Z", "Healthy"),
        # The status is of the deletion's generation, and a later edit has not been observed.
        (2, "2026-12-01T00:00:01Z", "Progressing"),
        (2, None, "Progressing"),
    ],
)
def test_hook_finished_before_its_deletion(generation: int, completed: str | None, status: str) -> None:
    """A status of the previous generation counts only if the watch finished before its deletion."""
    body = example("testdata/healthy.yaml")
    body["metadata"] |= {"generation": generation, "finalizers": [HOOK], "deletionTimestamp": DELETED}
    body["status"]["completionTime"] = completed
    health = argo_cd.health(HEALTH_SCRIPT, body)
    assert health is not None
    assert health.status == status


def test_normalizer_case() -> None:
    """The header of the action test has the case that Argo CD's own test requires for this kind."""
    text = (CUSTOMIZATION / "actions" / "action_test.yaml").read_text(encoding="utf-8")
    header = "\n".join(line.removeprefix("#") for line in text.partition("discoveryTests:")[0].splitlines())
    assert f'case "{GROUP}":' in header
    assert f'un.GetKind() == "{KIND}"' in header
    assert "setFluxRequestedAtAnnotation(un)" in header
    assert "actions/action_test.yaml" in (COMPONENT / "kustomization.yaml").read_text(encoding="utf-8")


def test_scripts_run_in_argo_cds_sandbox() -> None:
    """The Lua sandbox has base, table and the time functions of ``require('os')``, and stops endless loops."""
    names = ("string", "math", "io", "os", "debug", "coroutine", "python", "table", "ipairs", "require")
    kinds = lua.run(f"return {{ {', '.join(f'{name} = type({name})' for name in names)} }}", {})
    assert {name for name, kind in kinds.items() if kind != "nil"} == {"table", "ipairs", "require"}
    assert lua.run("return { n = #obj.list, t = type(require('os').time()) }", {"list": [1, 2]}) == {
        "n": 2,
        "t": "number",
    }
    for script in ("while true do end", "return require('io')", "return ('x'):upper()", "return 1", "error('no')"):
        with pytest.raises(lua.LuaFailed):
            lua.run(script, {})


# ── argocd-cm ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def argo(tmp_path: Path) -> Path:
    """A user's kustomization of Argo CD, with argocd-cm as upstream ships it and the component."""
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": {"url": "theirs"}}
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "cm.yaml").write_text(yaml.safe_dump(theirs), encoding="utf-8")
    shutil.copytree(COMPONENT, tmp_path / "component")
    return tmp_path


@pytest.mark.parametrize("namespaced", ["outside", "within"])
def test_component_adds_its_entries(argo: Path, namespaced: str) -> None:
    """The component adds its three entries to the ConfigMap, regardless of how its namespace is set."""
    inner = {"resources": ["cm.yaml"], **({"namespace": "argocd"} if namespaced == "within" else {})}
    outer = {"resources": ["inner"], "components": ["component"], "namespace": "argocd"}
    (argo / "inner" / "kustomization.yaml").write_text(yaml.safe_dump(inner), encoding="utf-8")
    (argo / "kustomization.yaml").write_text(yaml.safe_dump(outer), encoding="utf-8")
    (built,) = kustomize(argo)
    assert built["metadata"] == {"name": "argocd-cm", "namespace": "argocd"}
    assert built["data"].pop("url") == "theirs"
    assert_entries(built["data"])


def test_by_itself() -> None:
    """``kubectl apply --server-side -k manifests/argocd`` sends only the project's entries."""
    (built,) = kustomize(ROOT / "manifests" / "argocd")
    assert built["metadata"] == {"name": "argocd-cm", "namespace": "argocd"}
    assert_entries(built["data"])


def assert_entries(data: dict[str, str]) -> None:
    """The entries contain the scripts of the customization folder."""
    assert data.keys() == set(ENTRIES.values())
    assert data[ENTRIES["health"]] == HEALTH_SCRIPT
    actions = yaml.safe_load(data[ENTRIES["actions"]])
    assert actions.keys() == {"discovery.lua", "definitions"}
    assert actions["discovery.lua"] == DISCOVERY_SCRIPT
    scripts = {definition["name"]: definition["action.lua"] for definition in actions["definitions"]}
    assert scripts == {name: action_script(name) for name in scripts}
    assert scripts.keys() == {test["action"] for test in ACTION_TESTS}


def test_ignored_updates_are_of_the_status() -> None:
    """Argo CD ignores only fields of the CRD's status, and no gate reads them."""
    (crd,) = load(f"crds/{PLURAL}.{GROUP}.yaml")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    ignored = yaml.safe_load(read(relative(COMPONENT / "ignore-resource-updates.yaml")))
    assert ignored.keys() == {"jsonPointers"}
    fields = {pointer.removeprefix("/status/") for pointer in ignored["jsonPointers"]}
    assert fields <= schema.keys()
    assert not fields & {"conditions", "phase", "reason", "message", "observedGeneration"}
