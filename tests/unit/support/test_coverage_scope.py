"""Coverage measures only existing tests."""

from __future__ import annotations

import pytest

from tests.support.commands import ROOT
from tests.support.coverage_scope import MEASURED, is_in_scope


@pytest.mark.parametrize("name", MEASURED)
def test_each_entry_exists(name: str) -> None:
    """An entry names a folder or file, whose tests are measured."""
    path = ROOT / "tests" / name
    assert path.exists()
    assert is_in_scope(path)


def test_others_are_not_measured() -> None:
    """Files without an entry are not measured, also in the same folder."""
    assert is_in_scope(ROOT / "tests" / "unit" / "test_errors.py")
    assert not is_in_scope(ROOT / "tests" / "functional" / "arm" / "test_client.py")
