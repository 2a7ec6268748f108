"""Kubernetes API requests over HTTPS, for tests that need more detail or speed than kubectl offers."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import requests
from kubernetes import client, config

from demo.controlplane import ControlPlane
from tests.support.canary import scan

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from demo.controlplane import Cluster

AGENT: Final = "e2e-test"
"""The User-Agent of tests other than kubectl. Faults for the operator do not affect it."""
_ROOT: Final = "/apis/azurebackup.dev/v1alpha1"
WATCHES: Final = f"{_ROOT}/backupjobwatches"


def path_of(namespace: str, name: str = "") -> str:
    """Return the path of a watch, or of all watches in a namespace."""
    return f"{_ROOT}/namespaces/{namespace}/backupjobwatches/{name}".rstrip("/")


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of the API server."""

    status: int
    body: dict[str, Any]


class KubernetesClient:
    """Sends requests with the credentials of a kubeconfig."""

    def __init__(self, cluster: Cluster) -> None:
        access = client.Configuration()
        config.load_kube_config(str(cluster.kubeconfig), client_configuration=access)
        self.access = access
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = access.ssl_ca_cert or True
        if access.cert_file and access.key_file:
            self._session.cert = (access.cert_file, access.key_file)
        self._session.headers.update(headers_for(access))

    def __call__(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **query: str
    ) -> Answer:
        """Send one request."""
        response = self._session.request(
            method,
            f"{self.access.host}{path}",
            params=query,
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": content_type},
            timeout=60,
        )
        return Answer(response.status_code, response.json())

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def create_namespace(client: KubernetesClient, **metadata: dict[str, str]) -> str:
    """Create a namespace with a new name, and return the name."""
    name = f"e2e-{secrets.token_hex(4)}"
    created = client("POST", "/api/v1/namespaces", {"metadata": {"name": name, **metadata}})
    assert created.status == HTTPStatus.CREATED, created
    return name


def drop_namespace(client: KubernetesClient, cluster: Cluster, name: str) -> None:
    """Delete the watches of a namespace, and on a cluster that lasts the namespace too.

    The embedded control plane ends soon, and its deletion of a namespace would empty every kind, which takes 80 ms.
    """
    client("DELETE", path_of(name) if isinstance(cluster, ControlPlane) else f"/api/v1/namespaces/{name}")


def headers_for(access: client.Configuration) -> dict[str, str]:
    token = access.get_api_key_with_prefix("authorization")
    return {"User-Agent": AGENT, "Accept": "application/json", **({"Authorization": token} if token else {})}


@dataclass(frozen=True, slots=True)
class Moment:
    """An event of a watch stream, with the new version of an object."""

    type: str
    body: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.body["metadata"]["namespace"], self.body["metadata"]["name"]


class _Expired(Exception):
    """The stream cannot resume from its last version."""


class Recording:
    """Every version of every BackupJobWatch, from a watch stream that runs inside the context."""

    def __init__(self, cluster: Cluster) -> None:
        self._access = KubernetesClient(cluster).access
        self._moments: list[Moment] = []
        self._news = threading.Condition()
        self._version = ""
        self._stopping = False
        self._connection: http.client.HTTPSConnection | None = None
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)

    def __enter__(self) -> Self:
        self._version = self._list()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping = True
        sock = self._connection.sock if self._connection else None
        if sock is not None:
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        self._thread.join(60)

    def moments(self, namespace: str = "", name: str = "") -> list[Moment]:
        """Return the events so far of an object, of a namespace, or of the cluster."""
        with self._news:
            return [each for each in self._moments if _fits(each, namespace, name)]

    def wait(self, namespace: str, name: str, seen: Callable[[Moment], bool], seconds: float = 60.0) -> None:
        """Block until an event of an object satisfies *seen*."""
        with self._news:
            met = self._news.wait_for(
                lambda: any(_fits(each, namespace, name) and seen(each) for each in self._moments), seconds
            )
        if not met:
            raise TimeoutError(f"the watch stream did not tell of {namespace}/{name}")

    def wait_more(self, namespace: str, name: str, known: int, seconds: float) -> None:
        """Block until an object has more than *known* events, for at most *seconds*."""
        with self._news:
            self._news.wait_for(lambda: len(self.moments(namespace, name)) > known, seconds)

    def _list(self) -> str:
        deadline = time.monotonic() + 60
        while True:
            connection, response = self._open(WATCHES)
            listing = json.load(response)
            connection.close()
            if response.status == requests.codes.ok:
                with self._news:
                    self._moments += [Moment("LISTED", item) for item in listing["items"]]
                return str(listing["metadata"]["resourceVersion"])
            if time.monotonic() > deadline:
                raise RuntimeError(f"watches cannot be listed: {listing}")
            time.sleep(0.1)  # a CRD is established shortly before the API server serves it

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._read()
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.1)  # a test injected a fault; the stream resumes from its last version
            except _Expired:
                self._version = ""  # the CRD was replaced, so list the current objects again

    def _read(self) -> None:
        self._version = self._version or self._list()
        query = f"watch=true&allowWatchBookmarks=true&resourceVersion={self._version}"
        self._connection, response = self._open(f"{WATCHES}?{query}")
        try:
            if response.status != requests.codes.ok:  # the API server does not serve a changed CRD for a moment
                raise _Expired if response.status == requests.codes.gone else ConnectionError(response.reason)
            for line in response:
                scan("the watch stream", line.decode())
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _Expired
                with self._news:
                    self._version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        self._moments.append(Moment(event["type"], event["object"]))
                    self._news.notify_all()
        finally:
            response.close()
            self._connection.close()

    def _open(self, target: str) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        url, access = urlsplit(self._access.host), self._access
        tls = ssl.create_default_context(cafile=access.ssl_ca_cert)
        if access.cert_file:
            tls.load_cert_chain(access.cert_file, access.key_file)
        connection = http.client.HTTPSConnection(url.netloc, context=tls)
        try:
            connection.request("GET", url.path.rstrip("/") + target, headers=headers_for(access))
            return connection, connection.getresponse()
        except BaseException:
            connection.close()
            raise


def _fits(moment: Moment, namespace: str, name: str) -> bool:
    return namespace in ("", moment.key[0]) and name in ("", moment.key[1])
