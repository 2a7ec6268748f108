"""Contract and property tests run without coverage: they take twice as long with it, and other tests cover the same code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.commands import ROOT, is_measured

if TYPE_CHECKING:
    from pathlib import Path

_UNMEASURED: Final = (ROOT / "tests" / "contract", ROOT / "tests" / "property")


class CoverageScope:
    """Stops and starts coverage when the next test is in another kind of folder: each change takes milliseconds."""

    def __init__(self, coverage: Any) -> None:
        self._coverage = coverage
        self._on = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Change if *item* needs it."""
        wanted = is_wanted(item.path)
        if wanted != self._on:
            (self._coverage.start if wanted else self._coverage.stop)()
            self._on = wanted


def is_wanted(path: Path) -> bool:
    """Tell whether a test in this file is to be measured."""
    return not any(path.is_relative_to(folder) for folder in _UNMEASURED)


def pytest_configure(config: pytest.Config) -> None:
    """Watch over the coverage of this process, if it is measured."""
    if is_measured():
        config.pluginmanager.register(CoverageScope(sys.modules["coverage"].Coverage.current()))
