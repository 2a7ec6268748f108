"""Shared by all tests: isolation from settings of the machine, and a check that fails a test that leaks a secret."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings

from tests.support.canary import SCANNER, describe, scan
from tests.support.scale import SOAK

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

pytest_plugins = ["tests.support.session_findings", "tests.support.coverage_scope"]

KUBECONFIG: Final = Path(tempfile.mkdtemp(prefix="backupjobwatch-tests-")) / "kubeconfig"
"""The kubeconfig of the test clusters. The kubernetes library reads the variable only once, at import."""

os.environ["KUBECONFIG"] = str(KUBECONFIG)
os.environ.setdefault("GOGC", "400")  # garbage collection took a third of the CPU time of API servers, kubectl and helm

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background commands with SIGINT ignored, and the commands that tests interrupt would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is slow. Only `make soak` tries other examples in each run, because a commit should pass or fail each time.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=not SOAK)
settings.load_profile("tests")

_FOREIGN: Final = ("AZURE_", "BACKUPJOBWATCH_", "IDENTITY_", "MSI_", "IMDS_", "KUBERNETES_SERVICE_")
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.upper().startswith(_FOREIGN) or variable.upper() in _PROXIES:
            monkeypatch.delenv(variable)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage now, and never visit the thousands of collected tests again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure() -> None:
    shutil.rmtree(KUBECONFIG.parent)


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """Restore the logging of the process after a test that configures it like the operator."""
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

_FOUND: Final = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "plants(*places): leaks a secret on purpose; the test fails if the scan does not find it in each of these places",
    )
    root = logging.getLogger()
    root.addHandler(SCANNER)
    root.setLevel(logging.DEBUG)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail the test that leaked a secret."""
    report = yield
    for name, text in report.sections:
        if name.endswith(call.when):
            scan(name, text)
    complaint = _complaint(item, call.when)
    if complaint and report.failed:
        report.sections.append(("The canary", complaint))
    elif complaint:
        report.outcome, report.longrepr = "failed", complaint
    return report


def _complaint(item: pytest.Item, when: str) -> str:
    findings = SCANNER.take()
    marker = item.get_closest_marker("plants")
    if marker is None:
        return describe(findings)
    found = item.stash.setdefault(_FOUND, [])
    found += findings
    missed = [place for place in marker.args if not any(finding.startswith(place) for finding in found)]
    return f"The planted secret is not in {missed}, but in {found}." if missed and when == "teardown" else ""
