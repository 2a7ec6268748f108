"""The example statuses in tests/data/status, which tests of other tools read, match the CRD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from tests.property.oracles import CRD, check_schema

if TYPE_CHECKING:
    from pathlib import Path

STATUSES = sorted((CRD.parents[1] / "tests" / "data" / "status").glob("*.yaml"))


@pytest.mark.parametrize("path", STATUSES, ids=[path.stem for path in STATUSES])
def test_examples(path: Path) -> None:
    """The CRD accepts every example status."""
    check_schema(yaml.safe_load(path.read_text(encoding="utf-8")))
