"""The simulator as a running HTTP server."""

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal, TypedDict, Unpack

from aiohttp import web

from demo.simulator.access import Access
from demo.simulator.arm import ResourceManager
from demo.simulator.clock import SimulatedClock
from demo.simulator.control import ControlApi
from demo.simulator.directory import Directory
from demo.simulator.holds import Hold, Holds
from demo.simulator.hosting import HostedServer, response, running
from demo.simulator.lists import Lists
from demo.simulator.messages import Answer, ArmRequest, arm_request
from demo.simulator.quotas import Quotas
from demo.simulator.records import Recorder, RequestRecord
from demo.simulator.tokens import Tokens
from demo.simulator.vaults import BackupVault, Vault

_ABSOLUTE = re.compile(r"https?://[^/?]*", re.IGNORECASE)


class AzureSimulator(HostedServer):
    """
    Azure Resource Manager with Azure Backup behind it, on its own port.

    It runs inside ``async with``. Its methods are thread-safe, also before it runs.
    """

    def __init__(
        self,
        *,
        clock: SimulatedClock | None = None,
        tokens: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
    ) -> None:
        super().__init__(host=host, port=port, tls=tls)
        self.clock = clock or SimulatedClock()
        self.tokens = Tokens({"demo-token": "demo-principal"} if tokens is None else tokens)
        self.directory = Directory(self.clock)
        self.arm = ResourceManager(self.directory, self.tokens, scheme="https" if tls else "http")
        self._holds = Holds()
        self._recorder = Recorder()
        self._control = ControlApi(self)

    async def stop(self) -> None:
        """Release all holds, stop listening, and close all connections."""
        self._holds.release()
        await super().stop()

    def add_vault(self, subscription_id: str, resource_group: str, name: str) -> Vault:
        """Add a Recovery Services vault with its subscription and resource group."""
        return self.directory.add_vault(Vault, subscription_id, resource_group, name)

    def add_backup_vault(self, subscription_id: str, resource_group: str, name: str) -> BackupVault:
        """Add a Backup vault (Microsoft.DataProtection) with its subscription and resource group."""
        return self.directory.add_vault(BackupVault, subscription_id, resource_group, name)

    @property
    def lists(self) -> Lists:
        """The settings of job lists."""
        return self.arm.lists

    @property
    def access(self) -> Access:
        """The role assignments of the principals."""
        return self.arm.access

    @property
    def quotas(self) -> Quotas:
        """The request quotas of the principals."""
        return self.arm.quotas

    def hold(self, path: str = "", *, state_as_of: Literal["release", "arrival"] = "release") -> Hold:
        """Hold requests whose path matches the regular expression *path* until the hold is released."""
        return self._holds.add(path, state_as_of=state_as_of)

    def release_holds(self) -> None:
        """Release all holds."""
        self._holds.release()

    @property
    def requests(self) -> tuple[RequestRecord, ...]:
        """The requests so far, oldest first, without those to the control API."""
        return self._recorder.records()

    def requests_to(self, path: str) -> tuple[RequestRecord, ...]:
        """Return the requests whose path matches a regular expression."""
        return self._recorder.records(path)

    def backup_requests(self) -> Counter[str]:
        """Return how often the backup of each item was requested, by resource ID. Includes refused requests."""
        posts = (record.path for record in self._recorder.records("/backup$") if record.method == "POST")
        return Counter(path.rpartition("/")[0] for path in posts)

    def clear_requests(self) -> None:
        """Clear the recorded requests."""
        self._recorder.clear()

    def wait_requests(self, count: int, *, path: str | None = None, timeout: float = 60.0) -> tuple[RequestRecord, ...]:
        """Block this thread until *count* requests have arrived. Raise TimeoutError after *timeout* seconds."""
        return self._recorder.wait(count, path=path, timeout=timeout)

    async def requests_arrived(
        self,
        count: int,
        *,
        path: str | None = None,
        timeout: float = 60.0,  # noqa: ASYNC109 - the same signature as wait_requests
    ) -> tuple[RequestRecord, ...]:
        """Wait as :meth:`wait_requests` does, without blocking the event loop."""
        return await self._recorder.arrived(count, path=path, timeout=timeout)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        target = _ABSOLUTE.sub("", request.raw_path, count=1)
        if target.startswith(ControlApi.PREFIX):
            return response(self._control.answer(request.method, target, await request.read()))
        authorization = request.headers.get("Authorization")
        principal, body = self.tokens.principal(authorization), await request.read()
        asked = arm_request(request.method, target, request.headers, principal=principal, body=body)
        self._recorder.record(asked)
        return await self._respond(request, asked)

    async def _respond(self, request: web.BaseRequest, asked: ArmRequest) -> web.StreamResponse:
        hold, early = self._holds.find(asked), None
        if hold is not None:
            early = self.arm.answer(asked) if hold.answers_as_of_arrival else None
            await hold.keep()
        return await self._deliver(request, asked, lambda: early or self.arm.answer(asked))

    def _dress(self, answer: Answer, asked: ArmRequest) -> Answer:
        return self.arm.dress(answer, asked)


class Options(TypedDict, total=False):
    """The arguments of :class:`AzureSimulator`."""

    clock: SimulatedClock
    tokens: Mapping[str, str]
    host: str
    port: int
    tls: bool


@contextlib.contextmanager
def running_simulator(**options: Unpack[Options]) -> Iterator[AzureSimulator]:
    """Run a simulator in a separate thread, for synchronous code."""
    with running(AzureSimulator(**options)) as simulator:
        yield simulator
