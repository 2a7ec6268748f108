"""Every CRD field has a description, which `kubectl explain` and docs/api.md show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.property.oracles import object_schema

if TYPE_CHECKING:
    from collections.abc import Iterator


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path and the schema of each field of spec and status."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}{name}", field
        yield from fields(field.get("items", field), f"{path}{name}.")


FIELDS = {path: field for path, field in fields(object_schema()) if path.partition(".")[0] in ("spec", "status")}


@pytest.mark.parametrize("path", FIELDS)
def test_each_field_is_described(path: str) -> None:
    """Each field has a description that ends like a sentence."""
    assert FIELDS[path]["description"].strip().endswith((".", "…"))


def test_each_condition_is_described() -> None:
    """The description of the conditions lists each type."""
    types = ("Ready", "Succeeded", "Finished", "Complete", "Failed", "Reconciling", "Stalled", "AzureReachable")
    assert {each for each in types if each not in FIELDS["status.conditions"]["description"]} == set()
