"""
Measure only tests that cover lines of their own, because coverage doubles the CPU time of a test.

A worker of pytest-xdist starts coverage only for its first measured test. The command server imports the whole package, and
so measures the lines that run at import.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.commands import ROOT, is_measured

if TYPE_CHECKING:
    from pathlib import Path

_IS_MEASURED: Final = "is_measured"
MEASURED: Final = (
    "unit",
    "functional/arm/test_backup_sender.py",
    "functional/arm/test_credentials.py",
    "functional/arm/test_identities.py",
    "functional/arm/test_identities_cancelled.py",
    "functional/arm/test_poller.py",
    "functional/arm/test_poller_identities.py",
    "functional/arm/test_poller_life.py",
    "functional/arm/test_poller_secondary.py",
    "functional/cli",
    "functional/controller/test_backup_requester.py",
    "functional/controller/test_controller.py",
    "functional/controller/test_kopf_fails.py",
    "functional/controller/test_older_objects.py",
    "functional/controller/test_operator_deletion.py",
    "functional/controller/test_ttl.py",
    "functional/kube/test_events.py",
    "functional/kube/test_leaders_deposed.py",
    "functional/kube/test_terms.py",
    "functional/kube/test_work_queue.py",
    "functional/kube/test_workers.py",
    "functional/notify/test_formats.py",
    "functional/notify/test_receivers.py",
    "functional/notify/test_triggers.py",
    "functional/notify/test_webhooks.py",
    "functional/observability/test_logs.py",
    "functional/terminal/test_watch.py",
    "functional/terminal/test_watch_on_demand.py",
    "functional/terminal/test_watch_on_demand_output.py",
    "functional/terminal/test_watch_scripts.py",
    "functional/terminal/test_watch_sign_in.py",
    "functional/terminal/test_watch_terminal.py",
)
"""Folders and files in ``tests``. The other tests cover few lines that these do not."""


class CoverageScope:
    """Stops or starts coverage only if that changes, because that takes milliseconds."""

    def __init__(self, coverage: Any, *, on: bool) -> None:
        self._coverage = coverage
        self._on = on

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Switch coverage if *item* requires it."""
        self._switch(on=is_in_scope(item.path))

    def pytest_sessionfinish(self) -> None:
        """Save the data. In a worker of pytest-xdist, nothing else does that."""
        self._switch(on=False)
        self._coverage.save()

    def _switch(self, *, on: bool) -> None:
        if on != self._on:
            (self._coverage.start if on else self._coverage.stop)()
            self._on = on


def is_in_scope(path: Path) -> bool:
    """Return whether coverage measures the tests in this file."""
    return any(path.is_relative_to(ROOT / "tests" / each) for each in MEASURED)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist whether it is measured."""
    node.workerinput[_IS_MEASURED] = is_measured()


def pytest_configure(config: pytest.Config) -> None:
    """Control the coverage of this process if it is measured."""
    if is_measured():
        config.pluginmanager.register(CoverageScope(sys.modules["coverage"].Coverage.current(), on=True))
    elif getattr(config, "workerinput", {}).get(_IS_MEASURED):
        from coverage import Coverage

        config.pluginmanager.register(CoverageScope(Coverage(config_file=str(ROOT / "pyproject.toml")), on=False))
