"""The API reference lists every field of the CRD, with its type, default, values and range."""

from __future__ import annotations

from typing import Any

import pytest

from tests.documents.api import PAGE, page, row

CRD: dict[str, Any] = {
    "spec": {
        "group": "example.org",
        "names": {"kind": "Thing", "plural": "things", "singular": "thing", "shortNames": ["th"]},
        "versions": [
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["name"],
                                "x-kubernetes-validations": [{"rule": "r", "message": "write a name"}],
                                "properties": {
                                    "name": {"type": "string"},
                                    "parts": {
                                        "type": "array",
                                        "items": {"type": "object", "properties": {"size": {"type": "integer"}}},
                                    },
                                },
                            },
                            "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
                        }
                    }
                },
            }
        ],
    }
}


def test_sections() -> None:
    """Each object has a section, including items of lists. The rules follow the fields."""
    text = page(CRD)
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## spec", "## spec.parts[]", "## status"]
    assert "| `name` | string | Required. |" in text
    assert "- `write a name`" in text


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({"type": "string", "description": "A | b"}, "| `f` | string | A \\| b. |"),
        ({"type": "string", "format": "date-time"}, "| `f` | time | |"),
        ({"type": "boolean", "default": False}, "| `f` | boolean | Default: `false`. |"),
        (
            {"type": "string", "default": "a", "description": "Text. Default: a."},
            "| `f` | string | Text. Default: a. |",
        ),
        ({"type": "integer", "minimum": 1, "maximum": 5}, "| `f` | integer | Range: 1 to 5. |"),
        ({"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}, "| `f` | []string | Values: `a`, `b`. |"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "| `f` | map of string | |"),
    ],
)
def test_rows(field: dict[str, Any], expected: str) -> None:
    """A row has the type, the description, and the constraints that the description does not mention."""
    assert row("f", field, required=False) == expected


def test_the_page_is_generated() -> None:
    """docs/api.md says how it is generated."""
    assert "make api-reference" in PAGE.read_text(encoding="utf-8")
