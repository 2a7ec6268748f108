"""The search for planted secrets finds them in every form, in logs and output, and fails the run."""

from __future__ import annotations

import base64
import logging
import re
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.support.canary import TOKEN, WORD, SecretScanner
from tests.support.command import invoke
from tests.support.commands import ROOT
from tests.support.identities import ServiceAccountIssuer, new_certificate

if TYPE_CHECKING:
    from pathlib import Path


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SECRETS = {
    "a token": f"Authorization: Bearer {TOKEN}",
    "a signature": f"https://x.blob.core.windows.net/c?sv=2024&sig=abc{WORD}%2Fdef%3D",
    "a quoted one": repr({"password": f"p-{WORD}\n"}),
    "a percent-encoded one": quote(f"ä{WORD}/", safe=""),
    **{f"base64, {count} bytes in": in_base64(f"{'x' * count}{WORD}-1") for count in range(4)},
    "a ServiceAccount's token": ServiceAccountIssuer().token("system:serviceaccount:a:b"),
    "a private key": new_certificate()[0],
    "a private key in a Secret": in_base64(new_certificate()[0]),
}


@pytest.mark.parametrize("name", SECRETS)
def test_finds_secrets(name: str) -> None:
    """A secret is found in every form. It is reported once, with its place and the text around it."""
    scanner = SecretScanner()
    scanner.scan("an Event", f"It is said that {SECRETS[name]}.")
    (finding,) = scanner.take()
    assert re.match("an Event: …It is said that ", finding)
    assert scanner.take() == []


@pytest.mark.parametrize("text", ["", "eyJhbGciOiJub25lIn0", "[token]", "sig=[…]", WORD[:-1], new_certificate()[1]])
def test_ignores_redacted_text(text: str) -> None:
    """Redacted remains of a secret and a certificate without its key are allowed."""
    scanner = SecretScanner()
    scanner.scan("an Event", text)
    assert scanner.take() == []


def test_a_leak_in_a_loop_takes_no_memory() -> None:
    """Only some findings of a repeated secret are kept."""
    scanner = SecretScanner()
    for _ in range(1000):
        scanner.scan("an Event", "x" * 10_000 + WORD + "x" * 10_000)
    findings = scanner.take()
    assert 1 < len(findings) < 100
    assert max(map(len, findings)) < 1000


# ── what is logged and printed ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.plants("the log of anybody")
@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
def test_scans_messages(level: int) -> None:
    """A secret in a log message is found, for any logger and level."""
    logging.getLogger("anybody").log(level, "a token: %s", TOKEN)


@pytest.mark.plants("the log of anybody")
def test_scans_extra_fields() -> None:
    """A secret in the extra fields of a record is found, because JSON logs contain them."""
    logging.getLogger("anybody").debug("asked", extra={"headers": {"Authorization": TOKEN}})


@pytest.mark.plants("the log of anybody")
def test_scans_tracebacks() -> None:
    """A secret in the cause of a logged exception is found."""
    try:
        int(TOKEN)
    except ValueError as error:
        failure = OSError("no")
        failure.__cause__ = error
        logging.getLogger("anybody").debug("failed", exc_info=failure)


@pytest.mark.plants("Captured stdout call", "Captured stderr call")
def test_scans_printed_output() -> None:
    """A secret in the output of this process or a subprocess is found."""
    sys.stdout.write(f"{WORD}\n")
    subprocess.run(["sh", "-c", f"echo {WORD} >&2"], check=True)


@pytest.mark.plants("backupjobwatch check")
def test_scans_the_output_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret in the output of `backupjobwatch check` is found. Here it is the name of an unknown variable."""
    monkeypatch.setenv(f"BACKUPJOBWATCH_{WORD}", "1")
    assert invoke("check").exit_code == 2


# ── the end of the run ───────────────────────────────────────────────────────────────────────────────────────────────

PLANTED = """
import logging, pytest
from tests.support.canary import WORD, scan

def test_innocent(): logging.getLogger("x").error("nothing")
def test_log(): logging.getLogger("x").debug(WORD)
def test_failing():
    scan("an Event", WORD)
    assert False

@pytest.fixture
def cleanup():
    yield
    scan("a status", WORD)

def test_cleanup(cleanup): pass

@pytest.mark.plants("the log of y")
def test_not_found(): scan("the log of x", WORD)
"""
LATE = """
import logging, pytest
from tests.support.canary import WORD

class Late:
    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self): logging.getLogger("late").debug(WORD)

def test_innocent(request): request.config.pluginmanager.register(Late())
"""


def run_pytest(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run the tests in *text* with the search that is active in this run."""
    file = folder / "test_planted.py"
    file.write_text(text)
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), str(file)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=ROOT, capture_output=True, text=True, timeout=250, check=False
    )


def test_a_secret_fails_the_test_that_leaked_it(tmp_path: Path) -> None:
    """A secret fails its test, even during cleanup, and the summary shows the place. A planted one must be found."""
    done = run_pytest(tmp_path, PLANTED)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert re.search(r"2 failed, 3 passed, 2 errors in", done.stdout), done.stdout
    for line in (
        f"the log of x: …{WORD}",
        f"an Event: …{WORD}",
        f"a status: …{WORD}",
        "The planted secret is not in ['the log of y']",
    ):
        assert line in done.stdout


def test_a_secret_after_the_last_test_fails_the_run(tmp_path: Path) -> None:
    """A secret after the last test makes the exit code that of failed tests."""
    done = run_pytest(tmp_path, LATE)
    assert "1 passed" in done.stdout
    assert f"A secret leaked:\nthe log of late: …{WORD}" in done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
