"""Invariants of every status: the CRD's schema, the size limit and the valid combinations of conditions."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import jsonschema

from tests.support.builders import standing
from tests.support.documents import load_document

if TYPE_CHECKING:
    from collections.abc import Iterator

CRD: Final = Path(__file__).parents[2] / "crds" / "backupjobwatches.azurebackup.dev.yaml"
MAX_WIRE_BYTES: Final = 64 * 1024

ROWS: Final[dict[str, list[dict[str, str]]]] = {
    "Succeeded": [{"Ready": "True", "Succeeded": "True", "Finished": "True", "Complete": "True"}],
    "Failed": [{"Ready": "False", "Succeeded": "False", "Finished": "True", "Failed": "True", "Stalled": "True"}],
}
_SUSPENDED: Final = {"Ready": "Unknown", "Succeeded": "Unknown", "Finished": "False"}
_GOING: Final = {**_SUSPENDED, "Reconciling": "True"}


@cache
def crd() -> dict[str, Any]:
    """Load the CRD."""
    return cast("dict[str, Any]", load_document(CRD.read_text(encoding="utf-8")))


def object_schema() -> dict[str, Any]:
    """Return the schema of the whole object."""
    (version,) = crd()["spec"]["versions"]
    return cast("dict[str, Any]", version["schema"]["openAPIV3Schema"])


def status_schema() -> dict[str, Any]:
    """Return the schema of the status."""
    return cast("dict[str, Any]", object_schema()["properties"]["status"])


def walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield *schema* and all nested schemas, each with its path."""
    yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from walk(each, f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if part in schema:
            yield from walk(schema[part], f"{path}[]")


@cache
def _validator() -> jsonschema.Draft202012Validator:
    formats = jsonschema.FormatChecker(formats=())

    @formats.checks("date-time", raises=ValueError)
    def is_time(value: object) -> bool:
        """Return whether *value* is not a string or is a time in RFC 3339, in UTC with whole seconds."""
        return not isinstance(value, str) or datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").year > 0  # noqa: DTZ007

    return jsonschema.Draft202012Validator(closed(status_schema()), format_checker=formats)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return *schema* as JSON Schema without additional fields, which the API server would drop silently."""
    result: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "properties":
            result[name] = {field: closed(each) for field, each in value.items()}
            result["additionalProperties"] = False
        elif isinstance(value, dict) and name in ("items", "additionalProperties"):
            result[name] = closed(value)
        elif not name.startswith("x-kubernetes-"):
            result[name] = value
    return result


def wire_size(status: dict[str, Any]) -> int:
    """Return the size of *status* in bytes as Go's encoding/json writes it, with its escapes."""
    text = json.dumps(status, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    escaped = 5 * sum(text.count(character) for character in "<>&")
    return len(text.encode()) + escaped + 3 * sum(text.count(character) for character in "\u2028\u2029")


def check_schema(status: dict[str, Any]) -> None:
    """Assert that the API server accepts *status* without dropping fields."""
    _validator().validate(status)
    assert wire_size(status) <= MAX_WIRE_BYTES


def check_status(body: dict[str, Any]) -> None:
    """Assert that the status of *body* is valid, bounded and current, with conditions that the contract allows."""
    status = body["status"]
    check_schema(status)
    phase = status["phase"]
    stands = {kind: value for kind, value in standing(status).items() if kind != "AzureReachable"}
    rows = ROWS.get(phase) or [_SUSPENDED if status["reason"] == "Suspended" else _GOING]
    assert stands in rows, f"conditions of {phase}: {stands}"
    assert len(status["conditions"]) == len(stands) + 1
    assert not {"Reconciling", "Stalled"} <= stands.keys()
    generation = body["metadata"]["generation"]
    assert {status["observedGeneration"], *(each["observedGeneration"] for each in status["conditions"])} == {
        generation
    }
    assert ("completionTime" in status) is (phase in ROWS)
