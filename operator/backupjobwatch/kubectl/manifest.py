"""Builds the BackupJobWatch that ``kubectl bjw create`` creates, and formats watches as kubectl does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import yaml

from backupjobwatch.constants import API_VERSION, GROUP, KIND
from backupjobwatch.domain.jobs.payloads import mapping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backupjobwatch.kubectl.sources import Source

FORMATS: Final = ("json", "yaml", "name")


def manifest(source: Source, *, name: str | None, namespace: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a watch of *source*. *options* are further fields of its spec; None omits a field."""
    metadata = {"name": name or source.name, **({"namespace": namespace} if namespace else {})}
    chosen = {field: value for field, value in options.items() if value is not None}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": {**source.spec, **chosen}}


def called(name: str) -> str:
    """Return kubectl's name of the object: ``backupjobwatch.azurebackup.dev/nightly``."""
    return f"{KIND.lower()}.{GROUP}/{name}"


def write(bodies: Sequence[Mapping[str, Any]], form: str, *, as_list: bool) -> str:
    """Format watches as one of FORMATS. JSON and YAML hold one object, or one List if *as_list*."""
    shown = [_without_managed_fields(body) for body in bodies]
    if form == "name":
        return "".join(f"{called(body['metadata']['name'])}\n" for body in shown)
    value: Any = {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": shown} if as_list else shown[0]
    if form == "json":
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120))


def _without_managed_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object as kubectl shows it. Items of a list have no version and no kind of their own."""
    metadata = {name: value for name, value in mapping(body.get("metadata")).items() if name != "managedFields"}
    return {"apiVersion": API_VERSION, "kind": KIND, **body, "metadata": metadata}
