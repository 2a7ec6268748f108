"""Gadgets, which are objects of a test CRD, and an HTTPS client for a cluster other than kubectl."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.support.watches import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.controlplane import ControlPlane


GADGET_CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gadgets.test.example.com"},
    "spec": {
        "group": "test.example.com",
        "scope": "Namespaced",
        "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "selectableFields": [{"jsonPath": ".spec.colour"}],
                "additionalPrinterColumns": [{"name": "Colour", "type": "string", "jsonPath": ".spec.colour"}],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "colour": {"type": "string", "enum": ["red", "green"]},
                                    "size": {"type": "integer", "default": 1},
                                },
                            },
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


def gadget(name: str = "", colour: str = "red", **meta: Any) -> dict[str, Any]:
    meta = {"name": name, **meta} if name else meta
    return {"apiVersion": "test.example.com/v1", "kind": "Gadget", "metadata": meta, "spec": {"colour": colour}}


class Http:
    """Plain HTTPS with the admin's certificate, without kubectl."""

    def __init__(self, cluster: ControlPlane) -> None:
        self.address = urlsplit(cluster.url).netloc
        self.tls = ssl.create_default_context(cafile=str(cluster.directory / "ca.pem"))
        self.tls.load_cert_chain(cluster.directory / "admin.pem")

    @contextmanager
    def open(
        self, method: str, path: str, body: Any = None, agent: str = "test", **headers: str
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPSConnection(self.address, context=self.tls, timeout=60)
        try:
            data = None if body is None else json.dumps(body)
            content = {"Content-Type": "application/json", "User-Agent": agent}
            connection.request(method, path, data, {**content, **headers})
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        with self.open(method, path, body, **options) as response:
            return response.status, json.load(response)

    @contextmanager
    def watching(self, path: str) -> Iterator[Watching]:
        """Watch in a thread from the start, and finally wait for the end of the stream."""
        watching = Watching()

        def read() -> None:
            try:
                with self.open("GET", f"{path}?watch=true") as response:
                    watching.begun.set()
                    for line in response:
                        event = json.loads(line)
                        watching.events.append((event["type"], event["object"]["metadata"]["name"]))
            finally:
                watching.ended.set()

        thread = threading.Thread(target=read)
        thread.start()
        assert watching.begun.wait(60)
        try:
            yield watching
        finally:
            thread.join(60)
        assert watching.ended.is_set()


class Watching:
    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()
        self.events: list[tuple[str, str]] = []

    def first(self) -> None:
        until(lambda: self.events)
