"""
Fetch Prometheus and promtool from Debian's archive, without root.

The package is unpacked into a cache, and no maintainer script runs. Only the web interface needs the dependencies
of the package, apart from the C library. apt verifies the signatures of the archive.
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
"""The oldest suite with OpenMetrics support in Prometheus. Its binaries also run with later C libraries."""
PACKAGE = "prometheus"
PROGRAMS = ("prometheus", "promtool")
LOG_TAIL = 1500


class PrometheusUnavailable(Exception):
    """Prometheus is not available. The message gives the reason and the alternatives."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why.rstrip('.')}. What else can be done: put `prometheus` and `promtool` on PATH, or name the folder that "
            "has them with PROMETHEUS_ASSETS."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """The paths of the server, and of the tool that checks and tests rules."""

    prometheus: Path
    promtool: Path


def find_binaries() -> Binaries:
    """
    Return the binaries in PROMETHEUS_ASSETS, or those on PATH, or those from Debian's archive.

    The last are downloaded once (20 MB). Raises PrometheusUnavailable if that fails.
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
            raise PrometheusUnavailable(f"{program} does not exist or is not executable")
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
            f"Fetching Prometheus from Debian's archive requires {' and '.join(missing)} on PATH"
        )
    if not KEYRING.exists():
        raise PrometheusUnavailable(
            f"Fetching Prometheus from Debian's archive requires {KEYRING}. Install the package debian-archive-keyring"
        )
    _cache().mkdir(parents=True, exist_ok=True)
    with locked(_cache() / "lock"):
        if ready.exists():  # by the process that held the lock
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
            made.rename(ready)  # atomically, so that no reader sees an incomplete directory
    return ready
