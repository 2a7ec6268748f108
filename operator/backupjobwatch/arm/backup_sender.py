"""Starts backups: one request each, with the identity of a watch."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from backupjobwatch.arm.backup_answers import is_refusal, read_operation_started
from backupjobwatch.errors import (
    AuthenticationFailed,
    AzureUnavailable,
    CredentialsNotFound,
    PollDeferred,
    RequestUncertain,
    Throttled,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from backupjobwatch.arm.backup_rates import BackupRates
    from backupjobwatch.arm.identities import CredentialProvider
    from backupjobwatch.arm.responses import Response
    from backupjobwatch.arm.session import ArmSession
    from backupjobwatch.domain.api.target import Identity
    from backupjobwatch.domain.jobs.backup_requests import BackupRequest
    from backupjobwatch.domain.jobs.resource_ids import OperationId


class BackupSender:
    """Sends requests for backups. Nothing here or below repeats a request whose result is uncertain."""

    def __init__(self, session: ArmSession, credentials: CredentialProvider, rates: BackupRates) -> None:
        self._session = session
        self._credentials = credentials
        self._rates = rates

    async def request_backup(
        self,
        namespace: str,
        identity: Identity,
        request: BackupRequest,
        *,
        request_id: str,
        may_send: Callable[[], bool] = lambda: True,
    ) -> OperationId:
        """Start a backup with one request, if *may_send* returns true right before it. Return its operation.

        *may_send* is called in a thread. Raises RequestUncertain if a backup may have been started, and any other
        AzureError only if Azure started none. Throttled has ``retry_after``. NoRequest means that nothing was sent.
        """
        rate = self._rates.rate_of(namespace, identity, request)
        paused = rate.pause_error()
        if paused is not None:
            raise paused
        credential = await self._credentials.find(namespace, identity)

        def send(token: str) -> Response:
            if not may_send():
                raise PollDeferred("The backup was not requested, because the watch changed.")
            return self._send(request, token, request_id)

        def start() -> OperationId:
            response = send(self._session.token(credential.tokens))
            if response.status == HTTPStatus.UNAUTHORIZED and is_refusal(response):  # retry only once
                response = send(self._session.token(credential.tokens, refused=response))
            return read_operation_started(response, request.item.vault, now=datetime.now(UTC))

        try:
            return await self._session.run(start)
        except Throttled as error:
            rate.pause(error)
            raise
        except (AuthenticationFailed, CredentialsNotFound) as error:
            if not error.repeated:
                self._credentials.drop(namespace, identity)
            raise

    def _send(self, request: BackupRequest, token: str, request_id: str) -> Response:
        path, query = request.item.backup_path, self._session.query(request.item.vault)
        send = partial(self._session.transport.write, path, query=query, token=token, body=request.body)
        try:
            return self._session.exchange("start_backup", f"POST {path}", request_id, send)
        except (AzureUnavailable, UnexpectedResponse) as error:
            if isinstance(error, AzureUnavailable) and not error.was_sent:
                raise
            raise RequestUncertain(f"Azure may have started a backup or not. {error}") from error
