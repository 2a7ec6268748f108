"""The manifest that `kubectl bjw create` writes, and the output formats of watches."""

from __future__ import annotations

import json

import pytest
import yaml

from backupjobwatch.kubectl.manifest import manifest, write
from backupjobwatch.kubectl.sources import Source
from tests.support.builders import JOB_ID, watch_body

SOURCE = Source(spec={"jobResourceId": JOB_ID})


def test_manifest() -> None:
    """A manifest has only the chosen fields. The CRD fills in the rest."""
    made = manifest(SOURCE, name=None, namespace=None, options={"identity": None, "pollInterval": "1m"})
    assert made == {
        "apiVersion": "azurebackup.dev/v1alpha1",
        "kind": "BackupJobWatch",
        "metadata": {"name": "abdemovault-7ddead57"},
        "spec": {"jobResourceId": JOB_ID, "pollInterval": "1m"},
    }


def test_named_manifest() -> None:
    """The manifest has the requested name and namespace."""
    made = manifest(SOURCE, name="nightly", namespace="payroll", options={})
    assert made["metadata"] == {"name": "nightly", "namespace": "payroll"}


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_write(form: str) -> None:
    """Objects are written without managed fields. A list of one object is a List, as in kubectl."""
    body = watch_body(managedFields=[{"manager": "x"}], labels={"stage": "Prüfung"})
    read = json.loads if form == "json" else yaml.safe_load
    single = read(write([body], form, as_list=False))
    assert single == {
        **body,
        "metadata": {name: body["metadata"][name] for name in body["metadata"] if name != "managedFields"},
    }
    assert read(write([body], form, as_list=True)) == {
        "apiVersion": "v1",
        "kind": "List",
        "metadata": {},
        "items": [single],
    }
    assert "Prüfung" in write([body], form, as_list=False)


def test_write_names() -> None:
    """Names are written as in kubectl, one per line."""
    assert write([watch_body(), watch_body(name="b")], "name", as_list=True) == (
        "backupjobwatch.azurebackup.dev/nightly\nbackupjobwatch.azurebackup.dev/b\n"
    )
