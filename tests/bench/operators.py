"""The three operators in the benchmark, each in its own process."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

import aiohttp

from backupjobwatch.observability.metrics import catalogue
from backupjobwatch.settings import Settings
from demo.ports import reserved_port
from tests.bench.azure import TOKEN
from tests.bench.pulse import VARIABLE
from tests.support.commands import ROOT
from tests.support.operator_process import clean_environment
from tests.support.scrape import Scrape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.bench.cluster import WatchTimes

READS_PER_SECOND: Final[float] = Settings.model_fields["azure_reads_per_second"].default
"""The operator's default."""
_PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The counters of an operator since its start."""

    ticks: float
    """The number of ticks of all watches."""
    loop_lags: Mapping[float, float]
    """The cumulative histogram of the event-loop lag: seconds to number of samples."""
    loop_lag_sum: float
    overdue: float | None = None
    """The lag of the most overdue poll in seconds, or None if the operator does not report it."""
    details: Mapping[str, float] = field(default_factory=dict)


class Operator(ABC):
    """An operator that the benchmark can start, observe and stop."""

    name: ClassVar[str]
    polls: ClassVar[bool] = True
    """Whether the operator sends requests to Azure."""
    modules: ClassVar[Sequence[str]]
    """The module to run and its arguments."""
    program: ClassVar[str]
    """The module that contains the operator."""

    @classmethod
    def compile(cls, folder: Path) -> None:
        """Compile the modules in advance, as in an image, so that start-up does not include it."""
        subprocess.run([sys.executable, "-c", f"import {cls.program}"], env=_python(folder), cwd=ROOT, check=True)

    def __init__(self, folder: Path, environment: Mapping[str, str], azure: str) -> None:
        self.log = folder / f"{self.name}.log"
        with self.log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self.modules],
                env={**_python(folder), **environment, **self._variables(folder, azure)},
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def failure(self) -> str:
        """The exit code and the end of the log if the operator has exited, else an empty string."""
        if self._process.poll() is None:
            return ""
        return f"{self.name} ended with exit code {self._process.returncode}:\n{self.log.read_text()[-2000:]}"

    def tracebacks(self) -> int:
        """Return the number of tracebacks in the log."""
        return self.log.read_text(encoding="utf-8", errors="replace").count("Traceback")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @abstractmethod
    async def progress(self) -> Progress:
        """Return the current counters."""

    async def polled(self, times: WatchTimes) -> int:
        """Return the number of watches that have been polled at least once."""
        return len(times.polled)

    @abstractmethod
    def _variables(self, folder: Path, azure: str) -> dict[str, str]:
        """Return the environment variables of this operator."""


class Ours(Operator):
    """BackupJobWatch, as users run it."""

    name = "ours"
    modules = ("backupjobwatch", "run")
    program = "backupjobwatch.cli.run"

    def _variables(self, folder: Path, azure: str) -> dict[str, str]:
        self._reservation = contextlib.ExitStack()
        self._port = self._reservation.enter_context(reserved_port())
        settings = {
            "AZURE_ENDPOINT": azure,
            "DEVELOPMENT": "true",
            "DEVELOPMENT_TOKEN": TOKEN,
            "OPERATOR_IDENTITY_NAMESPACES": "*",
            "PROBE_PORT": "0",
            "METRICS_PORT": str(self._port),
        }
        # The image sets MALLOC_ARENA_MAX too.
        return {f"BACKUPJOBWATCH_{name}": value for name, value in settings.items()} | {"MALLOC_ARENA_MAX": "2"}

    def stop(self) -> None:
        super().stop()
        self._reservation.close()

    async def progress(self) -> Progress:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as http,
            http.get(f"http://127.0.0.1:{self._port}/metrics") as answer,
        ):
            scrape = Scrape(await answer.text())
        reads, lag, late = catalogue.READS.name, catalogue.LOOP_LAG.name, catalogue.POLL_LAG.name
        answers = {each: scrape.value(reads, answer=each) for each in catalogue.ANSWERS}
        writes = {
            f"writes_{each}": scrape.value(catalogue.WRITES.name, reason=each, result="written")
            for each in catalogue.WRITE_REASONS
        }
        polls = {f"poll_lag_le_{bound:g}": _bucket(scrape, late, bound) for bound in catalogue.POLL_LAG.buckets}
        return Progress(
            ticks=scrape.value(f"{late}_count"),
            loop_lags={
                **{bound: _bucket(scrape, lag, bound) for bound in catalogue.LOOP_LAG.buckets},
                float("inf"): scrape.value(f"{lag}_count"),
            },
            loop_lag_sum=scrape.value(f"{lag}_sum"),
            overdue=scrape.value(catalogue.OVERDUE.name),
            details={**answers, **writes, **polls, "polls": scrape.value(f"{late}_count")},
        )


class _Pulsing(Operator):
    def _variables(self, folder: Path, azure: str) -> dict[str, str]:
        self._pulse = folder / f"{self.name}.pulse"
        self._pulse.unlink(missing_ok=True)
        return {VARIABLE: str(self._pulse), "BENCH_AZURE": azure, "BENCH_TOKEN": TOKEN}

    def beats(self) -> list[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError):
            return [json.loads(line) for line in self._pulse.read_text().splitlines(keepends=True) if line[-1] == "\n"]
        return []

    async def progress(self) -> Progress:
        beats = self.beats()
        lags = [beat["lag"] for beat in beats]
        bounds = (*catalogue.LOOP_LAG.buckets, float("inf"))
        return Progress(
            ticks=beats[-1]["ticks"] if beats else 0,
            loop_lags={bound: sum(lag <= bound for lag in lags) for bound in bounds},
            loop_lag_sum=sum(lags),
        )


class Floor(_Pulsing):
    """A kopf operator whose timers do nothing."""

    name = "floor"
    polls = False
    modules = ("tests.bench.floor",)
    program = "tests.bench.floor"

    async def polled(self, times: WatchTimes) -> int:
        beats = self.beats()
        return beats[-1]["ticked"] if beats else 0


class Peer(_Pulsing):
    """A simple operator with one GET and one patch per watch and tick."""

    name = "peer"
    modules = ("tests.bench.peer",)
    program = "tests.bench.peer"


OPERATORS: Final[tuple[type[Operator], ...]] = (Floor, Peer, Ours)


def _bucket(scrape: Scrape, name: str, bound: float) -> float:
    return scrape.value(f"{name}_bucket", le=str(float(bound)))


def _python(folder: Path) -> dict[str, str]:
    """Return the environment for a Python that caches its bytecode in *folder*."""
    environment = clean_environment(PYTHONPATH=str(ROOT), PYTHONPYCACHEPREFIX=str(folder / "bytecode"))
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment
