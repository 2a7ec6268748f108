"""Starts backups: one request each, with the identity of a watch and a rate of its own."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from backupjobwatch.arm.backup_answers import is_refusal, read_operation_started
from backupjobwatch.domain.jobs.durations import format_duration
from backupjobwatch.domain.jobs.resource_ids import fold_case
from backupjobwatch.domain.polling.token_bucket import TokenBucket
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
    from collections.abc import Callable, Mapping

    from backupjobwatch.arm.identities import Credential, CredentialProvider
    from backupjobwatch.arm.responses import Answer
    from backupjobwatch.arm.session import ArmSession
    from backupjobwatch.domain.api.target import Identity
    from backupjobwatch.domain.jobs.backup_requests import BackupRequest
    from backupjobwatch.domain.jobs.resource_ids import OperationId

_log = logging.getLogger(__name__)

WRITES_PER_SECOND: Final = 1.0
"""Per principal and subscription. Azure refills its bucket for writes with ten tokens per second."""
WRITE_BURST: Final = 5.0
REMEMBERED: Final = 1000
"""The number of principals and subscriptions whose rate is remembered."""


@dataclass(slots=True)
class _Rate:
    bucket: TokenBucket = field(default_factory=lambda: TokenBucket(rate=WRITES_PER_SECOND, burst=WRITE_BURST))
    paused_until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class BackupSender:
    """Sends requests for backups. Nothing here or below repeats a request whose result is uncertain."""

    def __init__(self, session: ArmSession, credentials: CredentialProvider) -> None:
        self._session = session
        self._credentials = credentials
        self._rates: OrderedDict[tuple[str, str], _Rate] = OrderedDict()

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
        credential = await self._credentials.find(namespace, identity)
        rate = self._rate(credential, request)
        await self._wait(rate)

        def send(token: str) -> Answer:
            if not may_send():
                raise PollDeferred("The backup was not requested, because the watch changed.")
            return self._send(request, token, request_id)

        def start() -> OperationId:
            answer = send(self._session.token(credential.tokens))
            if answer.status == HTTPStatus.UNAUTHORIZED and is_refusal(answer):  # retry only once
                answer = send(self._session.token(credential.tokens, refused=answer))
            return read_operation_started(answer, request.item.vault, now=datetime.now(UTC))

        try:
            return await self._session.run(start)
        except Throttled as error:
            wait = error.retry_after or timedelta()
            rate.paused_until = max(rate.paused_until, _clock() + wait.total_seconds())
            _log.warning("Paused requests for backups for %s: %s", format_duration(wait), error)
            raise
        except (AuthenticationFailed, CredentialsNotFound) as error:
            if not error.repeated:
                self._credentials.drop(namespace, identity)
            raise

    def _send(self, request: BackupRequest, token: str, request_id: str) -> Answer:
        path, query = request.item.backup_path, self._session.query(request.item.vault)

        def send(headers: Mapping[str, str]) -> Answer:
            return self._session.transport.write(path, query=query, headers=headers, token=token, body=request.body)

        try:
            return self._session.exchange("start_backup", f"POST {path}", request_id, send)
        except (AzureUnavailable, UnexpectedResponse) as error:
            if isinstance(error, AzureUnavailable) and not error.was_sent:
                raise
            raise RequestUncertain(f"Azure may have started a backup or not. {error}") from error

    def _rate(self, credential: Credential, request: BackupRequest) -> _Rate:
        key = (credential.principal, fold_case(request.item.vault.subscription_id))
        rate = self._rates.setdefault(key, _Rate())
        self._rates.move_to_end(key)
        while len(self._rates) > REMEMBERED:
            self._rates.popitem(last=False)
        return rate

    async def _wait(self, rate: _Rate) -> None:
        """Wait for a token, in the order of the requests. Raise PollDeferred during a pause."""
        async with rate.lock:
            left = rate.paused_until - _clock()
            if left > 0:
                message = "Azure throttles requests for backups. The operator sends the next one in "
                raise _deferred(f"{message}{format_duration(timedelta(seconds=left))}.", left)
            await asyncio.sleep(rate.bucket.wait(_clock()))
            rate.bucket.take(_clock())


def _deferred(message: str, seconds: float) -> PollDeferred:
    error = PollDeferred(message)
    error.retry_after = timedelta(seconds=seconds)
    return error


def _clock() -> float:
    return asyncio.get_running_loop().time()
