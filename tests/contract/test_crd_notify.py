"""Compare ``spec.notify`` of the CRD with the code that reads it, without a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from backupjobwatch.domain.api import notify_spec
from backupjobwatch.domain.api.spec import target_digest
from tests.property.oracles import object_schema
from tests.support.builders import JOB_ID


def _notify() -> dict[str, Any]:
    schema = object_schema()["properties"]["spec"]["properties"]["notify"]
    assert isinstance(schema, dict)
    return schema


def test_receivers() -> None:
    """The CRD and the code have the same phases, Flux kinds and webhook formats."""
    entry = _notify()["items"]["properties"]

    assert entry["phases"]["items"]["enum"] == [*notify_spec.TELLING]
    assert entry["flux"]["properties"]["kind"]["enum"] == [*notify_spec.FLUX_GROUPS]
    assert entry["webhook"]["properties"]["format"]["enum"] == [*notify_spec.WebhookFormat]
    (notify,) = notify_spec.parse_notify({"notify": [{"name": "n", "webhook": {"url": "https://example.com"}}]})
    assert f"Default: {' and '.join(sorted(notify.phases, reverse=True))}." in entry["phases"]["description"]


OLD_DEFAULTS: dict[str, dict[str, Any]] = {
    "webhook": {"phases": ["Succeeded", "Failed"], "webhook": {"url": "https://example.com", "format": "Structured"}},
    "flux": {"phases": ["Succeeded", "Failed"], "flux": {"kind": "Kustomization", "name": "apps"}},
    "argocd": {"phases": ["Succeeded", "Failed"], "argocd": {"application": "apps", "refresh": "hard"}},
}
"""Entries that the API server stored when the CRD still had defaults inside ``spec.notify``."""


@pytest.mark.parametrize("kind", OLD_DEFAULTS)
def test_entries_stored_with_defaults(kind: str) -> None:
    """An entry stored with the former CRD defaults means the same as an entry without them."""
    old = {"name": "n", **OLD_DEFAULTS[kind]}
    new = {"name": "n", kind: {name: value for name, value in old[kind].items() if name not in ("format", "refresh")}}
    base = {"jobResourceId": JOB_ID}

    assert notify_spec.parse_notify({"notify": [old]}) == notify_spec.parse_notify({"notify": [new]})
    assert target_digest({**base, "notify": [old]}) == target_digest({**base, "notify": [new]}) == target_digest(base)
    properties = _notify()["items"]["properties"][kind]["properties"]
    for name, value in old[kind].items():
        if name not in new[kind]:
            assert f"Default: {value}." in properties[name]["description"]
