"""A small Kubernetes API server in the test's event loop, accurate in what the operator uses.

It serves discovery, lists (complete, paged or metadata only), and watch streams with bookmarks and 410. It also serves the
status subresource with its preconditions and the CRD's schema, Events, Leases, ServiceAccounts and Secrets.
Tests can inject faults into every request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import yaml
from aiohttp import web

from backupjobwatch.constants import API_VERSION, KIND, PLURAL
from demo.ports import reserved_port
from tests.support.canary import WORD
from tests.support.kubernetes_discovery import discovery
from tests.support.kubernetes_gitops import GitopsObjects
from tests.support.kubernetes_identities import Identities
from tests.support.kubernetes_leases import Leases
from tests.support.kubernetes_objects import Objects, Refused
from tests.support.kubernetes_streams import Streams
from tests.support.kubernetes_traffic import Request, Rule, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

NAMESPACE: Final = "team-a"
NAME: Final = "nightly"
TOKEN: Final = f"cluster-token-{WORD}"
STATUS_WRITES: Final = r"^PUT .*/status$"
EVENT_POSTS: Final = r"^POST .*/events$"
DELETIONS: Final = r"^DELETE .*/backupjobwatches/[^/]+$"

_PATH = re.compile(
    rf"/apis/{API_VERSION}(/namespaces/(?P<namespace>[^/]+))?/{PLURAL}(/(?P<name>[^/]+)(?P<status>/status)?)?"
)
_EVENTS = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/events")
_METADATA_ONLY = "as=PartialObjectMetadataList"
_T = TypeVar("_T")
_DESCRIBED: Final = 20  # limits the watches in a timeout message


class KubernetesApi:
    """An API server on its own port inside ``async with``, with controls for tests."""

    def __init__(self, kubeconfig: Path) -> None:
        self.objects = Objects()
        self.identities = Identities()
        self.gitops = GitopsObjects()
        self.leases = Leases()
        self.traffic = Traffic()
        self.crd_installed = True
        self._kubeconfig = kubeconfig
        self._port = 0
        self._runner: web.ServerRunner | None = None
        self._reservation = contextlib.ExitStack()
        self.streams = Streams(self.objects)
        self._happening = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._port = self._reservation.enter_context(reserved_port())
        await self.come_back()
        self._kubeconfig.write_text(_kubeconfig(f"http://127.0.0.1:{self._port}"), encoding="utf-8")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.go_away()
        self._reservation.close()
        self._kubeconfig.unlink(missing_ok=True)

    # ── availability ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def come_back(self) -> None:
        """Start to listen."""
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._port).start()
        self._runner = runner

    async def go_away(self) -> None:
        """Drop all connections, and refuse new ones."""
        runner, self._runner = self._runner, None
        if runner is None or runner.server is None:
            return
        self.traffic.release()
        transports = [connection.transport for connection in runner.server.connections]
        self.cut_streams()
        for transport in filter(None, transports):
            transport.abort()
        await runner.cleanup()

    def cut_streams(self) -> None:
        """Drop the connections of all watch streams."""
        self.streams.cut()

    def compact(self) -> None:
        """Drop the history, so that a watch stream from an earlier version gets a 410."""
        self.objects.compacted = self.objects.version

    def swallow(self, event: str, name: str = NAME) -> None:
        """Drop the next watch event of that type for that object."""
        self.streams.swallow(event, name)

    @property
    def watched(self) -> int:
        """The number of open watch streams."""
        return len(self.streams)

    # ── test actions ─────────────────────────────────────────────────────────────────────────────────────────────────

    def create(
        self,
        spec: Mapping[str, Any],
        name: str = NAME,
        *,
        namespace: str = NAMESPACE,
        checked: bool = True,
        **metadata: Any,
    ) -> None:
        """Apply a new watch."""
        self.objects.create((namespace, name), spec, metadata, checked=checked)
        self._announce()

    def plant(self, body: Mapping[str, Any]) -> None:
        """Recreate a watch with its previous content and status, and a new UID."""
        metadata = body["metadata"]
        self.objects.plant((metadata["namespace"], metadata["name"]), body)
        self._announce()

    def edit(self, name: str = NAME, *, namespace: str = NAMESPACE, **spec: Any) -> None:
        """Change fields of the spec. None removes a field."""
        self.objects.edit((namespace, name), spec, {})
        self._announce()

    def annotate(self, name: str = NAME, *, namespace: str = NAMESPACE, **annotations: str | None) -> None:
        """Set annotations. In a name, ``__`` means a slash and ``_`` a dot. None removes an annotation."""
        named = {key.replace("__", "/").replace("_", "."): value for key, value in annotations.items()}
        self.objects.edit((namespace, name), {}, named)
        self._announce()

    def delete(self, name: str = NAME, *, namespace: str = NAMESPACE) -> None:
        """Delete a watch, immediately unless a finalizer blocks it."""
        self.objects.delete((namespace, name))
        self._announce()

    def get(self, name: str = NAME, *, namespace: str = NAMESPACE) -> dict[str, Any]:
        """Read a watch."""
        return self.objects.get((namespace, name))

    async def status(self, name: str = NAME, *, namespace: str = NAMESPACE, **expected: Any) -> dict[str, Any]:
        """Wait until the status of a watch has these values, and return it."""

        def find() -> dict[str, Any] | None:
            status: dict[str, Any] = self.objects.get((namespace, name)).get("status", {})
            return status if all(status.get(field) == value for field, value in expected.items()) else None

        return await self.until(find)

    async def until(self, find: Callable[[], _T | None], *, within: float = 120.0) -> _T:
        """Call *find* after every change, and ten times a second, until it returns something. Return that."""
        try:
            async with asyncio.timeout(within):
                while not (found := find()):
                    asyncio.get_running_loop().call_later(0.1, self._happening.set)
                    await self._happening.wait()
                    self._happening.clear()
                return found
        except TimeoutError:
            raise AssertionError(f"it did not come to that: {self._describe()}") from None

    def writes(self, name: str = NAME) -> list[dict[str, Any]]:
        """Return the statuses written to a watch, oldest first."""
        return [
            dict(change.after["status"])
            for change in self.objects.history
            if change.part == "status" and change.after["metadata"]["name"] == name
        ]

    def events(self) -> list[dict[str, Any]]:
        """Return the Events, oldest first."""
        return list(self.objects.events.values())

    async def events_emitted(self, count: int) -> list[dict[str, Any]]:
        """Wait for this number of Events, and return them."""
        return await self.until(lambda: self.events() if len(self.events()) == count else None)

    def _describe(self) -> str:
        statuses = {body["metadata"]["name"]: body.get("status") for body in self.objects.find(None)[:_DESCRIBED]}
        lines = [f"{request.line} {request.status}" for request in self.traffic.requests[-10:]]
        return json.dumps({"statuses": statuses, "requests": lines}, indent=1)

    # ── operator requests ────────────────────────────────────────────────────────────────────────────────────────────

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        text = await http.read()
        request = Request(
            method=http.method,
            path=http.path,
            query=dict(http.query),
            user_agent=http.headers.get("User-Agent", ""),
            body=json.loads(text) if text else None,
        )
        rule = await self.traffic.admit(request)
        self._happening.set()
        if http.transport is None or http.transport.is_closing():
            return web.Response()  # the client disconnected, so the request has no effect
        try:
            _authenticate(http)
            if rule is not None and not rule.late:
                return self._fail(http, request, rule)
            if request.query.get("watch") == "true":
                return await self._watch(http, request)
            answer = self._answer(request, accept=http.headers.get("Accept", ""))
        except Refused as refused:
            return self._refuse(request, refused)
        self._announce()
        if rule is not None:
            return self._fail(http, request, rule)
        request.status = 201 if request.method == "POST" else 200
        return web.json_response(answer, status=request.status)

    async def _watch(self, http: web.BaseRequest, request: Request) -> web.StreamResponse:
        match = _PATH.fullmatch(request.path)
        if match is None or not self.crd_installed:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        request.status = 200
        # The stream opens when this task next runs.
        asyncio.get_running_loop().call_soon(self._happening.set)
        return await self.streams.serve(http, match["namespace"])

    def _fail(self, http: web.BaseRequest, request: Request, rule: Rule) -> web.Response:
        if rule.status is None:
            if http.transport is not None:
                http.transport.abort()
            return web.Response()
        if rule.body is not None:
            request.status = rule.status
            return web.Response(status=rule.status, text=rule.body)
        return self._refuse(request, Refused(rule.status, "MadeToFail", rule.message))

    def _refuse(self, request: Request, refused: Refused) -> web.Response:
        request.status = refused.code
        self._happening.set()
        return web.json_response(refused.as_status(), status=refused.code)

    def _answer(self, request: Request, *, accept: str) -> dict[str, Any]:
        if request.method == "GET" and (found := discovery(crd_installed=self.crd_installed).get(request.path)):
            return found
        for others in (self.identities, self.gitops, self.leases):
            if found := others.answer(request):
                return found
        if match := _EVENTS.fullmatch(request.path):
            if request.method == "POST":
                return self.objects.create_event(match["namespace"], request.body)
        elif match := _PATH.fullmatch(request.path):
            return self._answer_watches(request, match, accept)
        raise Refused(403, "Forbidden", f"User backupjobwatch cannot {request.line}")

    def _answer_watches(self, request: Request, match: re.Match[str], accept: str) -> dict[str, Any]:
        if not self.crd_installed:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        key = (match["namespace"], match["name"])
        if match["status"] and request.method == "PUT":
            return self.objects.put_status(key, request.body)
        if request.method == "DELETE" and key[1] is not None:
            self.objects.delete(key, request.body["preconditions"])
            return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        if request.method == "GET":
            return self._list(request, match["namespace"], accept) if key[1] is None else self.objects.get(key)
        raise Refused(403, "Forbidden", f"User backupjobwatch cannot {request.line}")

    def _list(self, request: Request, namespace: str | None, accept: str) -> dict[str, Any]:
        items, metadata = self.objects.find_page(namespace, request.query)
        if _METADATA_ONLY in accept:
            parts = [{"metadata": item["metadata"]} for item in items]
            kind = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
            return {**kind, "metadata": metadata, "items": parts}
        return {"kind": f"{KIND}List", "apiVersion": API_VERSION, "metadata": metadata, "items": items}

    def _announce(self) -> None:
        self.streams.send_changes()
        self._happening.set()


def _kubeconfig(server: str) -> str:
    parts = {"cluster": {"server": server}, "user": {"token": TOKEN}, "context": {"cluster": "test", "user": "test"}}
    lists = {f"{kind}s": [{"name": "test", kind: part}] for kind, part in parts.items()}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "test", **lists})


def _authenticate(http: web.BaseRequest) -> None:
    if http.headers.get("Authorization") != f"Bearer {TOKEN}":
        raise Refused(401, "Unauthorized", "Unauthorized")
