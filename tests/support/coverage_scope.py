"""Run tests without coverage if other tests cover the same lines, because coverage doubles the CPU time of a test."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.commands import ROOT, is_measured

if TYPE_CHECKING:
    from pathlib import Path

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

    def __init__(self, coverage: Any) -> None:
        self._coverage = coverage
        self._on = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Switch coverage if *item* requires it."""
        wanted = is_wanted(item.path)
        if wanted != self._on:
            (self._coverage.start if wanted else self._coverage.stop)()
            self._on = wanted


def is_wanted(path: Path) -> bool:
    """Return whether coverage measures the tests in this file."""
    return not any(path.is_relative_to(ROOT / "tests" / each) for each in UNMEASURED)


def pytest_configure(config: pytest.Config) -> None:
    """Control the coverage of this process if it is measured."""
    if is_measured():
        config.pluginmanager.register(CoverageScope(sys.modules["coverage"].Coverage.current()))
