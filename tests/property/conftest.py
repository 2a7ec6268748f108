"""Property tests run without coverage: it more than triples their time, and they cover nothing that other tests do not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.commands import is_measured

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _not_measured() -> Iterator[None]:
    if not is_measured():
        yield
        return
    coverage = sys.modules["coverage"].Coverage.current()
    coverage.stop()
    yield
    coverage.start()
