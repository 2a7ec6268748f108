"""Applying the same manifest again changes nothing. Otherwise GitOps tools would report permanent drift."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from backupjobwatch.constants import KIND
from tests.contract.project import ROOT
from tests.support.builders import JOB_ID
from tests.support.samples import FILES, every_object, name_of

if TYPE_CHECKING:
    from demo.controlplane import Kubectl
    from tests.support.operator_process import Operators

Manifest = dict[str, Any]

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
APPLY: Final = {"client": ("apply",), "server": ("apply", "--server-side")}
DEMO: Final = ROOT / "demo" / "watches.yaml"
WATCHES: Final[dict[str, list[Manifest]]] = {
    name: [each for each in found if each["kind"] == KIND]
    for name, found in [
        *((name_of(path), list(every_object(path))) for path in FILES),
        ("demo", list(yaml.safe_load_all(DEMO.read_text("utf-8")))),
    ]
}
SHORTHANDS: Final[dict[str, Manifest]] = {
    "notify-defaults": {
        "notify": [
            {"name": "hook", "webhook": {"url": "https://hooks.example.com"}},
            {"name": "secret", "webhook": {"secretName": "hook"}, "phases": ["Running"]},
            {"name": "flux", "flux": {"kind": "Kustomization", "name": "apps"}},
            {"name": "argocd", "argocd": {"application": "apps"}},
        ]
    },
    "notify-empty": {"notify": []},
    "null-fields": {"suspend": None, "notify": None, "identity": None},
    "numbers": {"activeDeadlineSeconds": 3600, "graceSeconds": 0, "ttlSecondsAfterFinished": 0},
}


def samples() -> list[Manifest]:
    """Return all watches, each with a unique name in place of `generateName`."""
    found = []
    for sample, bodies in WATCHES.items():
        for number, body in enumerate(bodies):
            metadata = {
                name: value for name, value in body["metadata"].items() if name not in ("namespace", "generateName")
            }
            name = re.sub(r"[^a-z0-9]+", "-", f"{sample}-{number}".lower())
            found.append({**body, "metadata": {**metadata, "name": name}})
    return found


def three_way_patch(last: Any, wanted: Any, live: Any) -> Any:
    """Return the JSON merge patch of a three-way merge, as kubectl and Argo CD compute it for a custom resource."""
    patch = {name: None for name in last if name not in wanted and name in live}
    for name, value in wanted.items():
        if value is None:
            continue  # kubectl and the API server drop null values
        if isinstance(value, dict) and isinstance(live.get(name), dict):
            inner = three_way_patch(last.get(name) or {}, value, live[name])
            if inner:
                patch[name] = inner
        elif live.get(name) != value:
            patch[name] = value
    return patch


def objects_of(kubectl: Kubectl, namespace: str) -> list[Manifest]:
    """Return the watches of a namespace, with their field managers."""
    listed = kubectl("get", "bjw", "-n", namespace, "-o", "json", "--show-managed-fields").stdout
    items: list[Manifest] = json.loads(listed)["items"]
    return items


def assert_stays(kubectl: Kubectl, namespace: str, text: str, apply: str) -> None:
    """Apply three times, and prove that only the first time changes an object."""
    command = (*APPLY[apply], "-n", namespace, "-f", "-")
    kubectl(*command, stdin=text)
    first = objects_of(kubectl, namespace)
    said = kubectl(*command, stdin=text).stdout.splitlines()
    second = objects_of(kubectl, namespace)
    said += kubectl(*command, stdin=text).stdout.splitlines()
    assert objects_of(kubectl, namespace) == second
    assert apply == "server" or all(line.endswith(" unchanged") for line in said), said
    for before, after in zip(first, second, strict=True):
        if apply == "server":
            # The API server stores a new object without the status default. The first update of any kind adds it.
            after["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
        assert after == before
    diff = kubectl("diff", *APPLY[apply][1:], "-n", namespace, "-f", "-", stdin=text, ok=False)
    assert (diff.returncode, diff.stdout) == (0, ""), diff.stdout + diff.stderr


@pytest.fixture(autouse=True)
def _without_an_operator(operators: Operators) -> None:
    """Stop the shared operator, because it would write statuses."""
    operators.stop()


@pytest.mark.parametrize("apply", APPLY)
def test_samples(kubectl: Kubectl, namespace: str, apply: str) -> None:
    """Applying the watches of the samples and the demo again changes nothing, embedded watches included."""
    assert_stays(kubectl, namespace, yaml.safe_dump_all(samples()), apply)


@pytest.mark.parametrize("apply", APPLY)
def test_defaults(kubectl: Kubectl, namespace: str, apply: str) -> None:
    """Applying a watch that omits fields with defaults again changes nothing."""
    bodies = {
        name: {
            "apiVersion": "azurebackup.dev/v1alpha1",
            "kind": KIND,
            "metadata": {"name": name},
            "spec": {"jobResourceId": JOB_ID, **spec},
        }
        for name, spec in SHORTHANDS.items()
        if (name, apply) != ("null-fields", "server")  # the API server refuses null in a server-side apply
    }
    assert_stays(kubectl, namespace, yaml.safe_dump_all(bodies.values()), apply)
    for live in objects_of(kubectl, namespace) if apply == "client" else []:
        last = json.loads(live["metadata"]["annotations"][LAST_APPLIED])
        wanted = bodies[live["metadata"]["name"]]["spec"]
        assert three_way_patch(last["spec"], wanted, live["spec"]) == {}
