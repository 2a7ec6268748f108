"""HTTP responses from Azure Resource Manager and from proxies in front of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from backupjobwatch.arm.responses import Response, read_job
from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.errors import AzureError
from tests.support.builders import JOB_ID

NOW = datetime(2026, 3, 4, 1, 0, 0, tzinfo=UTC)
ASKED_FOR = JobId.parse(JOB_ID)
GATEWAY = {"x-ms-failure-cause": "gateway"}


def foreign(status: int = 200, body: Any = b"", **headers: str) -> Response:
    """Return a response without a request ID. Header names match in any letter case, as in ``requests``."""
    named = requests.structures.CaseInsensitiveDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Response(status=status, headers=named, body=body if isinstance(body, bytes) else json.dumps(body).encode())


def answer(status: int = 200, body: Any = b"{}", **headers: str) -> Response:
    """Return a response from Azure Resource Manager."""
    return foreign(status, body, **{"x_ms_request_id": "r1", **headers})


def error_of(given: Response) -> AzureError:
    """Return the error for a response to a GET of a job."""
    with pytest.raises(AzureError) as caught:
        read_job(given, ASKED_FOR, now=NOW)
    return caught.value
