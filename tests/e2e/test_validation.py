"""The API server refuses specs that the operator cannot use, and says what to write instead."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.api.spec import TARGET_DEFAULTS, parse_spec
from backupjobwatch.errors import InvalidSpec
from tests.support import latest_specs, notify_specs, on_demand_specs
from tests.support.kubernetes_client import path_of
from tests.support.specs import BAD, GOOD, ID, VAULT, Bad
from tests.support.watches import manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from demo.controlplane import Kubectl
    from tests.support.kubernetes_client import Answer, KubernetesClient

DEFAULTS = {**TARGET_DEFAULTS, "pollInterval": "30s", "suspend": False}
ALL_GOOD = {**GOOD, **latest_specs.GOOD, **notify_specs.GOOD, **on_demand_specs.GOOD}
TROUBLESHOOTING = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
DEMO = Path(__file__).parents[2] / "demo"


@pytest.fixture(scope="module")
def unfollowed(cluster: object, client: KubernetesClient) -> str:
    """A namespace for dry runs, which store no watches."""
    return "default"


def create(client: KubernetesClient, namespace: str, body: Any) -> Answer:
    """Create a watch in a dry run, with strict validation as in kubectl."""
    return client("POST", path_of(namespace), body, dryRun="All", fieldValidation="Strict")


def create_all(client: KubernetesClient, namespace: str, specs: Iterable[Mapping[str, Any]]) -> list[Answer]:
    """Create many watches concurrently in dry runs. One test per spec would take longer."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(lambda spec: create(client, namespace, manifest("w", spec)), specs))


def judge_bad(bad: Bad, answer: Answer) -> str:
    """Return what is wrong with the response to a bad spec, or an empty string."""
    message = answer.body.get("message", "")
    if answer.status not in (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_REQUEST):
        return f"the API server answered {answer.status}: {message}"
    if f"{bad.path}: " not in message and f'"{bad.path}"' not in message:
        return f"{bad.path} is not in {message}"
    if bad.words not in message:
        return f"{bad.words} is not in {message}"
    try:
        parse_spec({**DEFAULTS, **bad.spec})
    except InvalidSpec as refused:
        same = str(refused).partition(": ")[0].startswith(bad.path)
        return "" if same or not bad.read else f"the operator says instead: {refused}"
    return "the operator accepts it" if bad.read else ""


def test_bad(client: KubernetesClient, unfollowed: str) -> None:
    """The API server refuses each bad spec, names the field and says what to write. The operator agrees."""
    cases = [*BAD, *latest_specs.BAD, *notify_specs.BAD, *on_demand_specs.BAD]
    answers = create_all(client, unfollowed, [bad.spec for bad in cases])
    faults = {bad.name: judge_bad(bad, answer) for bad, answer in zip(cases, answers, strict=True)}
    assert {name: fault for name, fault in faults.items() if fault} == {}


def judge_good(spec: Mapping[str, Any], answer: Answer) -> str:
    """Return what is wrong with the response to a good spec, or an empty string."""
    if answer.status != HTTPStatus.CREATED:
        return f"the API server answered {answer.status}: {answer.body.get('message')}"
    filled_in = {**DEFAULTS, **spec}
    if "vault" in filled_in:
        filled_in["vault"] = {"kind": "RecoveryServices", **filled_in["vault"]}
    if answer.body["spec"] != filled_in:
        return f"{answer.body['spec']} is not {filled_in}"
    try:
        parse_spec(answer.body["spec"])
    except InvalidSpec as refused:
        return f"the operator refuses it: {refused}"
    return ""


def test_good(client: KubernetesClient, unfollowed: str) -> None:
    """The API server accepts each good spec, adds defaults, and the operator can parse the result."""
    answers = create_all(client, unfollowed, ALL_GOOD.values())
    faults = {name: judge_good(ALL_GOOD[name], answer) for name, answer in zip(ALL_GOOD, answers, strict=True)}
    assert {name: fault for name, fault in faults.items() if fault} == {}


@pytest.mark.parametrize(
    ("also", "hides"),
    [({"pollInterval": "15s"}, True), ({"suspend": "yes"}, True), ({"graceSeconds": -1}, False)],
    ids=["a choice", "a type", "a bound"],
)
def test_two_rounds(client: KubernetesClient, unfollowed: str, also: dict[str, Any], *, hides: bool) -> None:
    """If an error hides the errors of other rules, the API server says so as documented."""
    answer = create(client, unfollowed, manifest("w", {"jobName": "nightly", "vault": VAULT, **also}))
    assert f"spec.{next(iter(also))}: " in answer.body["message"]
    assert ("must be the job's GUID" in answer.body["message"]) is not hides
    (said,) = re.findall(r"^ {4}(<nil>: .*)$", TROUBLESHOOTING.read_text(encoding="utf-8"), re.MULTILINE)
    assert (said in answer.body["message"]) is hides


def test_no_spec(client: KubernetesClient, unfollowed: str) -> None:
    """The API server refuses a watch without a spec."""
    body = manifest("w", {})
    del body["spec"]
    answer = create(client, unfollowed, body)
    assert answer.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "spec: Required value" in answer.body["message"]


def test_status_in_a_manifest(client: KubernetesClient, unfollowed: str) -> None:
    """The API server drops the status in a manifest, so it opens no gate."""
    forged = {"phase": "Succeeded", "observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}
    body = {**manifest("w", {"jobResourceId": ID}), "status": forged}
    answer = client("POST", path_of(unfollowed), body, dryRun="All")
    assert answer.status == HTTPStatus.CREATED
    assert answer.body["status"] == {"observedGeneration": -1}


def test_edit(client: KubernetesClient, namespace: str) -> None:
    """The API server validates an edit like a creation, and drops a status in it."""
    client("POST", path_of(namespace), manifest("w", {"jobResourceId": ID, "suspend": True}))
    merge = "application/merge-patch+json"
    refused = client("PATCH", path_of(namespace, "w"), {"spec": {"jobName": "x"}}, content_type=merge)
    assert refused.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "must have exactly one of jobResourceId" in refused.body["message"]
    forged = {"spec": {"pollInterval": "1m"}, "status": {"phase": "Succeeded"}}
    taken = client("PATCH", path_of(namespace, "w"), forged, content_type=merge)
    assert taken.body["status"].get("phase") != "Succeeded"
    assert taken.body["metadata"]["generation"] == 2
    client("DELETE", path_of(namespace, "w"))


def test_kubectl_reports_each_mistake(kubectl: Kubectl, namespace: str) -> None:
    """`kubectl apply` reports each mistake with its field, and exits with 1."""
    refused = kubectl("apply", "-n", namespace, "-f", str(DEMO / "refused.yaml"), ok=False)
    assert refused.returncode == 1
    assert 'The BackupJobWatch "refused" is invalid: spec.vault.subscriptionId: Invalid value' in refused.stderr
    vault = {"subscriptionId": "my-subscription", "resourceGroup": "rg.", "name": "v1"}
    wrong = {"jobResourceId": f"https://management.azure.com{ID}?api-version=2025-02-01", "vault": vault}
    refused = kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(manifest("wrong", wrong)), ok=False)
    assert refused.returncode == 1
    for path in ("spec.jobResourceId", "spec.vault.subscriptionId", "spec.vault.resourceGroup"):
        assert f"* {path}: Invalid value" in refused.stderr
    typo = json.dumps(manifest("typo", {"jobResourceId": ID, "polInterval": "10s"}))
    refused = kubectl("apply", "-n", namespace, "-f", "-", stdin=typo, ok=False)
    assert refused.returncode == 1
    assert 'unknown field "spec.polInterval"' in refused.stderr
