"""``pipx install backupjobwatch`` installs the wheel into an empty environment, and each command runs."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from backupjobwatch import __version__
from backupjobwatch.cli import COMMANDS
from tests.contract.project import ENVIRONMENT, ROOT, pyproject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAMS: Final = tuple(pyproject()["project"]["scripts"])


def run(*command: str | Path, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command outside the repository."""
    environment = {**ENVIRONMENT, "PYTHONPATH": "", **variables}
    return subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, timeout=250, check=False
    )


@pytest.fixture(scope="module")
def wheel(uv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as published."""
    folder = tmp_path_factory.mktemp("wheel")
    built = run(uv, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT, folder=folder)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, uv: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the programs that pipx installed with the versions of the lock file."""
    folder = tmp_path_factory.mktemp("pipx")
    pins = folder / "constraints.txt"
    export = ("export", "--quiet", "--frozen", "--no-default-groups", "--no-emit-project", "--no-hashes")
    exported = run(uv, *export, "--output-file", pins, folder=ROOT)
    assert exported.returncode == 0, exported.stderr
    variables = {"PIPX_HOME": str(folder / "home"), "PIPX_BIN_DIR": str(folder / "bin")}
    pipx = (sys.executable, "-m", "pipx")
    with_uv = {"PATH": f"{uv.parent}:{ENVIRONMENT['PATH']}", "UV_CONSTRAINT": str(pins)}
    done = run(*pipx, "install", "--backend", "uv", wheel, folder=folder, **variables, **with_uv)
    assert done.returncode == 0, done.stderr
    yield folder / "bin"
    removed = run(*pipx, "uninstall", "backupjobwatch", folder=folder, **variables, **with_uv)
    assert removed.returncode == 0, removed.stderr
    assert list((folder / "bin").iterdir()) == []


def test_installs_the_programs(installed: Path) -> None:
    """Pipx installs only the project's programs, and none of its dependencies."""
    assert {path.name for path in installed.iterdir()} == set(PROGRAMS)


@pytest.mark.parametrize(("program", "name"), [("backupjobwatch", "backupjobwatch"), ("kubectl-bjw", "kubectl bjw")])
def test_programs_have_the_version(installed: Path, program: str, name: str, tmp_path: Path) -> None:
    """Each program prints the version of the wheel."""
    done = run(installed / program, "--version", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{name}, version {__version__}\n", "")


def test_commands_start(installed: Path, tmp_path: Path) -> None:
    """Each command can import all its dependencies and print its help."""
    python = (installed / "backupjobwatch").resolve().with_name("python")
    helps = "main([name, '--help'], prog_name='backupjobwatch', standalone_mode=False)"
    code = f"import sys; from backupjobwatch.cli import main; [{helps} for name in sys.argv[1:]]"
    done = run(python, "-c", code, *COMMANDS, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^Usage: backupjobwatch (\w+) ", done.stdout, re.MULTILINE) == list(COMMANDS)


def test_plugin_starts(installed: Path, tmp_path: Path) -> None:
    """The plugin can import the dependencies of all its commands, and completion offers all commands."""
    offered = run(installed / "kubectl_complete-bjw", "", folder=tmp_path)
    commands = set(re.findall(r"^(\w+)\t", offered.stdout, re.MULTILINE))
    assert {"list", "wait"} <= commands, offered.stderr
    done = run(installed / "kubectl-bjw", "--help", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(re.findall(r"^  (\w+) ", done.stdout.partition("Commands:")[2], re.MULTILINE)) == commands
