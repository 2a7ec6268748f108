"""`make demo` prints its steps in order, with growing durations, and its cluster works in a second terminal."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from demo.__main__ import ENVIRONMENT, LOG, STEPS
from demo.stage import ROOT
from tests.support.watches import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(300)

LIMIT: Final = 240.0
"""Seconds for the whole demo on a busy machine. On an idle machine it takes 35."""
LAST: Final = "Ctrl-C in this"
DURATION: Final = re.compile(r" (?:(\d+)m)?(\d+)s +\S+$")


@contextlib.contextmanager
def running_demo(
    home: Path, *, until_line: str = LAST, number: signal.Signals = signal.SIGINT, code: int = 0
) -> Iterator[list[str]]:
    """Run the demo with a temporary home, and yield its output up to a line. Then send a signal and check the exit code."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    with subprocess.Popen(
        [sys.executable, "-m", "demo", "--keep"],
        cwd=ROOT,
        env={**os.environ, "HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": cache},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        timer = threading.Timer(LIMIT, process.kill)
        timer.start()
        try:
            lines: list[str] = []
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if until_line in line:
                    break
            assert until_line in lines[-1], "\n".join(lines)
            yield lines
        finally:
            process.send_signal(number)
            rest = process.stdout.read()
            timer.cancel()
        assert process.wait() == code, rest


def programs_of(home: Path) -> list[str]:
    """Return the command lines of the running processes whose environment contains *home*."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the process has ended, or belongs to another user
            if f"TMPDIR={home}\0".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def test_demo(tmp_path: Path) -> None:
    """The steps come in order, with no other output between them. The demo writes no files to the home."""
    with running_demo(tmp_path) as lines:
        text = "\n".join(lines)
        assert re.findall(r"^\[(\d)/(\d)\]", text, re.MULTILINE) == [
            (str(number), str(STEPS)) for number in range(1, STEPS + 1)
        ]
        assert not re.search(r"<invalid>|<unknown>|Traceback|INFO|WARNING|  $", text)
        assert "JobCompletedWithWarnings" in text
        assert re.search(r"^- 4 watches succeeded and 2 failed:", text, re.MULTILINE)
        assert text.count("backupjobwatch.azurebackup.dev/before-upgrade condition met") == 1
        assert max(len(line) for line in lines if not line.startswith(("The BackupJobWatch", "  backup"))) <= 120
        assert_durations_grow(lines)
        assert "JobInProgress" in LOG.read_text(encoding="utf-8")

        command = f'. "{ENVIRONMENT}" && kubectl bjw list --output name && backupjobwatch check'
        used = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert "backupjobwatch.azurebackup.dev/nightly-backup" in used.stdout, used.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("number", "line", "programs"),
    [(signal.SIGHUP, "[1/6]", ("-m demo",)), (signal.SIGTERM, "[3/6]", ("-m demo", "backupjobwatch run", "etcd"))],
)
def test_signals(tmp_path: Path, number: signal.Signals, line: str, programs: tuple[str, ...]) -> None:
    """SIGHUP during the start and SIGTERM later stop every program of the demo, and no files remain."""
    with running_demo(tmp_path, until_line=line, number=number, code=128 + number):
        until(lambda: all(program in "\n".join(programs_of(tmp_path)) for program in programs), "the programs")
    until(lambda: not programs_of(tmp_path), "the end of all programs")
    assert list(tmp_path.iterdir()) == []


def assert_durations_grow(lines: list[str]) -> None:
    """Assert that the durations of each watch grow from the first table to the last."""
    last: dict[str, int] = {}
    for line in lines:
        name = line.partition(" ")[0]
        found = DURATION.search(line)
        if found and name in ("nightly-backup", "restore", "broken-agent", "with-warnings"):
            seconds = int(found[1] or 0) * 60 + int(found[2])
            assert seconds >= last.get(name, 0), line
            last[name] = seconds
    assert last == {"nightly-backup": 1223, "restore": 88, "broken-agent": 903, "with-warnings": 2282}
