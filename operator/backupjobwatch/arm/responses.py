"""What Azure's answers mean: an answer in, a job or the kind of trouble out. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from backupjobwatch.core import data_protection, recovery_services
from backupjobwatch.core.arm_ids import VaultKind, fold_case
from backupjobwatch.core.texts import clean
from backupjobwatch.core.times import parse_retry_after
from backupjobwatch.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    AzureError,
    AzureUnavailable,
    JobNotFound,
    Throttled,
    UnexpectedResponse,
    VaultNotFound,
)

if TYPE_CHECKING:
    from backupjobwatch.core.arm_ids import JobId, VaultId
    from backupjobwatch.core.jobs import Job

DEFAULT_WAIT: Final = timedelta(seconds=30)
"""How long to wait after a 429 that does not say."""
LONGEST_WAIT: Final = timedelta(hours=1)
"""The most that a Retry-After is believed. Twenty minutes have been reported."""

_KINDS: Final[Mapping[int, type[AzureError]]] = {
    HTTPStatus.UNAUTHORIZED: AuthenticationFailed,
    HTTPStatus.FORBIDDEN: AuthorizationFailed,
    HTTPStatus.NOT_FOUND: JobNotFound,
    HTTPStatus.REQUEST_TIMEOUT: AzureUnavailable,
    HTTPStatus.TOO_MANY_REQUESTS: Throttled,
}
_PARSERS = {
    VaultKind.RECOVERY_SERVICES: recovery_services.parse_job,
    VaultKind.BACKUP_VAULT: data_protection.parse_job,
}
_REMAINING = (
    "x-ms-ratelimit-remaining-subscription-resource-requests",
    "x-ms-ratelimit-remaining-subscription-resource-entities-read",
    "x-ms-ratelimit-remaining-subscription-reads",
)
_PORTS: Final[Mapping[str, str]] = {"https": ":443", "http": ":80"}
_COUNT = re.compile(r"-?[0-9]{1,9}")
"""Azure sends -1 when nothing is left."""
_EXCERPT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of Azure's."""

    status: int
    headers: Mapping[str, str]
    """Looked up without regard to letter case."""
    body: bytes

    @property
    def request_id(self) -> str | None:
        """What Microsoft's support asks for."""
        return self.headers.get("x-ms-request-id") or self.headers.get("x-ms-correlation-request-id")


def read_object(answer: Answer, *, now: datetime) -> Mapping[str, Any]:
    """Return the JSON object in *answer*, or raise the AzureError that tells why there is none."""
    if answer.status != HTTPStatus.OK:
        raise _trouble(answer, now)
    payload = _json(answer)
    if not isinstance(payload, Mapping):
        raise _unexpected(answer, "an answer that is not a JSON object")
    return payload


def read_job(answer: Answer, job_id: JobId, *, now: datetime) -> Job:
    """Return the job in *answer*, or raise the AzureError that tells why there is none."""
    job = _PARSERS[job_id.vault.kind](read_object(answer, now=now))
    # A gate must never open on another job's end, whatever a proxy or a cache on the way makes of the request.
    if job.name is None or fold_case(job.name) != fold_case(job_id.name):
        raise _unexpected(answer, f"an answer about {job.name or 'no job'} when asked for {job_id.name}")
    return job


def read_job_list(answer: Answer, vault: VaultId, *, now: datetime) -> tuple[list[Job], str | None]:
    """Return the jobs on one page of a vault's list, and the link to the next page."""
    payload = read_object(answer, now=now)
    items, link = payload.get("value"), payload.get("nextLink")
    if not isinstance(items, list) or not (link is None or isinstance(link, str)):
        raise _unexpected(answer, "a list of jobs that is none")
    parse = _PARSERS[vault.kind]
    return [parse(item, partial=True) for item in items if isinstance(item, Mapping)], link or None


def next_path(link: str, endpoint: str) -> tuple[str, str]:
    """Return path and query of a link to the next page. It is followed on the endpoint's own host, or not at all."""
    try:
        parts = urlsplit(link)
        same_host = _origin(link) == _origin(endpoint)
    except ValueError:
        same_host = False
    if not same_host or not parts.path.startswith("/"):
        raise UnexpectedResponse("Azure's list of the vault's jobs goes on at another host, which is not asked.")
    return parts.path, parts.query


def _origin(url: str) -> tuple[str, str]:
    """Scheme and host, and the port where it is not the scheme's own: some of ARM's links write that out."""
    parts = urlsplit(url.lower())
    return parts.scheme, parts.netloc.removesuffix(_PORTS.get(parts.scheme, ""))


def remaining_requests(answer: Answer) -> int | None:
    """Return the smallest count of remaining requests that Azure reports, never below zero."""
    values = (answer.headers.get(name, "").strip() for name in _REMAINING)
    return min((max(int(value), 0) for value in values if _COUNT.fullmatch(value)), default=None)


def _trouble(answer: Answer, now: datetime) -> AzureError:
    kind = _KINDS.get(answer.status)
    if kind is None:
        unavailable = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        kind = AzureUnavailable if unavailable else UnexpectedResponse
    # ARM's gateway answers for what it can't find itself; without its mark the backup service has answered.
    if kind is JobNotFound and answer.headers.get("x-ms-failure-cause", "").lower() == "gateway":
        kind = VaultNotFound
    retry_after = parse_retry_after(answer.headers.get("Retry-After"), now=now, limit=LONGEST_WAIT)
    if kind is Throttled and retry_after is None:
        retry_after = DEFAULT_WAIT
    message = f"Azure answered {_status_line(answer)}: {_error_text(answer)}{_reference(answer)}"
    return kind(message, retry_after=retry_after, request_id=answer.request_id)


def _unexpected(answer: Answer, what: str) -> UnexpectedResponse:
    return UnexpectedResponse(
        f"Azure answered {_status_line(answer)} with {what}{_reference(answer)}", request_id=answer.request_id
    )


def _status_line(answer: Answer) -> str:
    try:
        return f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:
        return str(answer.status)


def _reference(answer: Answer) -> str:
    return f" (request {clean(answer.request_id, 64)})." if answer.request_id else "."


def _error_text(answer: Answer) -> str:
    """Code and message of ARM's error body, in either of its shapes; else what the body begins with."""
    payload = _json(answer)
    error = payload.get("error") if isinstance(payload, Mapping) else None
    if isinstance(error, Mapping):
        words = (error.get("code"), error.get("message"))
        text = ": ".join(word for word in words if isinstance(word, str) and word)
        if text:
            return clean(text, _EXCERPT).rstrip(".")
    return clean(answer.body[:_EXCERPT].decode(errors="replace"), _EXCERPT).rstrip(".") or "an empty body"


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return None
