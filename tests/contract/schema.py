"""Read the CRD's schema and validate against it."""

from __future__ import annotations

from typing import Any

from backupjobwatch.constants import GROUP, PLURAL
from tests.contract.project import load

Schema = dict[str, Any]


def crd_schema() -> Schema:
    """Return the schema of a watch."""
    (crd,) = load(f"crds/{PLURAL}.{GROUP}.yaml")
    (version,) = crd["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    return schema


def spec_schema() -> Schema:
    """Return the schema of ``spec``, which refuses unknown fields as kubectl does."""
    return closed(crd_schema()["properties"]["spec"])


def closed(schema: Schema) -> Schema:
    """Return a copy of *schema* that refuses unknown fields."""
    if "properties" not in schema:
        return schema
    properties = {name: closed(value) for name, value in schema["properties"].items()}
    return {**schema, "properties": properties, "additionalProperties": False}


def field(path: str) -> Schema:
    """Return the schema of a dotted field path such as ``status.phase``, or raise KeyError."""
    schema = crd_schema()
    for name in path.split("."):
        schema = schema["properties"][name]
    return schema
