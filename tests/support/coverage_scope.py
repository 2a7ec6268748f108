"""
Run tests without coverage if other tests cover the same lines, because coverage doubles the CPU time of a test.

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

_MEASURED: Final = "measured"
UNMEASURED: Final = (
    "contract",
    "property",
    # The most expensive functional tests.
    "functional/test_faults.py",
    "functional/test_fuzz_answers.py",
    "functional/test_gates.py",
    "functional/arm/test_identities_apart.py",
    "functional/arm/test_identities_entra.py",
    "functional/arm/test_identities_life.py",
    "functional/arm/test_poller_budget.py",
    "functional/arm/test_poller_fresh.py",
    "functional/arm/test_poller_lists.py",
    "functional/arm/test_poller_pages.py",
    "functional/arm/test_proxies.py",
    "functional/controller/test_deadlines_fresh.py",
    "functional/controller/test_fuzz_objects.py",
    "functional/controller/test_leaks.py",
    "functional/controller/test_list_failures.py",
    "functional/controller/test_long_lists.py",
    "functional/controller/test_many_end_at_once.py",
    "functional/controller/test_operator_calm.py",
    "functional/controller/test_operator_job_changes.py",
    "functional/controller/test_operator_latest.py",
    "functional/controller/test_operator_lifecycle.py",
    "functional/controller/test_operator_many.py",
    "functional/controller/test_operator_on_demand.py",
    "functional/controller/test_operator_queues.py",
    "functional/controller/test_operator_races.py",
    "functional/controller/test_operator_requests.py",
    "functional/controller/test_operator_sources.py",
    "functional/controller/test_operator_status.py",
    "functional/controller/test_operator_stream.py",
    "functional/controller/test_operator_turns.py",
    "functional/controller/test_operator_writes.py",
    "functional/controller/test_small_bursts.py",
    "functional/controller/test_tenants_requests.py",
    "functional/controller/test_throttled_kinds.py",
    "functional/notify/test_argocd.py",
    "functional/notify/test_concurrency.py",
    "functional/notify/test_notifications.py",
    "functional/observability/test_metrics.py",
    "functional/observability/test_metrics_endpoint.py",
    "functional/terminal/test_watch_rules.py",
)
"""Folders and files in ``tests``."""


class CoverageScope:
    """Stops or starts coverage only if that changes, because that takes milliseconds."""

    def __init__(self, coverage: Any, *, on: bool) -> None:
        self._coverage = coverage
        self._on = on

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Switch coverage if *item* requires it."""
        self._switch(on=is_wanted(item.path))

    def pytest_sessionfinish(self) -> None:
        """Save the data. In a worker of pytest-xdist, nothing else does that."""
        self._switch(on=False)
        self._coverage.save()

    def _switch(self, *, on: bool) -> None:
        if on != self._on:
            (self._coverage.start if on else self._coverage.stop)()
            self._on = on


def is_wanted(path: Path) -> bool:
    """Return whether coverage measures the tests in this file."""
    return not any(path.is_relative_to(ROOT / "tests" / each) for each in UNMEASURED)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist whether it is measured."""
    node.workerinput[_MEASURED] = is_measured()


def pytest_configure(config: pytest.Config) -> None:
    """Control the coverage of this process if it is measured."""
    if is_measured():
        config.pluginmanager.register(CoverageScope(sys.modules["coverage"].Coverage.current(), on=True))
    elif getattr(config, "workerinput", {}).get(_MEASURED):
        from coverage import Coverage

        config.pluginmanager.register(CoverageScope(Coverage(config_file=str(ROOT / "pyproject.toml")), on=False))
