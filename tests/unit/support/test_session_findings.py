"""The checks at the end of a session cover all workers of pytest-xdist, and fail the session."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.commands import ROOT
from tests.support.session_findings import Findings, complaints, merge

if TYPE_CHECKING:
    from pathlib import Path

TWO_TESTS = """
import time, pytest
from tests.support.session_findings import FINDINGS

{late}

@pytest.mark.parametrize("number", range(2))
def test_one_per_worker(number, request, worker_id, tmp_path_factory):
    arrived = tmp_path_factory.getbasetemp().parent
    (arrived / f"arrived-{{number}}").touch()
    deadline = time.monotonic() + 100
    while len(list(arrived.glob("arrived-*"))) < 2:  # one worker cannot run both
        assert time.monotonic() < deadline
        time.sleep(0.02)
    findings, first = request.config.stash[FINDINGS], number == 0
    {body}
"""


def run_two_workers(
    folder: Path, body: str, *, late: str = "", failing: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run *body* in each of two workers, with *late* at module level."""
    text = TWO_TESTS.format(body=body, late=late)
    if failing:
        text += "\n\ndef test_failing(): assert False\n"
    file = folder / "test_two.py"
    file.write_text(text)
    options = [
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "-c",
        str(ROOT / "pyproject.toml"),
        "-n2",
        "--dist=load",
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(file)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def test_a_session_without_findings(tmp_path: Path) -> None:
    """A session of two workers passes with pytest's usual summary line. It mentions skipped tests once."""
    done = run_two_workers(tmp_path, "findings.complete, findings.unused, findings.skipped = True, [], 7")
    assert done.returncode == 0, done.stdout
    assert re.search(r"=+ 2 passed in .*=+$", done.stdout.strip())
    assert done.stdout.count("E2E=skip skipped all 7 tests") == 1


def test_a_secret_after_the_last_test_of_a_worker(tmp_path: Path) -> None:
    """The secret fails the session, and the output shows its place, even if it is not valid UTF-8."""
    late = (
        "import logging\n"
        "from tests.support.canary import WORD\n"
        "class Late:\n"
        "    @pytest.hookimpl(tryfirst=True)\n"
        "    def pytest_sessionfinish(self): logging.getLogger('late').debug(WORD + '\\\\udc80')\n"
    )
    done = run_two_workers(tmp_path, "if first: request.config.pluginmanager.register(Late())", late=late)
    assert "2 passed" in done.stdout
    assert "A secret leaked:\nthe log of late: …" in done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED


FIRST = "['get a', 'get b'], ['list secrets in the cluster']"
UNUSED = (
    f"findings.complete = True; findings.unused, findings.ungranted = ({FIRST}) if first else (['get b', 'get c'], [])"
)


def test_grants(tmp_path: Path) -> None:
    """The session fails if a worker sent an ungranted request, or if no worker used a grant."""
    done = run_two_workers(tmp_path, UNUSED)
    assert "2 passed" in done.stdout
    assert done.stdout.count("No role grants: list secrets in the cluster") == 1
    assert re.findall("No test needs: (.*)", done.stdout) == ["get b"]
    assert done.returncode == pytest.ExitCode.TESTS_FAILED


def test_a_failed_test_and_a_worker_without_api_server(tmp_path: Path) -> None:
    """A failed test may need the unused grants. The summary has the reason if only one worker has no API server."""
    body = f"{UNUSED}; findings.unavailable = '' if first else 'No Debian here.'"
    done = run_two_workers(tmp_path, body, failing=True)
    assert "1 failed, 2 passed" in done.stdout
    assert "No test needs" not in done.stdout
    assert "END-TO-END TESTS COULD NOT RUN" in done.stdout
    assert "No Debian here." in done.stdout


@pytest.mark.parametrize(
    ("parts", "passed", "expected"),
    [
        ([Findings()], True, []),
        ([Findings(complete=True)], True, []),
        ([Findings(complete=True, unused=["a"])], True, ["No test needs: a"]),
        ([Findings(complete=True, unused=["a"])], False, []),
        ([Findings(complete=False, unused=["a"])], True, []),
        # A worker without a control plane has no recorded requests.
        ([Findings(complete=True, unused=["a"]), Findings(complete=True)], True, ["No test needs: a"]),
        ([Findings(complete=True, unused=["a"]), Findings(complete=True, unused=[])], True, []),
        (
            [Findings(ungranted=["a", "b"]), Findings(ungranted=["b"])],
            False,
            ["No role grants: a", "No role grants: b"],
        ),
        ([Findings(secrets=["x: …"]), Findings(secrets=["y: …"])], False, ["A secret leaked:\nx: …\ny: …"]),
    ],
)
def test_merged(parts: list[Findings], passed: bool, expected: list[str]) -> None:  # noqa: FBT001
    """The findings of all processes are merged."""
    assert list(complaints(merge(parts), passed=passed)) == expected
