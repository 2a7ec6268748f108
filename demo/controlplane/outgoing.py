"""A client's request that the front forwards to the API server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from yarl import URL

if TYPE_CHECKING:
    from aiohttp import web

HOP_BY_HOP = ("Host", "Content-Length", "Transfer-Encoding", "Connection")
JSON = "application/json"


class Outgoing:
    """The request to send. It starts as a copy of the client's request."""

    def __init__(self, request: web.Request, body: bytes) -> None:
        self.method = request.method
        self.path = request.raw_path
        """The path with the query, percent-encoded as the client sent it."""
        self.headers = request.headers.copy()
        for name in HOP_BY_HOP:
            self.headers.popall(name, None)
        self.body = body
        self.translated = False
        """Whether the front translates the names in the response."""

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0]

    def url(self, base: str) -> URL:
        return URL(base + self.path, encoded=True)

    def send(self, body: Any, content_type: str) -> None:
        self.body = json.dumps(body).encode()
        self.headers["Content-Type"] = content_type

    def translate(self, path: str) -> None:
        """Send the request to *path* instead, and request a response that the front can translate."""
        self.path = path
        self.translated = True
        self.headers.popall("Accept-Encoding", None)  # the front cannot translate a compressed response
        formats = [part for part in self.headers.get("Accept", "").split(",") if "protobuf" not in part]
        self.headers["Accept"] = ",".join(formats) or JSON

    def select(self, selector: str) -> None:
        """Add a label selector to a list request."""
        url = URL(self.path, encoded=True)
        selectors = filter(None, (url.query.get("labelSelector"), selector))
        self.path = str(url.update_query(labelSelector=",".join(selectors)))
