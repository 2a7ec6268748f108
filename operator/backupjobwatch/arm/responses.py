"""Parse Azure's responses into jobs or errors. Pure.

A proxy, firewall or captive portal may answer in Azure's place. Its response never counts as 401, 403 or 404, because it
says nothing about the job. A response is Azure Resource Manager's only if it has a request ID and a JSON object as its body.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from http.client import responses as reason_phrases
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from backupjobwatch.domain.jobs import data_protection, recovery_services
from backupjobwatch.domain.jobs.azure_errors import describe, read_error_body
from backupjobwatch.domain.jobs.list_entries import parse_entry
from backupjobwatch.domain.jobs.operations import read_operation
from backupjobwatch.domain.jobs.payloads import LINE, Reader, last_segment
from backupjobwatch.domain.jobs.protected_items import parse_backup_instances, parse_protected_items
from backupjobwatch.domain.jobs.resource_ids import VaultKind, fold_case
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.domain.jobs.times import parse_retry_after
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
    from backupjobwatch.domain.jobs.findings import OperationFailure, PinnedJob, Waiting
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.jobs.protected_items import ProtectedItem
    from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId

DEFAULT_WAIT: Final = timedelta(seconds=30)
"""How long to wait after a 429 without a ``Retry-After``, or with ``Retry-After: 0``."""
LONGEST_WAIT: Final = timedelta(hours=1)
"""The longest Retry-After of Azure or Entra that is honored. Users have reported twenty minutes."""

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
_ITEM_PARSERS = {
    VaultKind.RECOVERY_SERVICES: parse_protected_items,
    VaultKind.BACKUP_VAULT: parse_backup_instances,
}
_REMAINING = (
    "x-ms-ratelimit-remaining-subscription-resource-requests",
    "x-ms-ratelimit-remaining-subscription-resource-entities-read",
    "x-ms-ratelimit-remaining-subscription-reads",
)
_PORTS: Final[Mapping[str, str]] = {"https": ":443", "http": ":80"}
_COUNT = re.compile(r"-?[0-9]{1,9}")
"""Azure sends -1 if no requests remain."""
_SUBSCRIPTION_WIDE = "subscriptionrequeststhrottled"
"""Code of a 429 of ARM's token bucket for all requests in the subscription, in lowercase.

The resource provider's own limits have other codes, and apply to one kind of request.
https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling
"""
_EXCERPT = 300
_PAGE = 4096
"""Bytes of a page that are searched for its title."""
_TITLE = re.compile(r"<title[^>]*>(?P<title>[^<]+)</title", re.IGNORECASE)
_MARKUP = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>?", re.IGNORECASE | re.DOTALL)
_JSON_STARTS = ("{", "[", '"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    """Names are case-insensitive."""
    body: bytes

    @property
    def request_id(self) -> str | None:
        """The ID that Azure Resource Manager assigns to each request, for support requests."""
        return self.headers.get("x-ms-request-id") or self.headers.get("x-ms-correlation-request-id") or None

    @property
    def is_from_azure(self) -> bool:
        """Whether the response is from Azure Resource Manager and not from a proxy."""
        return self.request_id is not None and isinstance(parse_json(self.body), Mapping)


def read_object(response: Response, *, now: datetime) -> Mapping[str, Any]:
    """Return the JSON object in *response*, or raise the AzureError for it."""
    payload = parse_json(response.body)
    if not isinstance(payload, Mapping) or response.request_id is None:
        raise _not_from_azure(response, payload, now)
    if response.status != HTTPStatus.OK:
        raise _refusal(response, payload, now)
    return payload


def read_job(response: Response, job_id: JobId, *, now: datetime) -> Job:
    """Return the job in *response*, or raise the AzureError for it."""
    job = _PARSERS[job_id.vault.kind](read_object(response, now=now))
    # A proxy or a cache may return another job. The end of that job must never open a gate.
    if job.name is None or fold_case(job.name) != fold_case(job_id.name):
        raise _unexpected(response, f"a response about {job.name or 'no job'} instead of {job_id.name}")
    return job


def read_operation_status(
    response: Response, operation_id: OperationId, *, now: datetime
) -> tuple[PinnedJob, ...] | Waiting | OperationFailure:
    """Return the jobs of the operation in *response*, or why it has none. Raise the AzureError for any other response."""
    payload = read_object(response, now=now)
    texts = (Reader().word(payload.get(field), LINE) for field in ("id", "name"))
    names = [name for text in texts if (name := last_segment(text))]
    # As with jobs: a job of another operation must never open a gate.
    if names and fold_case(operation_id.name) not in map(fold_case, names):
        raise _unexpected(response, f"a response about {names[-1]} instead of {operation_id.name}")
    return read_operation(payload)


def read_job_list(
    response: Response, vault: VaultId, *, now: datetime, known: Mapping[str, Job] | None = None
) -> tuple[list[Job], str | None]:
    """Return the jobs on one page of a vault's list, and the link to the next page.

    *known* are the jobs of the last list, by name in lowercase. Those without changes are returned as they are.
    """
    payload = read_object(response, now=now)
    items, link = payload.get("value"), payload.get("nextLink")
    if not isinstance(items, list) or not (link is None or isinstance(link, str)):
        raise _unexpected(response, "an invalid list of jobs")
    parse = _PARSERS[vault.kind]
    return [parse_entry(item, parse, known) for item in items if isinstance(item, Mapping)], link or None


def read_item_list(
    response: Response, vault: VaultId, *, now: datetime
) -> tuple[tuple[ProtectedItem, ...], str | None]:
    """Return the protected items on one page of a vault's list, and the link to the next page."""
    payload = read_object(response, now=now)
    link = payload.get("nextLink")
    if not (link is None or isinstance(link, str)):
        raise _unexpected(response, "an invalid list of protected items")
    return _ITEM_PARSERS[vault.kind](payload, vault), link or None


def next_path(link: str, endpoint: str) -> tuple[str, str]:
    """Return path and query of a link to the next page. Raise UnexpectedResponse for another host."""
    try:
        parts = urlsplit(link)
        same_host = _origin(link) == _origin(endpoint)
    except ValueError:
        same_host = False
    if not same_host or not parts.path.startswith("/"):
        raise UnexpectedResponse(
            "The next page of Azure's job list is on another host, to which the operator does not send tokens."
        )
    return parts.path, parts.query


def _origin(url: str) -> tuple[str, str]:
    """Return scheme and host, without the scheme's default port, which some of ARM's links contain."""
    parts = urlsplit(url.lower())
    return parts.scheme, parts.netloc.removesuffix(_PORTS.get(parts.scheme, ""))


def remaining_requests(response: Response) -> int | None:
    """Return the smallest count of remaining requests that Azure reports, never below zero."""
    values = (response.headers.get(name, "").strip() for name in _REMAINING)
    return min((max(int(value), 0) for value in values if _COUNT.fullmatch(value)), default=None)


def _refusal(response: Response, payload: Mapping[str, Any], now: datetime) -> AzureError:
    """Return the error for a response from Azure Resource Manager."""
    kind = _KINDS.get(response.status)
    if kind is None:
        kind = AzureUnavailable if _is_server_error(response) else UnexpectedResponse
    # ARM's gateway marks its own 404, which means that the vault is missing. Any other 404 is from the backup service.
    if kind is JobNotFound and response.headers.get("x-ms-failure-cause", "").lower() == "gateway":
        kind = VaultNotFound
    message = (
        f"Azure answered {_status_line(response)}: {_error_text(payload) or 'no error code'}{_reference(response)}"
    )
    error = kind(message, retry_after=_retry_after(response, kind, now), request_id=response.request_id)
    if isinstance(error, Throttled):
        errors = read_error_body(payload)
        error.is_subscription_wide = bool(errors) and (errors[0].code or "").lower() == _SUBSCRIPTION_WIDE
    return error


def _not_from_azure(response: Response, payload: object, now: datetime) -> AzureError:
    """Return the error for a response that Azure Resource Manager did not send, or that lost its body.

    A 408, 429 or 5xx of any server is retried. Everything else is unexpected, including 401, 403 and 404.
    """
    kind: type[AzureError] = UnexpectedResponse
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = Throttled
    elif _is_server_error(response) or response.status == HTTPStatus.REQUEST_TIMEOUT:
        kind = AzureUnavailable
    if response.request_id is None:
        what = f"The response {_status_line(response)} is not from Azure Resource Manager: it has no x-ms-request-id header."
        advice = " Check the proxy and BACKUPJOBWATCH_AZURE_ENDPOINT."
    else:
        what, advice = f"Azure answered {_status_line(response)} with a body that is not a JSON object.", ""
    message = f"{what} {describe_body(response.body, payload)}{_reference(response)}{advice}"
    retry_after = None if kind is UnexpectedResponse else _retry_after(response, kind, now)
    return kind(message, retry_after=retry_after, request_id=response.request_id)


def _is_server_error(response: Response) -> bool:
    return response.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _retry_after(response: Response, kind: type[AzureError], now: datetime) -> timedelta | None:
    retry_after = parse_retry_after(response.headers.get("Retry-After"), now=now, limit=LONGEST_WAIT)
    return retry_after or DEFAULT_WAIT if kind is Throttled else retry_after


def _unexpected(response: Response, what: str) -> UnexpectedResponse:
    return UnexpectedResponse(
        f"Azure answered {_status_line(response)} with {what}{_reference(response)}", request_id=response.request_id
    )


def _status_line(response: Response) -> str:
    return f"{response.status} {reason_phrases.get(response.status, '')}".rstrip()


def _reference(response: Response) -> str:
    return f" (request {sanitize(response.request_id, 64)})." if response.request_id else "."


def _error_text(payload: Mapping[str, Any]) -> str:
    """Return code, text and recommendation of an error body. Never raw JSON: it may hold internal addresses."""
    errors = read_error_body(payload)
    return sanitize(describe(errors[0]), _EXCERPT).rstrip(".") if errors else ""


def describe_body(body: bytes, payload: object) -> str:
    """Describe *body*, parsed as *payload*: the error in a JSON object, or the title or text of a page."""
    page = body[:_PAGE].decode("utf-8-sig", errors="replace").strip()  # without a byte order mark
    if not page:
        return "Its body is empty"
    if isinstance(payload, Mapping):
        text = _error_text(payload)
        return f"It says: {text}" if text else "Its body is a JSON object without an error code"
    if page.startswith(_JSON_STARTS) or payload is not None:
        return "Its body is incomplete or unexpected JSON"
    title = _TITLE.search(page)
    # Some XML errors contain another error in escaped form.
    text = html.unescape((title and title["title"].strip()) or page)
    text = _MARKUP.sub(" ", text)
    return f"It says: {sanitize(text, _EXCERPT, redact_addresses=True).rstrip('.') or 'nothing'}"


def parse_json(body: bytes) -> Any:
    """Return the JSON value in *body*; None if it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return None
