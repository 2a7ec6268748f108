"""
Generate docs/api.md from the CRD.

    python -m tests.documents.api            # write docs/api.md
    python -m tests.documents.api --check    # fail if docs/api.md is outdated
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
CRD: Final = ROOT / "crds" / "backupjobwatches.azurebackup.dev.yaml"
PAGE: Final = ROOT / "docs" / "api.md"
COMMAND: Final = "make api-reference"
INTRODUCTION: Final = """\
# API reference

This page lists every field of `{kind}` (`{group}/{version}`). `{command}` generates it from the CRD, and
`kubectl explain {short}.spec` prints the same descriptions.

The page [status.md](status.md) explains how the operator computes the status, and
[every-field.yaml](../manifests/samples/backupjobwatch-every-field.yaml) is a sample with every field of the spec.
`kubectl` accepts the names `{plural}`, `{singular}` and `{short}`.
"""

Schema = dict[str, Any]


def page(crd: Schema) -> str:
    """Return the text of docs/api.md."""
    spec = crd["spec"]
    (version,) = spec["versions"]
    names = spec["names"]
    schema = version["schema"]["openAPIV3Schema"]
    introduction = INTRODUCTION.format(
        kind=names["kind"],
        group=spec["group"],
        version=version["name"],
        command=COMMAND,
        short=names["shortNames"][0],
        plural=names["plural"],
        singular=names["singular"],
    )
    sections = [text for part in ("spec", "status") for text in objects(part, schema["properties"][part])]
    return "\n".join([introduction, *sections])


def objects(path: str, schema: Schema) -> Iterator[str]:
    """Yield a section for the object at *path*, and one for each nested object."""
    yield section(path, schema)
    for name, field in schema["properties"].items():
        inner = field.get("items", field)
        if "properties" in inner:
            yield from objects(f"{path}.{name}" + ("[]" if "items" in field else ""), inner)


def section(path: str, schema: Schema) -> str:
    """Return the table of an object's fields, and the validation rules that span several fields."""
    required = schema.get("required", ())
    lines = [f"## {path}", ""]
    if "description" in schema:
        lines += [schema["description"].strip(), ""]
    lines += ["| field | type | description |", "|---|---|---|"]
    lines += [row(name, field, required=name in required) for name, field in schema["properties"].items()]
    rules = [rule["message"] for rule in schema.get("x-kubernetes-validations", ())]
    if rules:
        lines += ["", "The API server refuses an object that breaks one of these rules:", ""]
        lines += [f"- `{' '.join(rule.split())}`" for rule in rules]
    return "\n".join([*lines, ""])


def row(name: str, field: Schema, *, required: bool) -> str:
    """Return the row of a field."""
    text = " ".join([*facts(field, required=required)])
    return f"| `{name}` | {type_of(field)} | {text} |".replace("  ", " ")


def type_of(field: Schema) -> str:
    """Return the type of a field, such as ``[]object`` or ``integer``."""
    if field["type"] == "array":
        return f"[]{type_of(field['items'])}"
    if "additionalProperties" in field:
        return f"map of {type_of(field['additionalProperties'])}"
    return "time" if field.get("format") == "date-time" else str(field["type"])


def facts(field: Schema, *, required: bool) -> Iterator[str]:
    """Yield the sentences about a field: its description, values, default and limits."""
    description = " ".join(field.get("description", "").split()).replace("|", "\\|")
    if required:
        yield "Required."
    if description:
        yield description if description.endswith((".", "?", "…")) else f"{description}."
    enum = field.get("enum", field.get("items", {}).get("enum"))
    if enum:
        yield "Values: {}.".format(", ".join(f"`{value}`" for value in enum))
    default = field.get("default")
    if default is not None and "Default:" not in description:
        yield f"Default: `{str(default).lower() if isinstance(default, bool) else default}`."
    if "minimum" in field and "maximum" in field and "Range:" not in description:
        yield f"Range: {field['minimum']} to {field['maximum']}."
    if "maxItems" in field and "At most" not in description:
        yield f"At most {field['maxItems']} items."


def main() -> int:
    """Write the page, or compare it with the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare the page instead of writing it")
    options = parser.parse_args()
    text = page(yaml.safe_load(CRD.read_text(encoding="utf-8")))
    if not options.check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        print(f'docs/api.md differs from the CRD: run "{COMMAND}"')
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
