"""The sample gates stay closed on a stale status, and each watch times out before its tool."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import durationpy
import pytest

from backupjobwatch.constants import KIND, REQUESTED_AT
from tests.contract.project import load
from tests.contract.schema import field
from tests.support.samples import FILES, RUN_UID, every_object, name_of, objects, pick, sample, scripts, texts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.project import Manifest

WORKFLOW: Final = sample("argo-workflows/workflow.yaml")
GATE_STEPS: Final = {WORKFLOW: "wait-for-backup", sample("argo-workflows/on-demand.yaml"): "back-up"}
"""The Workflows, and the step of each that creates the watch."""
TASK: Final = sample("tekton/task.yaml")
PIPELINE_RUN: Final = sample("tekton/pipeline-run.yaml")
ON_DEMAND_RUN: Final = sample("tekton/on-demand.yaml")
SYNC_WAVE: Final = sample("argocd/sync-wave.yaml")
KUSTOMIZATIONS: Final = [sample("flux/kustomization-wait.yaml"), sample("flux/health-check-exprs.yaml")]
REQUESTING: Final = [
    path for path in FILES if any("onDemand" in each["spec"] for each in every_object(path) if each["kind"] == KIND)
]
"""The samples that take a backup."""


def watches(path: Path) -> list[Manifest]:
    """Return the watches of a sample, including embedded ones."""
    return [each for each in every_object(path) if each["kind"] == KIND]


def deadline(path: Path) -> int:
    """Return the deadline of a sample's only watch in seconds."""
    (watch,) = watches(path)
    seconds: int = watch["spec"]["activeDeadlineSeconds"]
    return seconds


def templates(path: Path = WORKFLOW) -> dict[str, dict[str, Any]]:
    """Return the templates of a Workflow by name."""
    return {each["name"]: each for each in pick(path, "Workflow")["spec"]["templates"]}


def seconds(duration: str) -> float:
    """Return the seconds of a Go duration."""
    parsed: float = durationpy.from_str(duration).total_seconds()
    return parsed


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_sample_waits_for_a_phase(path: Path) -> None:
    """No sample waits for a phase by JSONPath, because that would accept a stale status."""
    assert not [text for text in (*scripts(path), *texts(objects(path))) if "--for=jsonpath" in text]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_fields_exist(path: Path) -> None:
    """Every status field that a sample reads exists in the CRD."""
    text = path.read_text("utf-8")
    for name in re.findall(r"\b(status\.(?!webhookPath)\w+)", text):
        assert field(name), name


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_samples_have_no_dates(path: Path) -> None:
    """No sample contains a date, because ``startedAfter`` would be too old a month later."""
    assert re.findall(r"20\d\d-\d\d-\d\d", path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", REQUESTING, ids=name_of)
def test_backups_are_bounded(path: Path) -> None:
    """A sample that takes a backup sets a retention and a deadline, and has a new watch or a revision for each release."""
    (watch,) = watches(path)
    assert watch["spec"]["onDemand"].get("retainFor") == "30d"
    assert watch["spec"]["activeDeadlineSeconds"]
    assert "docs/on-demand.md" in path.read_text("utf-8")
    of_a_run = "generateName" in watch["metadata"] or watch["metadata"]["name"].endswith(RUN_UID)
    assert of_a_run != ("revision" in watch["spec"])


def test_each_tool_takes_a_backup() -> None:
    """A sample of each tool replaces the container with `az`."""
    tools = {name_of(path).rpartition("/")[0].partition("/")[0] for path in REQUESTING}
    assert tools == {"", "flux", "argocd", "argo-workflows", "tekton"}


# ── Flux ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_flux_waits_for_the_watch() -> None:
    """One Kustomization waits for the watch, and the other depends on it, with the same source."""
    gate, app = objects(KUSTOMIZATIONS[0])
    assert gate["spec"]["wait"] is True
    assert app["spec"]["dependsOn"] == [{"name": gate["metadata"]["name"]}]
    assert gate["spec"]["sourceRef"] == app["spec"]["sourceRef"]
    assert gate["spec"]["path"] != app["spec"]["path"]


def test_flux_has_the_rules_written_out() -> None:
    """The sample with expressions only adds expressions about watches."""
    gate, _ = objects(KUSTOMIZATIONS[0])
    (other,) = objects(KUSTOMIZATIONS[1])
    (rules,) = other["spec"].pop("healthCheckExprs")
    assert other == gate
    assert f"{rules['apiVersion']} {rules['kind']}" == "azurebackup.dev/v1alpha1 BackupJobWatch"
    assert not any("filter(" in each for each in texts(rules))


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=name_of)
def test_flux_waits_longer_than_the_watch(path: Path) -> None:
    """The Kustomization's timeout leaves the watch enough time to report that its deadline passed."""
    timeout = seconds(objects(path)[0]["spec"]["timeout"])
    assert timeout >= deadline(sample("flux/gate/before-upgrade.yaml")) + 300


@pytest.mark.parametrize("name", ["flux/revision/gate/before-upgrade.yaml", "flux/on-demand/before-upgrade.yaml"])
def test_flux_substitutes_the_revision(name: str) -> None:
    """Both Kustomizations substitute the same version, and the watch has a fixed name and the version in its revision."""
    gate, app = objects(sample("flux/revision/kustomizations.yaml"))
    (watch,) = watches(sample(name))
    assert gate["spec"]["postBuild"] == app["spec"]["postBuild"]
    (variable,) = gate["spec"]["postBuild"]["substitute"]
    assert f"${{{variable}}}" in watch["spec"]["revision"]
    assert "$" not in watch["metadata"]["name"]
    timeout = seconds(gate["spec"]["timeout"])
    assert timeout >= deadline(sample(name)) + 300
    others = [each["spec"] for each in objects(KUSTOMIZATIONS[0])]
    assert [{**each["spec"], "postBuild": None} for each in (gate, app)] == [
        {**each, "postBuild": None} for each in others
    ]


@pytest.mark.parametrize(
    "name", ["flux/revision/gate/before-upgrade.yaml", "argocd/revision.yaml", "helm/before-upgrade.yaml"]
)
def test_revisions_follow_new_jobs(name: str) -> None:
    """A watch with a revision uses ``latest``, because a named job has already ended for the next revision."""
    (watch,) = watches(sample(name))
    assert watch["spec"]["revision"]
    assert watch["spec"]["latest"].keys() == {"item"}


def test_a_recent_backup_or_the_next_one() -> None:
    """The watch waits for longer than the time in which a backup is recent, so that the next one can end."""
    (watch,) = watches(sample("recent.yaml"))
    within = seconds(watch["spec"]["latest"]["completedWithin"])
    assert watch["spec"]["activeDeadlineSeconds"] > within
    assert watch["spec"]["revision"]


def test_resource_set_depends_on_the_watch() -> None:
    """The ResourceSet requires an up-to-date status of the sample's watch, which is named after the new version."""
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
    """Each sync creates a new PreSync hook, and Argo CD deletes it when it succeeds."""
    (hook,) = watches(sample("argocd/pre-sync.yaml"))
    assert hook["metadata"].keys() == {"generateName", "annotations"}
    assert set(hook["metadata"]["annotations"].values()) == {"PreSync", "HookSucceeded"}


@pytest.mark.parametrize(
    "path", [SYNC_WAVE, sample("argocd/revision.yaml"), sample("argocd/on-demand.yaml")], ids=name_of
)
def test_argocd_wave_is_earlier(path: Path) -> None:
    """The watch has an earlier sync wave than the Deployment."""
    waves = [each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] for each in objects(path)]
    assert [each["kind"] for each in objects(path)] == [KIND, "Deployment"]
    assert all(int(before) < int(after) for before, after in pairwise(waves))


@pytest.mark.parametrize("path", GATE_STEPS, ids=name_of)
def test_workflow_waits_longer_than_the_watch(path: Path) -> None:
    """The Workflow step leaves the watch enough time to report that its deadline passed."""
    assert templates(path)[GATE_STEPS[path]]["activeDeadlineSeconds"] >= deadline(path) + 300


@pytest.mark.parametrize("path", GATE_STEPS, ids=name_of)
def test_workflow_conditions_are_safe(path: Path) -> None:
    """Each run creates a new watch, success requires generation 1, and no condition matches a missing value."""
    resource = templates(path)[GATE_STEPS[path]]["resource"]
    (watch,) = watches(path)
    assert resource["action"] == "create"
    assert "generateName" in watch["metadata"]
    wanted = {"status.phase == Succeeded", "status.observedGeneration == 1", "metadata.generation == 1"}
    assert set(resource["successCondition"].split(", ")) == wanted
    assert not re.search(r"!=|notin|!", resource["successCondition"] + resource["failureCondition"])


def test_workflow_outputs_have_defaults() -> None:
    """Each output of the step has a default for a missing status field."""
    outputs = templates()["wait-for-backup"]["outputs"]["parameters"]
    assert all("default" in each["valueFrom"] for each in outputs)


@pytest.mark.parametrize("path", GATE_STEPS, ids=name_of)
def test_workflow_steps_fit(path: Path) -> None:
    """Each step refers to a template and passes its parameters."""
    for (step,) in templates(path)["upgrade-after-backup"]["steps"]:
        taken = templates(path)[step["template"]].get("inputs", {}).get("parameters", [])
        given = step.get("arguments", {}).get("parameters", [])
        assert [each["name"] for each in given] == [each["name"] for each in taken]


def test_sensor_depends_on_the_event_source() -> None:
    """The Sensor depends on the source's event, which filters by an existing phase."""
    source = pick(sample("argo-events/event-source.yaml"), "EventSource")
    spec = pick(sample("argo-events/sensor.yaml"), "Sensor")["spec"]
    (dependency,) = spec["dependencies"]
    ((event, resource),) = source["spec"]["resource"].items()
    assert (dependency["eventSourceName"], dependency["eventName"]) == (source["metadata"]["name"], event)
    (selector,) = resource["filter"]["fields"]
    assert selector["value"] in field(selector["key"])["enum"]
    assert sum(selector["value"] in phase for phase in field(selector["key"])["enum"]) == 1  # a regular expression
    assert resource["eventTypes"] == ["UPDATE"]
    (trigger,) = spec["triggers"]
    (parameter,) = trigger["template"]["k8s"]["parameters"]
    assert parameter["src"] == {"dependencyName": dependency["name"], "dataKey": "body.metadata.uid"}


# ── Tekton, Azure Monitor ────────────────────────────────────────────────────────────────────────────────────────────


def test_tekton_waits_longer_than_the_watch() -> None:
    """The pipeline outlasts its Task, and the Task outlasts the watch's deadline."""
    spec = pick(PIPELINE_RUN, "PipelineRun")["spec"]
    (wait,) = (each for each in spec["pipelineSpec"]["tasks"] if each["name"] == "wait")
    timeout = {each["name"]: each["value"] for each in wait["params"]}["timeout"]
    assert seconds(wait["timeout"]) >= int(timeout) + 300
    assert seconds(spec["timeouts"]["pipeline"]) >= seconds(wait["timeout"]) + 3600  # time for the first Task


def test_tekton_on_demand_waits_longer_than_the_watch() -> None:
    """The pipeline outlasts its Task, which outlasts `kubectl wait`, which outlasts the watch's deadline."""
    spec = pick(ON_DEMAND_RUN, "PipelineRun")["spec"]
    back_up, upgrade = spec["pipelineSpec"]["tasks"]
    (waited,) = re.findall(r"--timeout=(\w+h\w*)", back_up["taskSpec"]["steps"][0]["script"])
    assert upgrade["runAfter"] == [back_up["name"]]
    assert seconds(waited) >= deadline(ON_DEMAND_RUN) + 300
    assert seconds(back_up["timeout"]) > seconds(waited)
    assert seconds(spec["timeouts"]["pipeline"]) >= seconds(back_up["timeout"]) + 3600  # time for the upgrade


def test_tekton_tasks_fit() -> None:
    """Each task of the run gets its declared parameters, and the wait uses the Task of the other sample."""
    task = pick(TASK, "Task")
    for each in pick(PIPELINE_RUN, "PipelineRun")["spec"]["pipelineSpec"]["tasks"]:
        spec = each.get("taskSpec", task["spec"])
        assert "taskSpec" in each or each["taskRef"]["name"] == task["metadata"]["name"]
        assert {given["name"] for given in each["params"]} == {taken["name"] for taken in spec["params"]}


def test_receiver_finds_the_watch() -> None:
    """The Receiver requests polls of the sample's watch by its label, with the operator's annotation."""
    path = sample("azure-monitor/receiver.yaml")
    (resource,) = pick(path, "Receiver")["spec"]["resources"]
    (watch,) = watches(path)
    assert resource["name"] == "*"
    assert resource["matchLabels"] == watch["metadata"]["labels"]
    assert REQUESTED_AT in path.read_text("utf-8")


def test_component_grants_what_a_receiver_needs() -> None:
    """Flux can list watches and annotate them, and nothing else."""
    role, _ = load("manifests/samples/azure-monitor/flux-allows-watches/rbac.yaml")
    (rule,) = role["rules"]
    assert (rule["resources"], set(rule["verbs"])) == (["backupjobwatches"], {"get", "list", "patch"})
