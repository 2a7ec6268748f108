"""Each fault in the tables of docs/reliability.md has an existing test."""

from __future__ import annotations

import ast
from functools import cache
from typing import Final

import pytest

from tests.contract.markdown import plain, tables
from tests.contract.project import ROOT, read

COLUMNS: Final = ["fault", "how the test causes it", "cost", "test"]
ROWS: Final = [row for table in tables(read("docs/reliability.md")) for row in table]


@cache
def functions_in(path: str) -> frozenset[str]:
    """Return the test functions of a module."""
    nodes = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    functions = (node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(name for name in functions if name.startswith("test_"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: plain(row["fault"]))
def test_each_row_has_its_test(row: dict[str, str]) -> None:
    """All cells are filled, and the last one contains an existing pytest ID."""
    assert list(row) == COLUMNS
    assert all(row.values())
    path, _, name = plain(row["test"]).partition("::")
    assert name in functions_in(path)


def test_each_fault_is_listed_once() -> None:
    """Each row has a different fault and a different test."""
    assert len({row["fault"] for row in ROWS}) == len({row["test"] for row in ROWS}) == len(ROWS) > 20


def test_the_faults_of_replicas_are_listed() -> None:
    """Each test module about leaders and standbys has a fault in the tables."""
    paths = {plain(row["test"]).partition("::")[0] for row in ROWS}
    modules = [*(ROOT / "tests").rglob("test_leaders*.py"), *(ROOT / "tests" / "e2e").glob("test_high_availability.py")]
    assert len(modules) == 3
    assert {str(path.relative_to(ROOT)) for path in modules} <= paths


def test_the_soak_runs_the_scalable_tests() -> None:
    """``make soak`` runs exactly the test modules that have a larger size for it."""
    larger = {
        str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py") if "at_scale(" in path.read_text()
    } - {str((ROOT / __file__).relative_to(ROOT))}
    (line,) = [line for line in read("Makefile").splitlines() if line.startswith("soak: TESTS")]
    assert {word for word in line.split() if word.endswith(".py")} == larger
