"""Read the CPU time and memory of processes from the kernel."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

_TICK: Final = os.sysconf("SC_CLK_TCK")
_MEGABYTE: Final = 1e6
_PACKAGES: Final = ("aiohttp", "backupjobwatch", "kopf", "kubernetes", "requests")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process: all threads, in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident memory of a process, in MB (10^6 bytes)."""

    now: float
    peak: float
    """The maximum since the process started."""


def memory(pid: int) -> Memory:
    """Return the memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = {name: int(size) * 1024 / _MEGABYTE for name, size in re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", text)}
    return Memory(now=found["VmRSS"], peak=found["VmHWM"])


def machine() -> dict[str, Any]:
    """Return the hardware, the load and the software versions of this machine."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"model name\s*:\s*(.+)", cpuinfo)
    return {
        "cores": os.cpu_count(),
        "cpu": model[1] if model else platform.machine(),
        "system": platform.platform(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }
