"""What all requests to Azure Resource Manager have in common: threads, tokens, headers, metrics and the log."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlencode

from backupjobwatch import __version__
from backupjobwatch.arm.token_answers import noting_status, read_claims
from backupjobwatch.arm.transport import Transport
from backupjobwatch.domain.jobs.resource_ids import VaultKind
from backupjobwatch.errors import AzureError, AzureUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from backupjobwatch.arm.credentials import TokenSource
    from backupjobwatch.arm.responses import Response
    from backupjobwatch.domain.jobs.resource_ids import VaultId
    from backupjobwatch.observability.metrics.instruments import Metrics
    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)

_Value = TypeVar("_Value")


class ArmSession:
    """Sends requests with the caller's tokens, in a bounded number of threads."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._metrics = metrics
        self._queries = {
            VaultKind.RECOVERY_SERVICES: {"api-version": settings.azure_api_version},
            VaultKind.BACKUP_VAULT: {"api-version": settings.azure_data_protection_api_version},
        }
        self.transport = Transport(settings)
        self._threads = ThreadPoolExecutor(settings.azure_connections, thread_name_prefix="azure")

    async def run(self, function: Callable[[], _Value]) -> _Value:
        """Call a blocking function in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    def query(self, vault: VaultId, **more: str) -> str:
        """Return the query of a request for *vault*, with the API version of its kind."""
        return urlencode({**self._queries[vault.kind], **more}, quote_via=quote)

    def token(self, tokens: TokenSource, *, refused: Response | None = None) -> str:
        """Return a token, or raise AzureError. May block.

        After a 401 (*refused*), the token has expired by Azure's clock, was revoked, or must meet a claims challenge.
        """
        claims = None if refused is None else read_claims(refused.headers.get("WWW-Authenticate", ""))
        started = time.monotonic()
        with noting_status() as status:
            unreachable = False
            try:
                return tokens.get(claims=claims, renewed=refused is not None)
            except AzureError as error:
                self._metrics.observe_token_failure(tokens.owner, error.reason)
                unreachable = isinstance(error, AzureUnavailable) and not error.repeated
                raise
            finally:
                if status() is not None or unreachable:  # otherwise no request was sent
                    self._metrics.observe_request("token", status(), time.monotonic() - started)

    def exchange(self, operation: str, what: str, client_request_id: str, send: Callable[..., Response]) -> Response:
        """Call *send* with the ``headers`` of a request. *operation* names it in metrics, *what* in the log."""
        headers = {
            "Accept": "application/json",
            "User-Agent": f"backupjobwatch/{__version__}",
            "x-ms-client-request-id": client_request_id,
            "x-ms-return-client-request-id": "true",
        }
        started = time.monotonic()
        response: Response | None = None
        try:
            response = send(headers=headers)
            return response
        finally:
            seconds = time.monotonic() - started
            status, request_id = (response.status, response.request_id) if response else (None, None)
            self._metrics.observe_request(operation, status, seconds)
            ids = {"client_request_id": client_request_id, "request_id": request_id}
            _log.debug("%s: %s", what, status or "no answer", extra={**ids, "seconds": round(seconds, 3)})

    def close(self) -> None:
        """Stop the threads and close the connections. Requests in flight end at once."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.transport.close()
