"""Coverage is switched off only for existing tests."""

from __future__ import annotations

import pytest

from tests.support.commands import ROOT
from tests.support.coverage_scope import UNMEASURED, is_wanted


@pytest.mark.parametrize("name", UNMEASURED)
def test_each_entry_exists(name: str) -> None:
    """An entry names a folder or file, whose tests are not measured."""
    path = ROOT / "tests" / name
    assert path.exists()
    assert not is_wanted(path)


def test_others_are_measured() -> None:
    """Files without an entry are measured, also in the same folder."""
    assert is_wanted(ROOT / "tests" / "functional" / "arm" / "test_poller.py")
    assert is_wanted(ROOT / "tests" / "unit" / "test_errors.py")
