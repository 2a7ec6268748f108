"""A damaged status opens no gate that uses kstatus."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.property.oracles import status_schema
from tests.support.gates import kstatus
from tests.support.kubernetes_client import path_of

if TYPE_CHECKING:
    from tests.support.kubernetes_client import KubernetesClient
    from tests.support.plugin import Written

MERGE: Final = "application/merge-patch+json"
JSON: Final = "application/json-patch+json"
AZURE_REACHABLE: Final = {
    "type": "AzureReachable",
    "status": "True",
    "reason": "AzureAnswered",
    "message": "Azure answered the last poll.",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
OUTDATED: Final[dict[str, tuple[str, Any]]] = {
    "observedGeneration: null": (MERGE, {"status": {"observedGeneration": None}}),
    "status: null": (MERGE, {"status": None}),
    "remove observedGeneration": (JSON, [{"op": "remove", "path": "/status/observedGeneration"}]),
    "observedGeneration is null": (JSON, [{"op": "replace", "path": "/status/observedGeneration", "value": None}]),
    "status: {}": (JSON, [{"op": "replace", "path": "/status", "value": {}}]),
    "status is null": (JSON, [{"op": "replace", "path": "/status", "value": None}]),
    "remove status": (JSON, [{"op": "remove", "path": "/status"}]),
}
"""Requests that remove the observed generation from the status."""
REFUSED: Final[dict[str, tuple[str, Any]]] = {
    "conditions: null": (MERGE, {"status": {"conditions": None}}),
    "conditions: []": (MERGE, {"status": {"conditions": []}}),
    "without Ready": (MERGE, {"status": {"conditions": [AZURE_REACHABLE]}}),
    "remove conditions": (JSON, [{"op": "remove", "path": "/status/conditions"}]),
    "conditions is null": (JSON, [{"op": "replace", "path": "/status/conditions", "value": None}]),
    "status: {observedGeneration}": (JSON, [{"op": "replace", "path": "/status", "value": {"observedGeneration": 1}}]),
}
"""Requests that keep the observed generation but remove conditions that kstatus evaluates."""


@pytest.fixture
def running(written: Written) -> dict[str, Any]:
    """A watch of a running job."""
    written.create("w")
    return written.become("w", "job-iaasvm-inprogress")


def send(client: KubernetesClient, written: Written, content_type: str, body: Any) -> tuple[int, dict[str, Any]]:
    """Patch the status, and return the HTTP status and the resulting object."""
    answer = client("PATCH", f"{path_of(written.namespace, 'w')}/status", body, content_type=content_type)
    return answer.status, written.get("w")


@pytest.mark.parametrize("request_", OUTDATED)
@pytest.mark.usefixtures("running")
def test_outdated(client: KubernetesClient, written: Written, request_: str) -> None:
    """If observedGeneration is removed or null, the API server sets -1, and the status is outdated."""
    status, after = send(client, written, *OUTDATED[request_])
    assert status == HTTPStatus.OK
    assert after["status"]["observedGeneration"] == -1
    assert kstatus.verdict(after) == "InProgress"


def test_outdated_after_success(client: KubernetesClient, written: Written) -> None:
    """After its status is reset, kstatus considers a succeeded watch to be in progress."""
    written.create("w")
    assert kstatus.verdict(written.become("w", "job-iaasvm-completed")) == "Current"
    for request_ in OUTDATED.values():
        _, after = send(client, written, *request_)
        assert kstatus.verdict(after) == "InProgress"
        written.become("w", "job-iaasvm-completed")


@pytest.mark.parametrize("request_", REFUSED)
def test_refused(client: KubernetesClient, written: Written, running: dict[str, Any], request_: str) -> None:
    """The API server refuses a status that has a generation but no Ready condition."""
    content_type, body = REFUSED[request_]
    answer = client("PATCH", f"{path_of(written.namespace, 'w')}/status", body, content_type=content_type)
    assert answer.status == HTTPStatus.UNPROCESSABLE_ENTITY, answer.body
    assert written.get("w")["status"] == running["status"]


@pytest.mark.parametrize("field", status_schema()["properties"])
@pytest.mark.usefixtures("running")
def test_any_field_removed(client: KubernetesClient, written: Written, field: str) -> None:
    """Removing any one status field never makes the watch of a running job Current."""
    _, after = send(client, written, MERGE, {"status": {field: None}})
    assert kstatus.verdict(after) == "InProgress"


def test_empty_status_on_create(client: KubernetesClient, written: Written) -> None:
    """A watch that is created with `status: {}` or `status: null` is not Current."""
    written.create("w")
    body = written.get("w")
    for number, status in enumerate(({}, None, {"observedGeneration": None})):
        metadata = {"name": f"w{number}", "namespace": written.namespace}
        answer = client("POST", path_of(written.namespace), {**body, "metadata": metadata, "status": status})
        assert answer.status == HTTPStatus.CREATED, answer.body
        assert kstatus.verdict(answer.body) == "InProgress"
