"""Send requests to the simulator and summarize its refusals."""

import re
from collections.abc import Callable
from typing import Final

import requests

from demo.simulator import ManualClock, Vault
from tests.support import azure

TOKEN: Final = {"Authorization": "Bearer demo-token"}
GUID: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
JOB: Final = "b0b00001-5e1f-4000-8000-000000000003"

Get = Callable[..., requests.Response]
"""The ``get`` fixture, which requests a path, by default the job's."""


def job_path(*, group: str = azure.RESOURCE_GROUP, vault: str = azure.VAULT, job: str = JOB) -> str:
    """Return the path of a job, by default the fixture's."""
    return Vault(azure.SUBSCRIPTION_ID, group, vault, clock=ManualClock()).job_id(job)


def refusal(answer: requests.Response) -> tuple[int, str, bool]:
    """Summarize a refusal: its status, its code, and whether the gateway sent it."""
    error = answer.json()["error"]
    by_gateway = answer.headers.get("x-ms-failure-cause") == "gateway"
    assert {"code", "message"} <= set(error)
    assert by_gateway or {"target", "details", "innerError"} <= set(error) or error["code"].startswith("Missing")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert re.fullmatch(GUID, answer.headers["x-ms-request-id"])
    return answer.status_code, error["code"], by_gateway
