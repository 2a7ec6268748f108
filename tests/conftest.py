"""What all tests share: settings of the machine do not reach them, and a test that reveals a secret fails."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.canary import LISTENER, describe, hear

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

pytest_plugins = ["tests.support.session_findings", "tests.support.coverage_scope"]

os.environ.pop("COVERAGE_PROCESS_START", None)  # it was for this process: commands under test start coverage themselves

KUBECONFIG: Final = Path(tempfile.mkdtemp(prefix="backupjobwatch-tests-")) / "kubeconfig"
"""Where the tests' own clusters are told of. The kubernetes library reads the variable once, when it is imported."""

os.environ["KUBECONFIG"] = str(KUBECONFIG)

_FOREIGN: Final = ("AZURE_", "BACKUPJOBWATCH_", "IDENTITY_", "MSI_", "IMDS_", "KUBERNETES_SERVICE_")
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.upper().startswith(_FOREIGN) or variable.upper() in _PROXIES:
            monkeypatch.delenv(variable)


def pytest_unconfigure() -> None:
    shutil.rmtree(KUBECONFIG.parent)


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """Logging is the process's: for tests that set it up as the operator does, which hears nothing meanwhile."""
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in logging.root.manager.loggerDict)]
    before = [(logger, logger.handlers, logger.level) for logger in loggers]
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)
    logging.disable(logging.NOTSET)
    for logger, handlers, level in before:
        logger.handlers = handlers
        logger.setLevel(level)


# ── the canary: see tests/support/canary.py ──────────────────────────────────────────────────────────────────────────

_HEARD: Final = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "plants(*places): tells a secret on purpose; the claim is that it is heard in each of these places"
    )
    root = logging.getLogger()
    root.addHandler(LISTENER)
    root.setLevel(logging.DEBUG)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail the test during which a secret was told."""
    report = yield
    for name, text in report.sections:
        if name.endswith(call.when):
            hear(name, text)
    complaint = _complaint(item, call.when)
    if complaint and report.failed:
        report.sections.append(("The canary", complaint))
    elif complaint:
        report.outcome, report.longrepr = "failed", complaint
    return report


def _complaint(item: pytest.Item, when: str) -> str:
    findings = LISTENER.take()
    marker = item.get_closest_marker("plants")
    if marker is None:
        return describe(findings)
    heard = item.stash.setdefault(_HEARD, [])
    heard += findings
    missed = [place for place in marker.args if not any(finding.startswith(place) for finding in heard)]
    return f"What was planted is not heard in {missed}, but in {heard}." if missed and when == "teardown" else ""
