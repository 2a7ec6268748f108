"""Client of the API server: read, list, follow and create watches with the user's permissions."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, urlencode

import aiohttp

from backupjobwatch import __version__
from backupjobwatch.constants import API_VERSION, GROUP, PLURAL
from backupjobwatch.domain.jobs.payloads import mapping, mappings
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.kubectl.access import Access, load
from backupjobwatch.kubectl.errors import NoAnswer, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from kubernetes.aio import client

Body = dict[str, Any]

AGENT: Final = f"kubectl-bjw/{__version__}"
"""The User-Agent, which distinguishes the plugin from the operator in audit logs."""
PAGE: Final = 500
STREAM: Final = 60
"""Seconds after which a stream of changes is reopened, so that a dead connection is noticed."""
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60, sock_connect=10, sock_read=15)
_STREAM_TIMEOUT: Final = aiohttp.ClientTimeout(sock_connect=10, sock_read=STREAM + 15)
_ROOT: Final = f"/apis/{API_VERSION}"
_MESSAGE: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The watches of a list."""

    namespace: str | None
    """None: all namespaces."""
    selector: str | None = None
    """A selector of labels."""
    name: str | None = None

    @property
    def query(self) -> dict[str, str]:
        """The parameters of a list or of a stream."""
        fields = {"fieldSelector": f"metadata.name={self.name}"} if self.name else {}
        return {**fields, **({"labelSelector": self.selector} if self.selector else {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The watches at a resource version."""

    items: list[Body]
    version: str


class Cluster:
    """One API server. All methods raise PluginError if a request fails."""

    def __init__(self, access: Access, api: client.ApiClient, namespace: str) -> None:
        self._access = access
        self._api = api
        self._renewing = asyncio.Lock()
        self.namespace = namespace
        """The default namespace."""

    @classmethod
    @asynccontextmanager
    async def connect(cls, access: Access) -> AsyncGenerator[Self]:
        """Find the API server for *access*, without a request. Close the connections at the end."""
        cluster = cls(access, *await _open(access))
        try:
            yield cluster
        finally:
            await cluster.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def read(self, namespace: str, name: str) -> Body:
        """Read one watch."""
        return await self._ask("GET", f"{_path(namespace)}/{quote(name, safe='')}")

    async def all_of(self, scope: Scope) -> Listing:
        """List watches, page by page."""
        items: list[Body] = []
        query = {**scope.query, "limit": str(PAGE)}
        while True:
            page = await self._ask("GET", _path(scope.namespace), query)
            items += (dict(item) for item in mappings(page.get("items")))
            metadata = mapping(page.get("metadata"))
            if not metadata.get("continue"):
                return Listing(items=items, version=str(metadata.get("resourceVersion") or ""))
            query["continue"] = str(metadata["continue"])

    async def changes(self, scope: Scope, version: str) -> AsyncGenerator[Body]:
        """Yield the changes after a *version*, as ``{type, object}`` and with bookmarks, until the server ends the stream.

        https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
        """
        query = {
            **scope.query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(STREAM),
        }
        response = await self._send("GET", _path(scope.namespace), query, limits=_STREAM_TIMEOUT)
        try:
            async for line in response.content:
                event = _object(line)
                if event is None:
                    raise NoAnswer("the API server's stream is broken")
                told = mapping(event.get("object"))
                if event.get("type") == "ERROR":
                    code = told.get("code")
                    raise Refused(_message(told), code=code if isinstance(code, int) else HTTPStatus.GONE)
                yield {"type": event.get("type"), "object": dict(told)}
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:  # ValueError: a line is too long
            raise NoAnswer(f"the API server's stream was interrupted: {_words(error)}") from error
        finally:
            response.close()

    async def create(self, namespace: str, body: Mapping[str, Any], *, dry_run: bool) -> Body:
        """Create a watch. In a *dry_run* the server validates it and does not store it."""
        query = {"fieldManager": "kubectl-bjw", "fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        return await self._ask("POST", _path(namespace), query, body)

    async def namespaces(self) -> list[str]:
        """List the names of all namespaces."""
        answer = await self._ask("GET", "/api/v1/namespaces", {"limit": str(PAGE)})
        return [str(mapping(item.get("metadata")).get("name")) for item in mappings(answer.get("items"))]

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Body:
        response = await self._send(method, path, query or {}, body)
        try:
            answer = _object(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoAnswer(f"the API server's response was interrupted: {_words(error)}") from error
        if answer is None:
            raise NoAnswer("the API server's response is not a JSON object")
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        limits: aiohttp.ClientTimeout = _TIMEOUT,
    ) -> aiohttp.ClientResponse:
        """Return a successful response whose body is not read yet."""
        api, target = self._api, f"{path}?{urlencode(query)}" if query else path
        response = await _call(api, method, target, body, limits)
        if response.status == HTTPStatus.UNAUTHORIZED:
            # A wait may last longer than a token: get a new one.
            response.close()
            response = await _call(await self._renew(api), method, target, body, limits)
        if response.status < HTTPStatus.BAD_REQUEST:
            return response
        try:
            status = _object(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError):
            status = None
        raise Refused(_refusal(response.status, status), code=response.status)

    async def _renew(self, used: client.ApiClient) -> client.ApiClient:
        async with self._renewing:
            if self._api is used:
                self._api, _ = await _open(self._access)
                await used.close()
            return self._api


async def _open(access: Access) -> tuple[client.ApiClient, str]:
    configuration, namespace = await load(access)
    from kubernetes.aio import client  # noqa: PLC0415 -- see load

    try:
        api = client.ApiClient(configuration)
    except (OSError, ValueError) as error:  # an invalid certificate
        raise NoAnswer(f"the kubeconfig does not work: {_words(error)}") from error
    api.user_agent = AGENT
    return api, namespace


async def _call(
    api: client.ApiClient, method: str, target: str, body: Mapping[str, Any] | None, limits: aiohttp.ClientTimeout
) -> aiohttp.ClientResponse:
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    try:
        request = await api.param_serialize(
            method, target, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        answer = await api.call_api(*request, _request_timeout=limits)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NoAnswer(f"no response from {api.configuration.host}: {_words(error)}") from error
    response: aiohttp.ClientResponse = answer.response
    return response


def _refusal(code: int, status: Mapping[str, Any] | None) -> str:
    told = status or {}
    if code == HTTPStatus.NOT_FOUND and not mapping(told.get("details")).get("kind"):
        return f"the cluster has no BackupJobWatches. Install the CRD {PLURAL}.{GROUP} and the operator first."
    if code == HTTPStatus.UNAUTHORIZED:
        return "the API server refused your credentials (401). Log in, and check with `kubectl auth whoami`."
    causes = [
        f"  {sanitize(str(cause.get('field')), _MESSAGE)}: {sanitize(str(cause.get('message')), _MESSAGE)}"
        for cause in mappings(mapping(told.get("details")).get("causes"))
        if cause.get("field") and cause.get("message")
    ]
    if code == HTTPStatus.UNPROCESSABLE_ENTITY and causes:
        return "\n".join(["the API server refused the watch:", *causes])
    return _message(told) or f"the API server responded with {code}"


def _message(status: Mapping[str, Any]) -> str:
    return sanitize(str(status.get("message") or ""), _MESSAGE)


def _words(error: Exception) -> str:
    return sanitize(f"{type(error).__name__}: {error}", _MESSAGE).removesuffix(": ")


def _path(namespace: str | None) -> str:
    return f"{_ROOT}/namespaces/{quote(namespace, safe='')}/{PLURAL}" if namespace else f"{_ROOT}/{PLURAL}"


def _object(text: bytes) -> Body | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
