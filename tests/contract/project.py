"""Read the project's own files."""

from __future__ import annotations

import os
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

from demo.controlplane import kubectl_path
from tests.support.documents import load_documents

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "operator" / "backupjobwatch"
DOCUMENTS: Final = (
    *sorted(ROOT.glob("*.md")),
    *(path for folder in ("docs", "manifests/samples") for path in sorted((ROOT / folder).rglob("*.md"))),
)
MODULES: Final = tuple(sorted(PACKAGE.rglob("*.py")))
ENVIRONMENT: Final = {**os.environ}
"""The environment before the tests removed the proxy variables, which uv may need."""

Manifest = dict[str, Any]


def relative(path: Path) -> str:
    """Return *path* relative to the project, for test IDs and messages."""
    return str(path.relative_to(ROOT))


def read(name: str) -> str:
    """Return the text of a project file."""
    return (ROOT / name).read_text(encoding="utf-8")


def load(name: str) -> list[Manifest]:
    """Return the objects of a YAML file in the project."""
    return load_documents(read(name))


@cache
def pyproject() -> dict[str, Any]:
    """Return the contents of pyproject.toml."""
    return tomllib.loads(read("pyproject.toml"))


def kustomize(folder: Path) -> list[Manifest]:
    """Return the objects that ``kubectl kustomize`` builds from *folder*, once for a folder of the project."""
    return load_documents(_kustomized(folder) if folder.is_relative_to(ROOT) else _kustomized.__wrapped__(folder))


@cache
def _kustomized(folder: Path) -> str:
    command = [str(kubectl_path()), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def pick(objects: list[Manifest], kind: str, name: str = "") -> Manifest:
    """Return the only object of that *kind*, and of that *name* if there are several."""
    (found,) = (each for each in objects if each["kind"] == kind and name in ("", each["metadata"]["name"]))
    return found
