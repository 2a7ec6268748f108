"""Record the requests to the API server, with their User-Agents and response statuses."""

from __future__ import annotations

import re
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]))?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<subresource>.+))?$"
)
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
KEPT = 200_000
"""The number of recorded requests: hours of a busy operator, in at most about 100 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request to the API server, with its attributes in RBAC."""

    method: str
    path: str
    query: str
    agent: str
    """The User-Agent."""
    status: int | None
    """None if the connection was dropped without a response."""

    def _part(self, name: str) -> str:
        match = PATH.match(self.path)
        return (match[name] or "") if match else ""

    @property
    def group(self) -> str:
        return self._part("group")

    @property
    def namespace(self) -> str:
        return self._part("namespace")

    @property
    def resource(self) -> str:
        """The resource with its subresource, such as ``backupjobwatches/status``. Empty for discovery."""
        return "/".join(filter(None, (self._part("resource"), self._part("subresource"))))

    @property
    def name(self) -> str:
        return self._part("name")

    @property
    def verb(self) -> str:
        """The RBAC verb: get, list, watch, create, update, patch, delete or deletecollection."""
        match self.method:
            case "GET" | "HEAD" if is_watch(self.method, self.query):
                return "watch"
            case "GET" | "HEAD":
                return "list" if self.resource and not self.name else "get"
            case "DELETE":
                return "delete" if self.name else "deletecollection"
            case method:
                return VERBS.get(method, method.lower())


def is_watch(method: str, query: str) -> bool:
    """Return whether a request opens a watch stream."""
    return method == "GET" and parse_qs(query).get("watch", ["false"])[-1].lower() in ("true", "1")


class Traffic:
    """The recorded requests, oldest first, without the API server's own. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: deque[Request] = deque(maxlen=KEPT)

    def record(self, request: Request) -> None:
        with self._lock:
            self._requests.append(request)

    def clear(self) -> None:
        with self._lock:
            self._requests.clear()

    def all(self) -> list[Request]:
        with self._lock:
            return list(self._requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.all())

    def __len__(self) -> int:
        return len(self._requests)

    def where(self, *, verb: str = "", method: str = "", path: str = "", agent: str = "") -> list[Request]:
        """Return the requests of a verb and method whose path and User-Agent match regular expressions."""
        return [
            request
            for request in self.all()
            if verb in ("", request.verb)
            and method in ("", request.method)
            and re.search(path, request.path)
            and re.search(agent, request.agent)
        ]
