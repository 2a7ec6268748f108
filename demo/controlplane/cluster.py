"""
A real Kubernetes API server that needs no Docker, cluster or root.

etcd and the API server run as child processes. The API server is Kubernetes' own apiextensions-apiserver, which
serves CustomResourceDefinitions and custom resources as in any cluster (see ``build``), or a kube-apiserver that
you provide. The front runs in this process: it listens with TLS on 127.0.0.1 and accepts only the client
certificate in the kubeconfig.

    async with ControlPlane() as cluster: ...       # cluster.kubeconfig is a path
    with running_control_plane() as cluster: ...    # the same for code that blocks

No scheduler and no controllers run here: dependents of deleted owners are not garbage-collected and events do not
expire. The user of the kubeconfig may do everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

import aiohttp
from aiohttp import web

from demo.ports import reserved_port

from . import certificates
from .binaries import Binaries, find_binaries
from .errors import ControlPlaneUnavailable
from .front import Front
from .kinds import CRDS
from .processes import Processes
from .service_accounts import ISSUER, SigningKey
from .upstream import OK, Upstream

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from .faults import Faults
    from .traffic import Traffic

START_TIMEOUT = 180
LOOPBACK = "127.0.0.1"
UNUSED_ADMISSION = "MutatingAdmissionWebhook,MutatingAdmissionPolicy,ValidatingAdmissionWebhook"
"""NamespaceLifecycle and ValidatingAdmissionPolicy stay enabled. Objects for the other plugins are never created."""


class Cluster:
    """An API server that a kubeconfig points to."""

    kubeconfig: Path
    kubectl_cache: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables for kubectl and operators."""
        # kubectl caches discovery by host and port, which the next control plane may reuse.
        return {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.kubectl_cache)}


class ControlPlane(Cluster):
    """An embedded control plane that runs until its context exits."""

    url: str
    faults: Faults
    requests: Traffic
    service_account_issuer = ISSUER
    service_account_public_key: str
    """The PEM key that verifies ServiceAccount tokens (RS256)."""

    def __init__(self, directory: Path | None = None, binaries: Binaries | None = None) -> None:
        """Keep the objects in *directory* for the next run. Without it, they are deleted at the end."""
        self._kept = directory
        self._binaries = binaries
        self._stack = contextlib.AsyncExitStack()
        self.processes: Processes

    async def __aenter__(self) -> Self:
        binaries = await asyncio.to_thread(find_binaries) if self._binaries is None else self._binaries
        async with contextlib.AsyncExitStack() as stack:
            self.directory = self._open_directory(stack)
            self.kubeconfig = self.directory / "kubeconfig"
            self.kubectl_cache = self.directory / "kubectl-cache"
            self.processes = Processes(self.directory)
            try:
                async with asyncio.timeout(START_TIMEOUT):
                    await self._start(binaries, stack)
            except TimeoutError as error:
                words = self.processes.recent_output()
                raise ControlPlaneUnavailable(
                    f"the API server was not ready in {START_TIMEOUT} s:\n{words}\n"
                ) from error
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _open_directory(self, stack: contextlib.AsyncExitStack) -> Path:
        if self._kept is None:
            directory = Path(tempfile.mkdtemp(prefix="control-plane-"))
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            return directory
        directory = self._kept.absolute()
        directory.mkdir(parents=True, exist_ok=True)
        lock = stack.enter_context((directory / "lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ControlPlaneUnavailable(f"another control plane runs in {directory}") from error
        return directory

    async def _start(self, binaries: Binaries, stack: contextlib.AsyncExitStack) -> None:
        listener = socket.create_server((LOOPBACK, 0))
        stack.callback(listener.close)
        port = stack.enter_context(reserved_port())
        server_tls, client_tls = certificates.issue(self.directory)
        key = SigningKey()
        key.write(self.directory / certificates.SIGNING_KEY)
        self.service_account_public_key = key.public_pem
        self.url = f"https://{LOOPBACK}:{listener.getsockname()[1]}"
        certificates.write_kubeconfig(self.kubeconfig, self.url)

        stack.push_async_callback(self.processes.stop)
        # Start the front before the API server, which reads namespaces and services through it.
        upstream = Upstream(f"https://{LOOPBACK}:{port}", await stack.enter_async_context(client(client_tls)))
        front = Front(upstream, key, complete=binaries.complete)
        self.faults, self.requests = front.gate.faults, front.gate.requests
        stack.callback(front.close)
        runner = web.AppRunner(front.app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, listener, ssl_context=server_tls).start()

        self.processes.spawn(binaries.etcd, *etcd_flags())
        flags = kube_apiserver_flags(port) if binaries.complete else crd_apiserver_flags(port)
        self.processes.spawn(binaries.apiserver, *flags)
        await self._until_ok(upstream, CRDS)
        await front.open()
        await self._until_ok(upstream, "/readyz")

    async def _until_ok(self, upstream: Upstream, path: str) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError, ValueError):
                status, _ = await upstream.call("GET", path)
                if status == OK:
                    return
            if exit_report := self.processes.exit_report():
                raise ControlPlaneUnavailable(exit_report)
            await asyncio.sleep(0.05)


def client(tls: ssl.SSLContext) -> aiohttp.ClientSession:
    """Return a session for the front that limits no connections and decompresses no responses."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls, limit=0),
        timeout=aiohttp.ClientTimeout(sock_connect=5),
        auto_decompress=False,
        read_bufsize=2**20,
        skip_auto_headers=("Accept-Encoding", "User-Agent", "Content-Type"),
    )


def etcd_flags() -> list[str]:
    return [
        "--data-dir=etcd",
        "--unsafe-no-fsync",
        "--log-level=error",
        # Relative to the working directory: the path of a Unix socket is limited to about 100 bytes.
        "--listen-client-urls=unix://etcd.sock",
        "--advertise-client-urls=http://localhost:1",
        "--listen-peer-urls=unix://etcd-peer.sock",
    ]


def common_flags(port: int) -> list[str]:
    return [
        "--etcd-servers=unix:etcd.sock",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        f"--tls-cert-file={certificates.SERVER}",
        f"--tls-private-key-file={certificates.SERVER}",
        f"--client-ca-file={certificates.CA}",
    ]


def crd_apiserver_flags(port: int) -> list[str]:
    return [
        *common_flags(port),
        # The server reads core/v1 through the front: /readyz needs it.
        "--kubeconfig=kubeconfig",
        "--authentication-kubeconfig=kubeconfig",
        "--authorization-kubeconfig=kubeconfig",
        "--authentication-skip-lookup",
        f"--disable-admission-plugins={UNUSED_ADMISSION}",
        "--enable-priority-and-fairness=false",
        "--enable-garbage-collector=false",  # no controller would finish a foreground deletion
    ]


def kube_apiserver_flags(port: int) -> list[str]:
    """
    Return the flags of controller-runtime's envtest that are needed here.

    The tests of this project do not cover them, because they have no kube-apiserver.
    """
    return [
        *common_flags(port),
        "--advertise-address=127.0.0.1",
        "--cert-dir=certificates",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={certificates.SIGNING_KEY}",
        f"--service-account-signing-key-file={certificates.SIGNING_KEY}",
        "--disable-admission-plugins=ServiceAccount",  # no controller creates the default ServiceAccounts it requires
    ]


@contextlib.contextmanager
def running_control_plane(directory: Path | None = None, binaries: Binaries | None = None) -> Iterator[ControlPlane]:
    """Run a control plane in a separate thread, for synchronous callers."""
    # Build the binaries in this thread, which a signal can interrupt.
    cluster = ControlPlane(directory, find_binaries() if binaries is None else binaries)
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    failure: BaseException | None = None

    async def hold() -> None:
        async with cluster:
            ready.set()
            await stop.wait()

    async def serve() -> None:
        holding, stopping = asyncio.create_task(hold()), asyncio.create_task(stop.wait())
        await asyncio.wait({holding, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.is_set():  # the caller was interrupted during the start
            holding.cancel()
        stopping.cancel()
        await holding

    def run() -> None:
        nonlocal failure
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(serve())
        except BaseException as error:  # noqa: BLE001  # raised in the caller's thread
            failure = error
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="control-plane")
    try:
        thread.start()
        ready.wait()
        if failure is None:
            yield cluster
    finally:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(stop.set)
        with contextlib.suppress(RuntimeError):  # a signal interrupted start(): the thread stops by itself
            thread.join()
    if failure is not None:
        raise failure
