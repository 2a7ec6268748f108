"""
Prometheus and promtool, from Debian's archive: no root, nothing installed.

The package is unpacked into a cache; no maintainer script runs. Its dependencies are the web interface's, but for the C
library. The archive's signatures are checked, as apt always does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from demo.controlplane.build import KEYRING, TOOLS, Apt, debian_mirror, locked, tell

SUITE = "bookworm"
"""The oldest suite with a Prometheus that speaks OpenMetrics: what it needs of the C library, every later one has."""
PACKAGE = "prometheus"
PROGRAMS = ("prometheus", "promtool")
LOG_TAIL = 1500


class PrometheusUnavailable(Exception):
    """There is no Prometheus to be had here; the message says why, and what else can be done."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why.rstrip('.')}. What else can be done: put `prometheus` and `promtool` on PATH, or name the folder that "
            "has them with PROMETHEUS_ASSETS."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """The server, and the tool that checks rules and runs their unit tests."""

    prometheus: Path
    promtool: Path


def find_binaries() -> Binaries:
    """
    Return what PROMETHEUS_ASSETS names, else what is on PATH, else Debian's, fetching it if need be (20 MB, once).

    PrometheusUnavailable if none can be had.
    """
    if named := os.environ.get("PROMETHEUS_ASSETS"):
        return _binaries_in(Path(named).absolute())
    on_path = [shutil.which(name) for name in PROGRAMS]
    if all(on_path):
        prometheus, promtool = (Path(found) for found in on_path if found)
        return Binaries(prometheus=prometheus, promtool=promtool)
    return _binaries_in(_fetch())


def _binaries_in(folder: Path) -> Binaries:
    found = [folder / name for name in PROGRAMS]
    for program in found:
        if not os.access(program, os.X_OK):
            raise PrometheusUnavailable(f"{program} is not there, or cannot be executed")
    return Binaries(prometheus=found[0], promtool=found[1])


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "backupjobwatch" / "prometheus"


def _fetch() -> Path:
    ready = _cache() / "bin"
    if ready.exists():
        return ready
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        raise PrometheusUnavailable(
            f"Fetching Prometheus from Debian's archive needs {' and '.join(missing)}, not found here"
        )
    if not KEYRING.exists():
        raise PrometheusUnavailable(f"Fetching Prometheus from Debian's archive needs {KEYRING}, not found here")
    _cache().mkdir(parents=True, exist_ok=True)
    with locked(_cache() / "lock"):
        if ready.exists():  # by whom we waited for
            return ready
        tell("Fetching Prometheus from Debian's archive, once (20 MB)")
        log_path = _cache() / "fetch.log"
        with tempfile.TemporaryDirectory(dir=_cache()) as scratch, log_path.open("w+") as log:
            try:
                apt = Apt(Path(scratch) / "apt", debian_mirror(), log, suite=SUITE)
                apt.unpack([PACKAGE], Path(scratch) / "tree")
                made = Path(scratch) / "bin"
                made.mkdir()
                for name in PROGRAMS:
                    shutil.move(Path(scratch) / "tree/usr/bin" / name, made / name)
            except (subprocess.CalledProcessError, OSError) as error:
                log.flush()
                raise PrometheusUnavailable(
                    f"Prometheus could not be fetched from {SUITE} of {debian_mirror()}: {error}\n"
                    f"The end of {log_path}:\n{log_path.read_text()[-LOG_TAIL:]}\n"
                ) from error
            made.rename(ready)  # at once, so that nobody ever sees half of it
    return ready
