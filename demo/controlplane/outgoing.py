"""A client's request on its way to the API server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from yarl import URL

if TYPE_CHECKING:
    from aiohttp import web

HOP_BY_HOP = ("Host", "Content-Length", "Transfer-Encoding", "Connection")
JSON = "application/json"


class Outgoing:
    """What is to be sent, at first the same that came in."""

    def __init__(self, request: web.Request, body: bytes) -> None:
        self.method = request.method
        self.path = request.raw_path
        """With the query, percent-encoded as the client wrote it."""
        self.headers = request.headers.copy()
        for name in HOP_BY_HOP:
            self.headers.popall(name, None)
        self.body = body
        self.translated = False
        """Whether names in the answer are to be translated."""

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0]

    def url(self, base: str) -> URL:
        return URL(base + self.path, encoded=True)

    def send(self, body: Any, content_type: str) -> None:
        self.body = json.dumps(body).encode()
        self.headers["Content-Type"] = content_type

    def translate(self, path: str) -> None:
        """Go to *path* instead, and ask for an answer in which names can be translated."""
        self.path = path
        self.translated = True
        self.headers.popall("Accept-Encoding", None)  # compressed, it could not be read
        formats = [part for part in self.headers.get("Accept", "").split(",") if "protobuf" not in part]
        self.headers["Accept"] = ",".join(formats) or JSON

    def select(self, selector: str) -> None:
        """Narrow a list down by one more label selector."""
        url = URL(self.path, encoded=True)
        selectors = filter(None, (url.query.get("labelSelector"), selector))
        self.path = str(url.update_query(labelSelector=",".join(selectors)))
