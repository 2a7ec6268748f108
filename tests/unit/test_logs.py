"""Log lines: text for people, JSON for collectors, UTC in both, and the libraries' chatter turned down."""

from __future__ import annotations

import json
import logging
import re

import pytest

from backupjobwatch.logs import configure_logs
from backupjobwatch.settings import Settings

pytestmark = pytest.mark.usefixtures("logging_restored")

QUIET = ("kopf", "kopf.objects", "azure", "msal", "urllib3", "aiohttp.access", "asyncio")


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    """One line: time in UTC, level, message; on standard error."""
    configure_logs(Settings())
    logging.getLogger("backupjobwatch.step").info("team-a/%s: done", "nightly")
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO    team-a/nightly: done\n", err)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One object per line, with what was given beside the message, and tracebacks in a field of their own."""
    configure_logs(Settings(log_format="json"))
    logger = logging.getLogger("backupjobwatch.arm.client")
    logger.warning("two\nlines “ü”", extra={"request_id": "one", "seconds": 0.25})
    try:
        int("broken")
    except ValueError:
        logger.exception("failed")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first.pop("time"))
    assert first == {
        "level": "WARNING",
        "logger": "backupjobwatch.arm.client",
        "message": "two\nlines “ü”",
        "request_id": "one",
        "seconds": 0.25,
    }
    assert "ValueError: invalid literal" in second["exc_info"]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_level(capsys: pytest.CaptureFixture[str], level: str) -> None:
    """What is less serious than the level is not logged."""
    configure_logs(Settings(log_level=level))  # type: ignore[arg-type]
    names = ["debug", "info", "warning", "error"]
    for name in names:
        logging.getLogger("backupjobwatch").log(getattr(logging, name.upper()), name)
    logged = [line.split()[-1] for line in capsys.readouterr().err.splitlines()]
    assert logged == names[names.index(level) :]


@pytest.mark.parametrize("name", QUIET)
def test_libraries_are_quiet(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Every tick and every request of every watch is nobody's news, at any level; what goes wrong is."""
    configure_logs(Settings(log_level="debug"))
    logging.getLogger(f"{name}.part").info("chatter")
    # urllib3's warnings are of broken answers, with their URLs: what matters of them is in the status.
    logging.getLogger(f"{name}.part").log(logging.ERROR if name == "urllib3" else logging.WARNING, "news")
    assert "chatter" not in (err := capsys.readouterr().err)
    assert "news" in err


def test_libraries_are_as_quiet_as_we_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Where only errors are logged, libraries do not warn."""
    configure_logs(Settings(log_level="error"))
    logging.getLogger("kopf.objects").warning("news")
    assert capsys.readouterr().err == ""


def test_may_be_configured_again(capsys: pytest.CaptureFixture[str]) -> None:
    """A second call takes the place of the first: no line comes twice."""
    configure_logs(Settings())
    configure_logs(Settings())
    logging.getLogger("backupjobwatch").info("once")
    assert capsys.readouterr().err.count("once") == 1
