"""The CRD against the code that fills and reads it. Needs no cluster."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from backupjobwatch import constants
from backupjobwatch.core import jobs, verdict
from backupjobwatch.core.arm_ids import JobId, is_guid, is_resource_group, is_vault_name
from backupjobwatch.core.spec import POLL_INTERVALS, TARGET_DEFAULTS, parse_spec, target_digest
from backupjobwatch.core.watch import FINISHED_PHASES
from backupjobwatch.errors import AzureError, InvalidSpec
from tests.property.oracles import CRD, check_schema, crd, object_schema, status_schema
from tests.support.builders import CRD_DEFAULTS, JOB_ID, JOB_NAME, RESOURCE_GROUP, VAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STATUSES = sorted((CRD.parents[1] / "tests" / "data" / "status").glob("*.yaml"))


def _version() -> dict[str, Any]:
    (version,) = crd()["spec"]["versions"]
    assert isinstance(version, dict)
    return version


def _spec() -> dict[str, Any]:
    properties = object_schema()["properties"]["spec"]["properties"]
    assert isinstance(properties, dict)
    return properties


def _resolve(path: str) -> dict[str, Any]:
    """Return the schema that a simple JSONPath ends at."""
    if path == ".metadata.creationTimestamp":
        return {"type": "string", "format": "date-time"}
    schema = object_schema()
    for name in path.removeprefix(".").split("."):
        schema = schema["properties"][name]
    return schema


def _walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from _walk(each, f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if part in schema:
            yield from _walk(schema[part], f"{path}[]")


FIELDS = [*_walk(object_schema()["properties"]["spec"], "spec"), *_walk(status_schema(), "status")]
EACH_FIELD = pytest.mark.parametrize(("path", "schema"), FIELDS, ids=[path for path, _ in FIELDS])


def test_names() -> None:
    """The code calls the resource as the CRD does."""
    names = crd()["spec"]["names"]

    assert crd()["metadata"]["name"] == f"{constants.PLURAL}.{constants.GROUP}" == CRD.stem
    assert (crd()["spec"]["group"], _version()["name"]) == (constants.GROUP, constants.VERSION)
    assert (names["kind"], names["plural"]) == (constants.KIND, constants.PLURAL)
    assert (names["singular"], names["listKind"]) == (constants.KIND.lower(), f"{constants.KIND}List")
    assert (names["shortNames"], names["categories"]) == (["bjw"], ["azure", "backup"])
    assert f"{constants.GROUP}/{constants.VERSION}" == constants.API_VERSION
    assert crd()["spec"]["scope"] == "Namespaced"


def test_version() -> None:
    """The one version is served and stored, with a status of its own."""
    assert (_version()["served"], _version()["storage"]) == (True, True)
    assert _version()["subresources"] == {"status": {}}


def test_status_default() -> None:
    """An object that nobody has looked at is stale by its own status: no gate takes it for done."""
    assert status_schema()["default"] == {"observedGeneration": -1}


def test_selectable_field() -> None:
    """Watches can be selected by phase."""
    assert _version()["selectableFields"] == [{"jsonPath": ".status.phase"}]
    assert _resolve(".status.phase")["type"] == "string"


def test_columns() -> None:
    """``kubectl get`` prints these, and the others with ``-o wide``."""
    columns = _version()["additionalPrinterColumns"]

    assert [each["name"] for each in columns if not each.get("priority")] == [
        "Phase", "Operation", "Item", "Progress", "Duration", "Started", "Age",
    ]  # fmt: skip
    assert [each["name"] for each in columns if each.get("priority")] == [
        "Vault",
        "Azure-Status",
        "Job",
        "Reason",
        "Message",
    ]


@pytest.mark.parametrize("column", _version()["additionalPrinterColumns"], ids=lambda column: column["name"])
def test_column(column: dict[str, Any]) -> None:
    """Every column prints a field that there is, of its type."""
    schema = _resolve(column["jsonPath"])

    assert column["type"] == ("date" if schema.get("format") == "date-time" else schema["type"])


def test_defaults() -> None:
    """The CRD fills in what the code would take for granted."""
    defaults = {name: schema["default"] for name, schema in _spec().items() if "default" in schema}

    assert defaults == CRD_DEFAULTS
    assert {name: defaults[name] for name in TARGET_DEFAULTS} == dict(TARGET_DEFAULTS)
    assert parse_spec({"jobResourceId": JOB_ID}) == parse_spec({"jobResourceId": JOB_ID, **defaults})


def test_poll_intervals() -> None:
    """Every interval that the CRD allows is one that the code has a timer for, and the reverse."""
    assert _spec()["pollInterval"]["enum"] == [*POLL_INTERVALS]


def test_phases() -> None:
    """The set of phases is closed."""
    assert status_schema()["properties"]["phase"]["enum"] == [
        verdict.PENDING, verdict.RUNNING, verdict.SUCCEEDED, verdict.FAILED,
    ]  # fmt: skip
    assert {verdict.SUCCEEDED, verdict.FAILED} == FINISHED_PHASES


def test_target() -> None:
    """The fields that the CRD describes as part of the target are those whose edit changes the digest."""
    described = {name for name, schema in _spec().items() if "Part of the target" in schema["description"]}
    others = set(_spec()) - described
    base = {"jobResourceId": JOB_ID, **CRD_DEFAULTS}
    edits = {
        "activeDeadlineSeconds": 1,
        "graceSeconds": 1,
        "completedWithWarnings": "Succeeded",
        "pollInterval": "5m",
        "suspend": True,
    }
    moved = {name for name, value in edits.items() if target_digest({**base, name: value}) != target_digest(base)}

    assert described == moved | {"jobResourceId", "jobName", "vault"}
    assert others == {"pollInterval", "suspend"}


@pytest.mark.parametrize("name", ["activeDeadlineSeconds", "graceSeconds"])
def test_ranges(name: str) -> None:
    """The code takes whatever the CRD takes."""
    schema = _spec()[name]
    base = {"jobResourceId": JOB_ID}

    for value in (schema["minimum"], schema["default"], schema["maximum"]):
        parse_spec({**base, name: value})
    with pytest.raises(InvalidSpec):
        parse_spec({**base, name: schema["minimum"] - 1})


LIMITS = [
    ("status.message", jobs.TEXT),
    ("status.job.resourceId", jobs.LINE),
    *((f"status.job.{name}", jobs.WORD) for name in (
        "name", "vault", "type", "status", "operation", "backupManagementType", "workloadType", "entityFriendlyName",
        "activityId",
    )),
    ("status.extendedInfo.estimatedRemaining", jobs.STATUS_WORD),
    ("status.extendedInfo.dynamicErrorMessage", jobs.TEXT),
    ("status.extendedInfo.tasks", jobs.MAX_TASKS),
    ("status.extendedInfo.tasks[].taskId", jobs.WORD),
    ("status.extendedInfo.tasks[].status", jobs.STATUS_WORD),
    ("status.extendedInfo.properties", jobs.MAX_PROPERTIES),
    ("status.extendedInfo.properties[]", jobs.LINE),
    ("status.errors", jobs.MAX_ERRORS),
    ("status.errors[].code", jobs.WORD),
    ("status.errors[].title", jobs.WORD),
    ("status.errors[].message", jobs.TEXT),
    ("status.errors[].recommendations", jobs.MAX_RECOMMENDATIONS),
    ("status.errors[].recommendations[]", jobs.LINE),
    ("status.lastHandledReconcileAt", constants.MAX_REQUESTED_AT),
    ("status.conditions[].message", jobs.TEXT),
]  # fmt: skip


@pytest.mark.parametrize(("path", "limit"), LIMITS)
def test_limits(path: str, limit: int) -> None:
    """The code cuts at what the CRD has room for: a longer text or list would be refused, status and all."""
    schema = dict(FIELDS)[path]
    (bound,) = (schema[name] for name in ("maxLength", "maxItems", "maxProperties") if name in schema)

    assert bound == limit


@EACH_FIELD
def test_bounded(path: str, schema: dict[str, Any]) -> None:
    """Every string, list and map is bounded: the cost of the rules is reckoned from it, and etcd pays for the rest."""
    kind = schema["type"]

    if kind == "string":
        assert {"maxLength", "enum", "format"} & schema.keys()
    if kind == "array":
        assert "maxItems" in schema
    if "additionalProperties" in schema:
        assert "maxProperties" in schema


@EACH_FIELD
def test_rules_say_what_to_write(path: str, schema: dict[str, Any]) -> None:
    """A refusal says what to write instead, not what the rule is."""
    for rule in schema.get("x-kubernetes-validations", ()):
        assert rule["message"]
        assert "self" not in rule["message"]


@pytest.mark.parametrize("name", _spec())
def test_described(name: str) -> None:
    """``kubectl explain`` has something to say of every field of the spec."""
    assert _spec()[name]["description"].endswith(".")


def test_conditions_are_a_map() -> None:
    """Conditions are merged by type, as everybody's are."""
    schema = status_schema()["properties"]["conditions"]

    assert (schema["x-kubernetes-list-type"], schema["x-kubernetes-list-map-keys"]) == ("map", ["type"])
    assert {"type", "status", "reason", "message", "lastTransitionTime"} <= set(schema["items"]["required"])


def test_reasons() -> None:
    """Every reason in the code is one that the CRD takes."""
    schema = dict(FIELDS)["status.conditions[].reason"]
    kinds = [kind("x") for kind in AzureError.__subclasses__()]
    reasons = {*verdict._REASONS.values(), *(kind.reason for kind in kinds), *(kind.final_reason for kind in kinds)}

    assert all(re.fullmatch(schema["pattern"], reason) and len(reason) <= schema["maxLength"] for reason in reasons)


def _is_job_id(text: str) -> bool:
    try:
        JobId.parse(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("spec.jobResourceId", _is_job_id),
        ("spec.jobName", is_guid),
        ("spec.vault.subscriptionId", is_guid),
        ("spec.vault.resourceGroup", is_resource_group),
        ("spec.vault.name", is_vault_name),
    ],
)
def test_patterns(path: str, code: Callable[[str], bool]) -> None:
    """CRD and code take the same names for names."""
    (rule,) = dict(FIELDS)[path]["x-kubernetes-validations"]
    pattern = _as_python(rule["rule"])
    words = ["", "a", "ab", "1a", "a.", ".", "..", "a_b", "a(b)", "größe", "資源", "a" * 50, "a" * 51, "a" * 90, "½", "a b",
             "a/b", "a?b", "a#b", "a%2f", "a\\b", "a\n", JOB_NAME, JOB_NAME.upper(), f"{JOB_NAME}0"]  # fmt: skip
    texts = [*words, *(JOB_ID.replace(part, word) for part in (RESOURCE_GROUP, VAULT, JOB_NAME) for word in words)]
    texts += [JOB_ID.upper(), f"{JOB_ID}/", f"https://management.azure.com{JOB_ID}"]

    assert [text for text in texts if bool(pattern.search(text)) is not code(text)] == []


def _as_python(rule: str) -> re.Pattern[str]:
    r"""Return the one regular expression of a CEL rule, its \p classes written out and its $ as strict as RE2's."""
    match = re.fullmatch(r"self\.matches\('(.+)'\)", rule.strip())
    assert match is not None
    text = match[1].replace("\\\\", "\\").replace(r"\p{L}\p{Nd}", _letters_and_digits())
    return re.compile(text.removesuffix("$") + r"\Z")


@cache
def _letters_and_digits() -> str:
    def is_in(code: int) -> bool:
        return unicodedata.category(chr(code)) in {"Lu", "Ll", "Lt", "Lm", "Lo", "Nd"}

    starts = [code for code in range(1, sys.maxunicode) if is_in(code) and not is_in(code - 1)]
    ends = [code for code in range(1, sys.maxunicode) if is_in(code) and not is_in(code + 1)]
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))


@pytest.mark.parametrize("path", STATUSES, ids=[path.stem for path in STATUSES])
def test_examples(path: Any) -> None:
    """The example statuses are what the CRD takes, whole."""
    check_schema(yaml.safe_load(path.read_text(encoding="utf-8")))
