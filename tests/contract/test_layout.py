"""The repository layout, module names and repeated facts are consistent."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from backupjobwatch import __version__
from tests.contract.project import ENVIRONMENT, MODULES, ROOT, pyproject, read, relative

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOP_LEVEL: Final = {
    *("pyproject.toml", "operator", "crds", "manifests", "tests", "Dockerfile"),
    *("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "docs", "demo"),
}
LONGEST: Final = 300
VAGUE: Final = {"utils", "util", "helpers", "helper", "common", "misc", "base", "shared", "lib"}
EACH_MODULE: Final = pytest.mark.parametrize("path", MODULES, ids=relative)

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def test_top_level_is_fixed() -> None:
    """The top level has the expected files and folders."""
    assert {path.name for path in ROOT.iterdir()} >= TOP_LEVEL


def test_source_root_is_no_package() -> None:
    """``operator/`` contains one package but is not a package itself, so Python still imports its own ``operator`` module."""
    source = ROOT / "operator"
    assert list(source.glob("*.py")) == []
    assert [path.parent.name for path in source.glob("*/__init__.py")] == ["backupjobwatch"]
    code = (
        "import sys; sys.modules.pop('operator', None); import operator; print(operator.itemgetter, operator.__file__)"
    )
    shown = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert shown.startswith("<class 'operator.itemgetter'>")
    assert str(ROOT) not in shown


@EACH_MODULE
def test_modules_have_names_of_their_own(path: Path) -> None:
    """No module or folder of the package has a standard library name or a vague name."""
    for name in path.relative_to(ROOT / "operator").with_suffix("").parts:
        assert name not in sys.stdlib_module_names
        assert name not in VAGUE


@EACH_MODULE
def test_modules_are_short(path: Path) -> None:
    """A module stays under 300 lines."""
    assert len(path.read_text(encoding="utf-8").splitlines()) < LONGEST


@EACH_MODULE
def test_public_names_have_docstrings(path: Path) -> None:
    """Every public module, class, function and method has a docstring."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    assert [name for name, node in public(module) if not ast.get_docstring(node)] == []


def public(node: Documented, name: str = "module") -> Iterator[tuple[str, Documented]]:
    """Yield the public definitions of a module or class, starting with itself."""
    yield name, node
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return
    for child in node.body:
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not child.name.startswith("_"):
            yield from public(child, child.name)


def test_gate_runs_what_contributors_run() -> None:
    """``.ci/run`` is executable and runs only the ``make`` targets that the documents name for contributors."""
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    lines = read(".ci/run").splitlines()
    assert lines[0].startswith("#!")
    assert "set -euo pipefail" in lines
    assert [line for line in lines if line.startswith("make ")] == ["make check", "make test"]


def test_there_is_one_version() -> None:
    """pyproject.toml has the installed version."""
    assert pyproject()["project"]["version"] == __version__


def test_lock_file_is_in_step(uv: Path) -> None:
    """uv.lock is up to date with pyproject.toml."""
    environment = {**ENVIRONMENT, "UV_PYTHON": sys.executable}
    done = subprocess.run(
        [uv, "lock", "--check"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
