"""Recorded payloads, and a foreign host that must never receive a token."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, cast

DATA: Final = Path(__file__).parent.parent / "data" / "azure"

SUBSCRIPTION_ID: Final = "6d1f2a3b-4c5d-4e6f-8a7b-9c0d1e2f3a4b"
RESOURCE_GROUP: Final = "rg-harbour-backup"
VAULT: Final = "rsv-harbour"
"""The location of the jobs in the payloads."""
IN_VAULT: Final = {"subscriptionId": SUBSCRIPTION_ID, "resourceGroup": RESOURCE_GROUP, "name": VAULT}
"""The same as ``spec.vault``."""


def payload(name: str) -> dict[str, Any]:
    """Load a payload by file name without ``.json``, as a new copy each time."""
    return cast("dict[str, Any]", json.loads((DATA / f"{name}.json").read_text(encoding="utf-8")))


def payload_names(prefix: str = "") -> list[str]:
    """Return the payload names with this prefix, such as ``job-``."""
    return sorted(path.stem for path in DATA.glob(f"{prefix}*.json"))


@dataclass(frozen=True, slots=True)
class Visit:
    """A request that the foreign host received."""

    method: str
    target: str
    headers: dict[str, str]
    """Header names are lowercase."""


@dataclass(slots=True)
class RecordingServer:
    """A foreign host that returns an empty JSON object to every request, and records the headers."""

    url: str
    _visits: list[Visit] = field(default_factory=list)

    @property
    def visits(self) -> tuple[Visit, ...]:
        """The received requests."""
        return tuple(self._visits)

    def record(self, visit: Visit) -> None:
        """Record a request."""
        self._visits.append(visit)


@contextlib.contextmanager
def recording_server() -> Iterator[RecordingServer]:
    """Run the foreign host on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5.0

        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.record(Visit(self.command, self.path, headers))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"{}")

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
            """Log no requests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        server = RecordingServer(f"http://127.0.0.1:{http_server.server_address[1]}")
        thread = threading.Thread(target=http_server.serve_forever, args=(0.02,), name="recording-server")
        thread.start()
        try:
            yield server
        finally:
            http_server.shutdown()
            thread.join()
