"""Asks Azure Resource Manager for jobs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from backupjobwatch import __version__
from backupjobwatch.arm.responses import Answer, read_job
from backupjobwatch.arm.transport import Transport

if TYPE_CHECKING:
    from backupjobwatch.arm.credentials import Tokens
    from backupjobwatch.core.arm_ids import JobId
    from backupjobwatch.core.jobs import Job
    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)

_CLAIMS = re.compile(r'\bclaims="(?P<claims>[^"]+)"')


class ArmClient:
    """GETs jobs with one identity, from a bounded number of threads."""

    def __init__(self, settings: Settings, tokens: Tokens, *, ca_file: str | None = None) -> None:
        self._tokens = tokens
        self._query = urlencode({"api-version": settings.azure_api_version})
        self._transport = Transport(settings, ca_file=ca_file)
        self._threads = ThreadPoolExecutor(settings.azure_connections, thread_name_prefix="azure")

    async def get_job(self, job_id: JobId) -> Job:
        """Ask for one job. Raises AzureError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._get_job, job_id)

    async def get_token(self) -> None:
        """Find out whether a token can be had. Raises AzureError."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._tokens.get)

    def close(self) -> None:
        """Let go of threads and connections; requests under way end within their time-outs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._transport.close()

    def _get_job(self, job_id: JobId) -> Job:
        answer = self._get(job_id, self._tokens.get())
        if answer.status == HTTPStatus.UNAUTHORIZED:
            # Expired between two clocks, revoked, or challenged (continuous access evaluation): once, not in a loop.
            claims = _claims(answer.headers.get("WWW-Authenticate", ""))
            answer = self._get(job_id, self._tokens.get(claims=claims, renewed=True))
        return read_job(answer, job_id, now=datetime.now(UTC))

    def _get(self, job_id: JobId, token: str) -> Answer:
        client_request_id = str(uuid.uuid4())
        headers = {
            "Accept": "application/json",
            "User-Agent": f"backupjobwatch/{__version__}",
            "x-ms-client-request-id": client_request_id,
            "x-ms-return-client-request-id": "true",
        }
        started = time.monotonic()
        answer: Answer | None = None
        try:
            answer = self._transport.get(job_id.url_path, query=self._query, headers=headers, token=token)
            return answer
        finally:
            _log.debug(
                "GET %s: %s",
                job_id,
                answer.status if answer else "no answer",
                extra={
                    "client_request_id": client_request_id,
                    "request_id": answer.request_id if answer else None,
                    "seconds": round(time.monotonic() - started, 3),
                },
            )


def _claims(challenge: str) -> str | None:
    """Read the claims of a challenge, base64 of JSON, as azure-identity wants them.

    https://learn.microsoft.com/entra/identity-platform/claims-challenge
    """
    match = _CLAIMS.search(challenge)
    if match is None:
        return None
    with contextlib.suppress(ValueError):
        return base64.urlsafe_b64decode(match["claims"] + "=" * (-len(match["claims"]) % 4)).decode()
    return None
