"""``render`` for watches with ``spec.onDemand``: the answer to the request, the operation, and what comes before it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.azure import payload
from tests.support.builders import watch_body
from tests.support.command import invoke

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NOW = "2026-03-04T01:00:20Z"
VAULT = {
    "subscriptionId": "6d1f2a3b-4c5d-4e6f-8a7b-9c0d1e2f3a4b",
    "resourceGroup": "rg-harbour-backup",
    "name": "rsv-harbour",
}
OPERATION = "09e70001-5e1f-4000-8000-000000000001"
JOB = "b0b00001-5e1f-4000-8000-000000000001"
REQUEST_ID = "5c0a31f4-9d1e-4f6e-8a53-0f6b8f6d5e01"


class Renderer:
    """Renders one response after another."""

    def __init__(self, folder: Path, item: str, **vault: str) -> None:
        self._folder = folder
        self.body = watch_body({"onDemand": {"item": item}, "vault": {**VAULT, **vault}})

    def __call__(
        self, answer: Any, *, status: int = 200, headers: Mapping[str, str] | None = None, now: str = NOW
    ) -> dict[str, Any]:
        """Render a response, and return the status, which the next response updates."""
        (self._folder / "watch.yaml").write_text(yaml.safe_dump(self.body))
        (self._folder / "answer").write_text("" if answer is None else json.dumps(answer))
        lines = [word for name, value in (headers or {}).items() for word in ("--header", f"{name}: {value}")]
        files = ["--watch", str(self._folder / "watch.yaml"), "--response", str(self._folder / "answer")]
        result = invoke("render", *files, "--now", now, "--status", str(status), *lines)
        assert result.exit_code == 0, result.output
        assert "not-a-signature" not in result.output
        self.body = yaml.safe_load(result.stdout)
        status_: dict[str, Any] = self.body["status"]
        return status_

    def recorded(self, name: str, **headers: str) -> dict[str, Any]:
        """Render a response that was recorded with its headers."""
        whole = payload(name)
        return self(whole["body"], status=whole["status"], headers={**whole["headers"], **headers})


@pytest.fixture
def render(tmp_path: Path) -> Renderer:
    return Renderer(tmp_path, "vm-harbour-01")


def test_from_the_request_to_the_job(render: Renderer) -> None:
    """A 202 names the operation, the operation names the job, and the job's response decides."""
    status = render.recorded("http-202-trigger-backup", **{"x-ms-client-request-id": REQUEST_ID})
    record = status["onDemand"]
    assert (record["state"], record["operationId"], record["requestID"]) == ("Accepted", OPERATION, REQUEST_ID)
    assert (status["phase"], "Render again" in status["message"]) == ("Pending", True)

    status = render(payload("opstatus-inprogress"))
    assert (status["phase"], status["onDemand"]) == ("Pending", record)

    status = render(payload("opstatus-succeeded-job"))
    assert status["jobs"] == [{"name": JOB}]
    assert status["onDemand"] == {**record, "jobName": JOB}

    status = render({**payload("job-iaasvm-completed"), "name": JOB})
    assert (status["phase"], status["onDemand"]["jobName"]) == ("Succeeded", JOB)


def test_an_operation_without_its_request(render: Renderer) -> None:
    """The response of the operation is enough, without a record of the request."""
    assert render(payload("opstatus-failed"))["reason"] == "OperationFailed"


@pytest.mark.parametrize(
    ("answer", "state", "phase", "reason"),
    [
        ("error-403-authorizationfailed", "Refused", "Pending", "AuthorizationFailed"),
        ("error-429-subscription-tokenbucket", "Refused", "Pending", "Throttled"),
        ("error-409-not-registered", "Refused", "Failed", "InvalidTarget"),
        ("error-404-item-service", "Refused", "Failed", "InvalidTarget"),
        ("error-500-cloudinternal", "Uncertain", "Pending", "TriggerUncertain"),
        ("error-504-gatewaytimeout", "Uncertain", "Pending", "TriggerUncertain"),
    ],
)
def test_a_request_that_fails(render: Renderer, answer: str, state: str, phase: str, reason: str) -> None:
    """The error body of the request says whether Azure has certainly started no backup."""
    status = render.recorded(answer)
    assert (status["onDemand"]["state"], status["phase"], status["reason"]) == (state, phase, reason)


def test_a_refused_request_that_is_repeated(render: Renderer) -> None:
    """The response to the next attempt updates the record of the refused one."""
    first = render.recorded("error-403-authorizationfailed", **{"x-ms-client-request-id": REQUEST_ID})["onDemand"]
    record = render.recorded("http-202-trigger-backup")["onDemand"]
    assert (record["state"], record["requestID"]) == ("Accepted", first["requestID"])
    assert (first["attempt"], record["attempt"]) == (1, 2)
    assert "retryAt" not in record


@pytest.mark.parametrize(("activity", "reason"), [(REQUEST_ID, "Throttled"), ("other", "TriggerUncertain")])
def test_a_list_after_a_lost_answer(render: Renderer, activity: str, reason: str) -> None:
    """After a lost answer, only a job with the ID of the request counts."""
    render.recorded("error-504-gatewaytimeout", **{"x-ms-client-request-id": REQUEST_ID})
    job = payload("job-iaasvm-inprogress")
    job["name"] = JOB
    job["properties"].update(entityFriendlyName="vm-harbour-01", activityId=activity, operation="Backup")
    status = render({"value": [job]})
    assert (status["reason"], status.get("jobs")) == (reason, [{"name": JOB}] if activity == REQUEST_ID else None)
    if activity == "other":
        assert render({"value": [job]}, now="2026-03-04T02:00:00Z")["phase"] == "Failed"


@pytest.mark.parametrize(
    ("item", "phase", "words"),
    [
        ("vm-harbour-01", "Pending", "requests a backup of vm-harbour-01."),
        ("vm-9", "Failed", "It protects: documents, master, systemdb, vm-harbour-01"),
        ("master", "Failed", "Set spec.onDemand.container to one of: "),
    ],
)
def test_the_items_of_the_vault(tmp_path: Path, item: str, phase: str, words: str) -> None:
    """The list of protected items identifies the item before the operator requests anything."""
    status = Renderer(tmp_path, item)(payload("items-all-workloads"))
    assert (status["phase"], words in status["message"]) == (phase, True)
    assert "requestID" not in status.get("onDemand", {})


def test_a_backup_vault(tmp_path: Path) -> None:
    """The policy of a backup instance decides what is requested. The operation belongs to the region of the vault."""
    render = Renderer(tmp_path, "disk-harbour-01", name="bv-harbour", kind="BackupVault")
    assert "reads more about it" in render(payload("dp-instances"))["message"]
    operation = payload("dp-opstatus-succeeded-job")
    location = f"/subscriptions/{VAULT['subscriptionId']}/providers/Microsoft.DataProtection/locations/westeurope"
    url = f"https://management.azure.com{location}/operationStatus/{operation['name']}?s=not-a-signature"
    assert render(None, status=202, headers={"Location": url})["onDemand"]["operationId"] == operation["name"]
    assert len(render(operation)["jobs"]) == 1
