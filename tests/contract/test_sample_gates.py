"""The samples' gates stay shut on a stale status, and on a job that takes too long: the watch ends before its tool."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import durationpy
import pytest

from backupjobwatch.constants import KIND, REQUESTED_AT
from tests.contract.project import load
from tests.contract.schema import field
from tests.support.samples import FILES, every_object, name_of, objects, pick, sample, scripts, texts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.project import Manifest

WORKFLOW: Final = sample("argo-workflows/workflow.yaml")
TASK: Final = sample("tekton/task.yaml")
PIPELINE_RUN: Final = sample("tekton/pipeline-run.yaml")
SYNC_WAVE: Final = sample("argocd/sync-wave.yaml")
KUSTOMIZATIONS: Final = [sample("flux/kustomization-wait.yaml"), sample("flux/health-check-exprs.yaml")]


def watches(path: Path) -> list[Manifest]:
    """Return the watches of a sample, embedded ones too."""
    return [each for each in every_object(path) if each["kind"] == KIND]


def deadline(path: Path) -> int:
    """Return how many seconds the one watch of a sample may take."""
    (watch,) = watches(path)
    seconds: int = watch["spec"]["activeDeadlineSeconds"]
    return seconds


def templates() -> dict[str, dict[str, Any]]:
    """Return the templates of the Workflow, by name."""
    return {each["name"]: each for each in pick(WORKFLOW, "Workflow")["spec"]["templates"]}


def seconds(duration: str) -> float:
    """Return how long a Go-style duration is."""
    parsed: float = durationpy.from_str(duration).total_seconds()
    return parsed


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nobody_waits_for_a_phase(path: Path) -> None:
    """No sample waits for a phase by JSON path: that cannot tell the status of an earlier generation."""
    assert not [text for text in (*scripts(path), *texts(objects(path))) if "--for=jsonpath" in text]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_fields_exist(path: Path) -> None:
    """Every field of a watch's status that a sample reads is one that the CRD has."""
    text = path.read_text("utf-8")
    for name in re.findall(r"\b(status\.(?!webhookPath)\w+)", text):
        assert field(name), name


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_samples_have_no_dates(path: Path) -> None:
    """No sample contains a date, which would be too old for ``startedAfter`` a month later."""
    assert re.findall(r"20\d\d-\d\d-\d\d", path.read_text("utf-8")) == []


# ── Flux ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_flux_waits_for_the_watch() -> None:
    """The Kustomization of the watch is ready when that is, and the other depends on it, with the same source."""
    gate, app = objects(KUSTOMIZATIONS[0])
    assert gate["spec"]["wait"] is True
    assert app["spec"]["dependsOn"] == [{"name": gate["metadata"]["name"]}]
    assert gate["spec"]["sourceRef"] == app["spec"]["sourceRef"]
    assert gate["spec"]["path"] != app["spec"]["path"]


def test_flux_has_the_rules_written_out() -> None:
    """The sample with expressions is the one without them, but for the expressions, which are about watches."""
    gate, _ = objects(KUSTOMIZATIONS[0])
    (other,) = objects(KUSTOMIZATIONS[1])
    (rules,) = other["spec"].pop("healthCheckExprs")
    assert other == gate
    assert f"{rules['apiVersion']} {rules['kind']}" == "azurebackup.dev/v1alpha1 BackupJobWatch"
    assert not any("filter(" in each for each in texts(rules))


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=name_of)
def test_flux_waits_longer_than_the_watch(path: Path) -> None:
    """The time-out of the Kustomization leaves the watch the time to say that its deadline is over."""
    timeout = seconds(objects(path)[0]["spec"]["timeout"])
    assert timeout >= deadline(sample("flux/gate/before-upgrade.yaml")) + 300


def test_resource_set_depends_on_the_watch() -> None:
    """The ResourceSet depends on the watch that is beside it, of its own generation, and its name is the upgrade's."""
    path = sample("flux/resource-set.yaml")
    spec = pick(path, "ResourceSet")["spec"]
    (dependency,) = spec["dependsOn"]
    (watch,) = watches(path)
    assert dependency["name"] == watch["metadata"]["name"]
    assert dependency["ready"] is True
    assert "status.observedGeneration == metadata.generation" in dependency["readyExpr"]
    (deployment,) = spec["resources"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert dependency["name"].endswith(container["image"].rpartition(":")[2])


# ── Argo ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_argocd_hook_is_new_each_time() -> None:
    """The PreSync hook gets a name of its own with each sync, and goes when it has succeeded."""
    (hook,) = watches(sample("argocd/pre-sync.yaml"))
    assert hook["metadata"].keys() == {"generateName", "annotations"}
    assert set(hook["metadata"]["annotations"].values()) == {"PreSync", "HookSucceeded"}


def test_argocd_wave_is_earlier() -> None:
    """The watch is in an earlier wave than the rest."""
    waves = [each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] for each in objects(SYNC_WAVE)]
    assert [each["kind"] for each in objects(SYNC_WAVE)] == [KIND, "Deployment"]
    assert all(int(before) < int(after) for before, after in pairwise(waves))


def test_workflow_waits_longer_than_the_watch() -> None:
    """The Workflow's step leaves the watch the time to say that its deadline is over."""
    assert templates()["wait-for-backup"]["activeDeadlineSeconds"] >= deadline(WORKFLOW) + 300


def test_workflow_conditions_are_safe() -> None:
    """The watch is new for each run, its first generation must succeed, and no condition holds for what is absent."""
    resource = templates()["wait-for-backup"]["resource"]
    (watch,) = watches(WORKFLOW)
    assert resource["action"] == "create"
    assert "generateName" in watch["metadata"]
    wanted = {"status.phase == Succeeded", "status.observedGeneration == 1", "metadata.generation == 1"}
    assert set(resource["successCondition"].split(", ")) == wanted
    assert not re.search(r"!=|notin|!", resource["successCondition"] + resource["failureCondition"])


def test_workflow_outputs_have_defaults() -> None:
    """What the step passes on has a value, even where the watch says nothing."""
    outputs = templates()["wait-for-backup"]["outputs"]["parameters"]
    assert all("default" in each["valueFrom"] for each in outputs)


def test_workflow_steps_fit() -> None:
    """Each step names a template, and passes what that takes."""
    for (step,) in templates()["upgrade-after-backup"]["steps"]:
        taken = templates()[step["template"]].get("inputs", {}).get("parameters", [])
        given = step.get("arguments", {}).get("parameters", [])
        assert [each["name"] for each in given] == [each["name"] for each in taken]


def test_sensor_hears_the_event_source() -> None:
    """The Sensor depends on the event that the source tells of, which filters by a phase that exists."""
    source = pick(sample("argo-events/event-source.yaml"), "EventSource")
    spec = pick(sample("argo-events/sensor.yaml"), "Sensor")["spec"]
    (dependency,) = spec["dependencies"]
    ((event, resource),) = source["spec"]["resource"].items()
    assert (dependency["eventSourceName"], dependency["eventName"]) == (source["metadata"]["name"], event)
    (selector,) = resource["filter"]["fields"]
    assert selector["value"] in field(selector["key"])["enum"]
    assert sum(selector["value"] in phase for phase in field(selector["key"])["enum"]) == 1  # it is read as a pattern
    assert resource["eventTypes"] == ["UPDATE"]
    (trigger,) = spec["triggers"]
    (parameter,) = trigger["template"]["k8s"]["parameters"]
    assert parameter["src"] == {"dependencyName": dependency["name"], "dataKey": "body.metadata.uid"}


# ── Tekton, Azure Monitor ────────────────────────────────────────────────────────────────────────────────────────────


def test_tekton_waits_longer_than_the_watch() -> None:
    """The run leaves the Task, and the Task the watch, the time to say that its deadline is over."""
    spec = pick(PIPELINE_RUN, "PipelineRun")["spec"]
    (wait,) = (each for each in spec["pipelineSpec"]["tasks"] if each["name"] == "wait")
    timeout = {each["name"]: each["value"] for each in wait["params"]}["timeout"]
    assert seconds(wait["timeout"]) >= int(timeout) + 300
    assert seconds(spec["timeouts"]["pipeline"]) >= seconds(wait["timeout"]) + 3600  # what the first Task may take


def test_tekton_tasks_fit() -> None:
    """Each task of the run gets the parameters that it declares, and the wait is the Task of the other sample."""
    task = pick(TASK, "Task")
    for each in pick(PIPELINE_RUN, "PipelineRun")["spec"]["pipelineSpec"]["tasks"]:
        spec = each.get("taskSpec", task["spec"])
        assert "taskSpec" in each or each["taskRef"]["name"] == task["metadata"]["name"]
        assert {given["name"] for given in each["params"]} == {taken["name"] for taken in spec["params"]}


def test_receiver_finds_the_watch() -> None:
    """The Receiver asks for polls by the label that the watch beside it has, by the annotation that we heed."""
    path = sample("azure-monitor/receiver.yaml")
    (resource,) = pick(path, "Receiver")["spec"]["resources"]
    (watch,) = watches(path)
    assert resource["name"] == "*"
    assert resource["matchLabels"] == watch["metadata"]["labels"]
    assert REQUESTED_AT in path.read_text("utf-8")


def test_component_grants_what_a_receiver_needs() -> None:
    """Flux may find watches and annotate them, and do nothing else."""
    role, _ = load("manifests/samples/azure-monitor/flux-allows-watches/rbac.yaml")
    (rule,) = role["rules"]
    assert (rule["resources"], set(rule["verbs"])) == (["backupjobwatches"], {"get", "list", "patch"})
