"""Compare the CRD with the code that reads and writes it, without a cluster."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, get_args, get_type_hints

import pytest

from backupjobwatch import constants
from backupjobwatch.domain.api import notify_spec
from backupjobwatch.domain.api.snapshot import FINISHED_PHASES
from backupjobwatch.domain.api.spec import LONGEST_REVISION, POLL_INTERVALS, TARGET_DEFAULTS, parse_spec, target_digest
from backupjobwatch.domain.api.target import SOURCES
from backupjobwatch.domain.jobs import findings, payloads
from backupjobwatch.domain.jobs import job as jobs
from backupjobwatch.domain.jobs.resource_ids import VaultKind
from backupjobwatch.domain.status import notifications, verdict
from backupjobwatch.errors import InvalidSpec
from tests.property.oracles import CRD, crd, object_schema, status_schema, walk
from tests.support.azure_errors import KINDS
from tests.support.builders import CRD_DEFAULTS, JOB_ID, JOB_NAME, VAULT_REF

BY_NAME = {"jobName": JOB_NAME, "vault": VAULT_REF}
LATEST = {"item": "vm1"}


def _version() -> dict[str, Any]:
    (version,) = crd()["spec"]["versions"]
    assert isinstance(version, dict)
    return version


def _spec() -> dict[str, Any]:
    properties = object_schema()["properties"]["spec"]["properties"]
    assert isinstance(properties, dict)
    return properties


def _resolve(path: str) -> dict[str, Any]:
    """Return the schema at a simple JSONPath or a condition JSONPath."""
    if path == ".metadata.creationTimestamp":
        return {"type": "string", "format": "date-time"}
    schema = object_schema()
    for name in path.replace('[?(@.type=="Ready")]', ".items").removeprefix(".").split("."):
        schema = schema["items"] if name == "items" else schema["properties"][name]
    return schema


FIELDS = [*walk(object_schema()["properties"]["spec"], "spec"), *walk(status_schema(), "status")]
EACH_FIELD = pytest.mark.parametrize(("path", "schema"), FIELDS, ids=[path for path, _ in FIELDS])


def test_names() -> None:
    """The code and the CRD use the same resource names."""
    names = crd()["spec"]["names"]

    assert crd()["metadata"]["name"] == f"{constants.PLURAL}.{constants.GROUP}" == CRD.stem
    assert (crd()["spec"]["group"], _version()["name"]) == (constants.GROUP, constants.VERSION)
    assert (names["kind"], names["plural"]) == (constants.KIND, constants.PLURAL)
    assert (names["singular"], names["listKind"]) == (constants.KIND.lower(), f"{constants.KIND}List")
    assert (names["shortNames"], names.get("categories", [])) == (["bjw"], [])
    assert f"{constants.GROUP}/{constants.VERSION}" == constants.API_VERSION
    assert crd()["spec"]["scope"] == "Namespaced"


def test_version() -> None:
    """The CRD has one version, which is served and stored, with a status subresource."""
    assert (_version()["served"], _version()["storage"]) == (True, True)
    assert _version()["subresources"] == {"status": {}}


def test_status_default() -> None:
    """A missing or empty status, or one without observedGeneration, is outdated and opens no gate."""
    assert status_schema()["default"] == {"observedGeneration": -1}
    assert status_schema()["properties"]["observedGeneration"]["default"] == -1


def test_no_default_inside_a_list() -> None:
    """List items have no defaults: JSON merge patch compares whole lists, so every apply would report a change."""
    inside = [path for path, schema in FIELDS if "[]" in path and "default" in schema]

    assert inside == []


def test_selectable_field() -> None:
    """``status.phase`` is a selectable field."""
    assert _version()["selectableFields"] == [{"jsonPath": ".status.phase"}]
    assert _resolve(".status.phase")["type"] == "string"


def test_columns() -> None:
    """``kubectl get`` prints these columns, and the remaining ones with ``-o wide``."""
    columns = _version()["additionalPrinterColumns"]

    assert [each["name"] for each in columns if not each.get("priority")] == [
        "Ready", "Phase", "Reason", "Operation", "Item", "Progress", "Duration", "Age",
    ]  # fmt: skip
    assert [each["name"] for each in columns if each.get("priority")] == [
        "Started", "Vault", "Azure-Status", "Job", "Message",
    ]  # fmt: skip


@pytest.mark.parametrize("column", _version()["additionalPrinterColumns"], ids=lambda column: column["name"])
def test_column(column: dict[str, Any]) -> None:
    """Every column prints an existing field with a matching type."""
    schema = _resolve(column["jsonPath"])

    assert column["type"] == ("date" if schema.get("format") == "date-time" else schema["type"])


def test_defaults() -> None:
    """The CRD sets the defaults that the code assumes."""
    defaults = {name: schema["default"] for name, schema in _spec().items() if "default" in schema}

    assert defaults == CRD_DEFAULTS
    assert {name: defaults[name] for name in TARGET_DEFAULTS} == dict(TARGET_DEFAULTS)
    assert parse_spec({"jobResourceId": JOB_ID}) == parse_spec({"jobResourceId": JOB_ID, **defaults})


def test_poll_intervals() -> None:
    """The CRD and the code allow the same intervals."""
    assert _spec()["pollInterval"]["enum"] == [*POLL_INTERVALS]


def test_phases() -> None:
    """The CRD allows only the phases of the code."""
    assert status_schema()["properties"]["phase"]["enum"] == [
        verdict.PENDING, verdict.RUNNING, verdict.SUCCEEDED, verdict.FAILED,
    ]  # fmt: skip
    assert {verdict.SUCCEEDED, verdict.FAILED} == FINISHED_PHASES


def test_target() -> None:
    """Only edits to the fields that the CRD describes as part of the target change the digest."""
    described = {name for name, schema in _spec().items() if "Part of the target" in schema["description"]}
    others = set(_spec()) - described
    base = {"jobResourceId": JOB_ID, **CRD_DEFAULTS}
    edits = {
        "activeDeadlineSeconds": 1,
        "graceSeconds": 1,
        "completedWithWarnings": "Succeeded",
        "pollInterval": "5m",
        "suspend": True,
        "identity": {"secretName": "x"},
        "revision": "v1",
        "ttlSecondsAfterFinished": 60,
        "notify": [{"name": "n", "webhook": {"url": "https://example.com"}}],
    }
    moved = {name for name, value in edits.items() if target_digest({**base, name: value}) != target_digest(base)}

    assert described == moved | {*SOURCES, "vault"}
    assert others == {"pollInterval", "suspend", "ttlSecondsAfterFinished", "notify"}


@pytest.mark.parametrize("name", ["activeDeadlineSeconds", "graceSeconds"])
def test_ranges(name: str) -> None:
    """The code accepts everything that the CRD accepts."""
    schema = _spec()[name]
    base = {"jobResourceId": JOB_ID}

    for value in (schema["minimum"], schema["default"], schema["maximum"]):
        parse_spec({**base, name: value})
    with pytest.raises(InvalidSpec):
        parse_spec({**base, name: schema["minimum"] - 1})


LIMITS = [
    ("status.message", payloads.TEXT),
    ("status.job.resourceId", payloads.LINE),
    *((f"status.job.{name}", payloads.WORD) for name in (
        "name", "vault", "type", "status", "operation", "backupManagementType", "workloadType", "entityFriendlyName",
        "activityId",
    )),
    ("status.extendedInfo.estimatedRemaining", payloads.STATUS_WORD),
    ("status.extendedInfo.dynamicErrorMessage", payloads.TEXT),
    ("status.extendedInfo.tasks", jobs.MAX_TASKS),
    ("status.extendedInfo.tasks[].taskId", payloads.WORD),
    ("status.extendedInfo.tasks[].status", payloads.STATUS_WORD),
    ("status.extendedInfo.properties", jobs.MAX_PROPERTIES),
    ("status.extendedInfo.properties[]", payloads.LINE),
    *((f"status.{kind}{path}", limit) for kind in ("errors", "warnings") for path, limit in (
        ("", jobs.MAX_ERRORS),
        *((f"[].{name}", payloads.WORD) for name in ("code", "title", "target")),
        *((f"[].{name}", payloads.TEXT) for name in ("message", "cause")),
        ("[].recommendations", jobs.MAX_RECOMMENDATIONS),
        ("[].recommendations[]", payloads.LINE),
    )),
    ("status.jobs", findings.MAX_JOBS),
    *((f"status.jobs[].{name}", payloads.WORD) for name in (
        "name", "status", "operation", "entityFriendlyName", "errorCode",
    )),
    ("status.extendedInfo.sourceRecoveryPoint.id", payloads.WORD),
    ("status.extendedInfo.targetRecoveryPoint.id", payloads.WORD),
    ("spec.revision", LONGEST_REVISION),
    ("status.revision", LONGEST_REVISION),
    ("spec.notify", notify_spec.MAX_ENTRIES),
    ("status.notifications", notify_spec.MAX_ENTRIES),
    ("status.notifications[].message", notifications.MESSAGE),
    ("status.lastHandledReconcileAt", constants.MAX_REQUESTED_AT),
    ("status.conditions[].message", payloads.TEXT),
]  # fmt: skip


@pytest.mark.parametrize(("path", "limit"), LIMITS)
def test_limits(path: str, limit: int) -> None:
    """The code truncates strings and lists to the CRD's limits. Otherwise the API server would refuse the status."""
    schema = dict(FIELDS)[path]
    (bound,) = (schema[name] for name in ("maxLength", "maxItems", "maxProperties") if name in schema)

    assert bound == limit


@EACH_FIELD
def test_bounded(path: str, schema: dict[str, Any]) -> None:
    """Every string, list and map has a limit, because CEL cost estimates and etcd storage depend on it."""
    kind = schema["type"]

    if kind == "string":
        assert {"maxLength", "enum", "format"} & schema.keys()
    if kind == "array":
        assert "maxItems" in schema
    if "additionalProperties" in schema:
        assert "maxProperties" in schema


@EACH_FIELD
def test_rules_say_what_to_write(path: str, schema: dict[str, Any]) -> None:
    """A validation message says what to write instead of repeating the rule."""
    for rule in schema.get("x-kubernetes-validations", ()):
        assert rule["message"]
        assert "self" not in rule["message"]


@pytest.mark.parametrize("name", _spec())
def test_described(name: str) -> None:
    """``kubectl explain`` describes every field of the spec."""
    assert _spec()[name]["description"].endswith(".")


def test_conditions_are_a_map() -> None:
    """Server-side apply merges conditions by type."""
    schema = status_schema()["properties"]["conditions"]

    assert (schema["x-kubernetes-list-type"], schema["x-kubernetes-list-map-keys"]) == ("map", ["type"])
    assert {"type", "status", "reason", "message", "lastTransitionTime"} <= set(schema["items"]["required"])


def test_reasons() -> None:
    """The CRD accepts every reason in the code."""
    schema = dict(FIELDS)["status.conditions[].reason"]
    kinds = [kind("x") for kind in KINDS]
    waiting = get_args(get_type_hints(findings.Waiting, localns={"datetime": datetime})["reason"])
    failed = get_args(get_type_hints(findings.RequestFailure)["reason"])
    reasons = {
        *waiting,
        *failed,
        "OperationFailed",
        "DeadlineExceeded",
        *verdict._REASONS.values(),
        *(kind.reason for kind in kinds),
        *(kind.final_reason for kind in kinds),
    }

    assert all(re.fullmatch(schema["pattern"], reason) and len(reason) <= schema["maxLength"] for reason in reasons)


def _nested_defaults() -> dict[str, dict[str, Any]]:
    parts = {name: schema.get("properties", {}) for name, schema in _spec().items()}
    found = {
        name: {part: each["default"] for part, each in properties.items() if "default" in each}
        for name, properties in parts.items()
    }
    return {name: defaults for name, defaults in found.items() if defaults}


@pytest.mark.parametrize(
    ("name", "spec"), [("vault", BY_NAME), ("latest", {**BY_NAME, "jobName": None, "latest": LATEST})]
)
def test_nested_defaults(name: str, spec: dict[str, Any]) -> None:
    """The CRD and the code have the same defaults in vault and latest, so defaulting restarts no watch."""
    assert _nested_defaults() == {"vault": {"kind": "RecoveryServices"}, "latest": {"operation": "Backup"}}
    written = {**spec, name: {**spec[name], **_nested_defaults()[name]}}

    assert parse_spec(written) == parse_spec(spec)
    assert target_digest(written) == target_digest(spec)


def test_sources() -> None:
    """The one-of rule of the CRD covers the fields that select a job in the code."""
    rule = object_schema()["properties"]["spec"]["x-kubernetes-validations"][0]["rule"]

    assert tuple(re.findall(r"has\(self\.(\w+)\)", rule)) == SOURCES


def test_kinds() -> None:
    """The CRD and the code know the same kinds of vault."""
    assert _spec()["vault"]["properties"]["kind"]["enum"] == [kind.value for kind in VaultKind]
