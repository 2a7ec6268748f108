"""Run contract and property tests without coverage, which doubles their time and adds no covered code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.commands import ROOT, is_measured

if TYPE_CHECKING:
    from pathlib import Path

_UNMEASURED: Final = (ROOT / "tests" / "contract", ROOT / "tests" / "property")


class CoverageScope:
    """Stops or starts coverage only if the kind of folder changes, because that takes milliseconds."""

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
    return not any(path.is_relative_to(folder) for folder in _UNMEASURED)


def pytest_configure(config: pytest.Config) -> None:
    """Control the coverage of this process if it is measured."""
    if is_measured():
        config.pluginmanager.register(CoverageScope(sys.modules["coverage"].Coverage.current()))
