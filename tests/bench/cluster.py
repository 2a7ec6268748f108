"""Create the watches in the API server, and observe each write of a status."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
import yaml

from tests.bench.api_server import AGENT
from tests.bench.azure import VAULTS, job_id
from tests.bench.child import Child
from tests.support.commands import ROOT
from tests.support.watches import condition, manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

CRD: Final = ROOT / "crds" / "backupjobwatches.azurebackup.dev.yaml"
_CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_WATCHES: Final = "/apis/azurebackup.dev/v1alpha1"
_CONNECTIONS: Final = 24
_CONFLICT: Final = 409
_TOO_MANY: Final = 429


@dataclass(slots=True)
class WatchTimes:
    """The Unix times of changes in the watch stream, by job number."""

    polled: dict[int, float] = field(default_factory=dict)
    """When a status first reported a poll of the current generation."""
    opened: dict[int, float] = field(default_factory=dict)
    """When the gate opened."""
    changes: int = 0
    streaming: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the watch stream is open. A new API server refuses some streams with 429."""
    failure: BaseException | None = None
    """The error that ended the watch stream."""

    def see(self, body: Mapping[str, Any], now: float) -> None:
        """Record one version of a watch."""
        self.changes += 1
        number, status = number_of(body["metadata"]["name"]), body.get("status", {})
        if status.get("observedGeneration") != body["metadata"]["generation"] or not status.get("lastPollTime"):
            return
        self.polled.setdefault(number, now)
        # The peer writes no conditions, so its gate is the phase.
        ready = condition(body, "Ready").get("status", "True")
        if status.get("phase") == "Succeeded" and ready == "True":
            self.opened.setdefault(number, now)


def watch_name(number: int) -> str:
    """Return the name of the watch for a job."""
    return f"watch-{number:05}"


def number_of(name: str) -> int:
    """Return the number of a watch's job."""
    return int(name.rpartition("-")[2])


def namespace_of(number: int) -> str:
    """Return the namespace of a watch. There is one namespace per vault."""
    return f"team-{number % VAULTS:02}"


class Cluster:
    """An embedded control plane in separate processes."""

    def __init__(self, child: Child, http: aiohttp.ClientSession) -> None:
        self._child = child
        self._http = http

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, directory: Path) -> AsyncIterator[Self]:
        """Run a control plane on the objects stored in *directory*."""
        # Save CPU time at the expense of memory: the API server shares the cores with the operator.
        child = await Child.start("tests.bench.api_server", str(directory), GOGC="800")
        try:
            tls = ssl.create_default_context(cafile=str(directory / "ca.pem"))
            tls.load_cert_chain(directory / "admin.pem")
            connector = aiohttp.TCPConnector(ssl=tls, limit=0)
            timeout = aiohttp.ClientTimeout(sock_connect=10)
            async with aiohttp.ClientSession(
                child.hello["url"],
                connector=connector,
                timeout=timeout,
                headers={"User-Agent": AGENT},
                read_bufsize=2**20,
            ) as http:
                yield cls(child, http)
        finally:
            await child.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point an operator at this control plane."""
        environment: dict[str, str] = self._child.hello["environment"]
        return environment

    @property
    def pids(self) -> dict[str, int]:
        """The process IDs of the control plane, by program."""
        hello = self._child.hello
        return {"front": hello["pid"], **hello["pids"]}

    async def clear(self) -> None:
        """Restart the count of requests at zero."""
        await self._child.request("clear")

    async def count(self) -> dict[str, int]:
        """Return the operator's requests since the last clear."""
        counts: dict[str, int] = await self._child.request("count")
        return counts

    async def fill(self, watches: int, interval: str) -> None:
        """Create the CRD, a namespace for each vault, and the watches."""
        await self._call("POST", _CRDS, yaml.safe_load(CRD.read_text(encoding="utf-8")))
        async with asyncio.timeout(30):
            while await self._call("GET", f"{_WATCHES}/backupjobwatches", may_fail=True) is None:  # noqa: ASYNC110 -- no event signals it
                await asyncio.sleep(0.1)
        for vault in range(VAULTS):
            metadata = {"name": namespace_of(vault)}
            await self._call(
                "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            )
        numbers = iter(range(watches))

        async def create() -> None:
            for number in numbers:
                body = manifest(watch_name(number), {"jobResourceId": job_id(number), "pollInterval": interval})
                await self._call("POST", f"{_WATCHES}/namespaces/{namespace_of(number)}/backupjobwatches", body)

        await asyncio.gather(*(create() for _ in range(_CONNECTIONS)))

    @contextlib.asynccontextmanager
    async def seen(self) -> AsyncIterator[WatchTimes]:
        """Observe the watches until the context exits."""
        times = WatchTimes()
        found = await self._call("GET", f"{_WATCHES}/backupjobwatches?limit=1")
        following = asyncio.create_task(self._follow(times, found["metadata"]["resourceVersion"]))

        def note_failure(task: asyncio.Task[None]) -> None:
            times.failure = None if task.cancelled() else task.exception()

        following.add_done_callback(note_failure)
        try:
            await asyncio.wait_for(times.streaming.wait(), 30)
            yield times
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following

    async def _follow(self, times: WatchTimes, version: str) -> None:
        while True:  # the API server ends streams from time to time
            parameters = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "3600"}
            async with self._http.get(f"{_WATCHES}/backupjobwatches", params=parameters) as response:
                if response.status == _TOO_MANY:
                    await asyncio.sleep(0.1)
                    continue
                response.raise_for_status()
                times.streaming.set()
                begun = b""
                async for data in response.content.iter_any():
                    now = time.time()
                    *lines, begun = (begun + data).split(b"\n")
                    for line in lines:
                        body = json.loads(line)["object"]
                        version = body["metadata"]["resourceVersion"]
                        times.see(body, now)

    async def _call(self, method: str, path: str, body: Any = None, *, may_fail: bool = False) -> Any:
        async with self._http.request(method, path, json=body) as response:
            if response.status >= 300 and response.status != _CONFLICT:
                if may_fail:
                    return None
                raise RuntimeError(f"{method} {path}: {response.status} {await response.text()}")
            return await response.json()


async def make_objects(directory: Path, watches: int, interval: str) -> float:
    """Create watches in a control plane that stores them in *directory*. Return the seconds it took."""
    started = time.monotonic()
    async with Cluster.running(directory) as cluster:
        await cluster.fill(watches, interval)
    return time.monotonic() - started


def copied(objects: Path, directory: Path) -> Path:
    """Copy the objects to *directory*, so that each operator starts with the same data."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(objects, directory, ignore=shutil.ignore_patterns("*.sock", "lock", "*.log", "kubectl-cache"))
    return directory
