"""Check the Dockerfile without Docker, and build its Python environment for real."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from backupjobwatch import __version__
from backupjobwatch.cli import COMMANDS
from backupjobwatch.settings import Settings
from tests.contract.project import ENVIRONMENT, MODULES, PACKAGE, ROOT, pyproject, read
from tests.image import base_image

if TYPE_CHECKING:
    from pathlib import Path


class Instruction(NamedTuple):
    """One instruction of a Dockerfile."""

    word: str
    text: str

    @property
    def flags(self) -> list[str]:
        """The ``--flags`` of the instruction."""
        return [word for word in self.text.split() if word.startswith("--")]

    @property
    def words(self) -> list[str]:
        """The arguments after the flags."""
        return [word for word in shlex.split(self.text) if not word.startswith("--")]


def read_stages() -> list[list[Instruction]]:
    """Return the instructions of each stage, starting with FROM."""
    text = re.sub(r"^#.*\n", "", read("Dockerfile"), flags=re.MULTILINE).replace("\\\n", " ")
    stages: list[list[Instruction]] = []
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        stages += [[]] if word == "FROM" else []
        stages[-1].append(Instruction(word, rest.strip()))
    return stages


BUILD, FINAL = read_stages()


def texts(stage: list[Instruction], word: str) -> list[str]:
    """Return the text of each instruction with that *word*."""
    return [each.text for each in stage if each.word == word]


def variables(stage: list[Instruction]) -> dict[str, str]:
    """Return the variables that a stage sets."""
    pairs = [pair.partition("=") for text in texts(stage, "ENV") for pair in shlex.split(text)]
    return {name: value for name, _, value in pairs}


SOURCES: Final = {source for each in BUILD if each.word == "COPY" for source in each.words[:-1]}


# ── the instructions ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_has_a_build_and_a_run_stage() -> None:
    """Both stages start from the same supported Python on a named Debian, and the environment links to it."""
    image, alias, name = texts(BUILD, "FROM")[0].split()
    assert alias == "AS"
    assert texts(FINAL, "FROM") == [image]
    assert texts(FINAL, "COPY") == [f"--from={name} /app /app"]
    base = base_image.parse(read("Dockerfile"))
    assert base.name == image
    assert f"Programming Language :: Python :: {base.python}" in pyproject()["project"]["classifiers"]


def test_every_package_has_a_wheel(uv: Path) -> None:
    """Each package has a wheel for the image's Python on amd64 and arm64, because the build stage has no compiler."""
    python = base_image.parse(read("Dockerfile")).python
    tag = f"cp{python.replace('.', '')}"
    export = ("export", "--frozen", "--no-default-groups", "--no-emit-project", "--no-hashes", "--no-header")
    locked = subprocess.check_output([uv, *export], cwd=ROOT, env=ENVIRONMENT, text=True, stderr=subprocess.DEVNULL)
    pins = set(re.findall(r"^([\w.-]+)==([\w.]+)(?! *; sys_platform == 'win32')", locked, re.MULTILINE))
    wheels = {
        (each["name"], each["version"]): [wheel["url"].rsplit("/", 1)[1] for wheel in each.get("wheels", [])]
        for each in tomllib.loads(read("uv.lock"))["package"]
        if "version" in each
    }
    for pin in pins:
        for machine in ("x86_64", "aarch64"):
            fits = re.compile(rf"-none-any\.whl$|-({tag}-{tag}|cp3\d+-abi3)-.*manylinux.*_{machine}\b")
            assert any(map(fits.search, wheels[pin])), (pin, machine)


def test_runs_the_environment_that_was_built() -> None:
    """The environment stays at the path that it was built for, and comes first in PATH."""
    assert variables(BUILD)["UV_PROJECT_ENVIRONMENT"] == "/app"
    assert variables(FINAL)["PATH"].split(":")[0] == "/app/bin"


def test_installs_nothing_into_the_running_image() -> None:
    """The final stage removes files and installs nothing."""
    for command in texts(FINAL, "RUN"):
        assert not re.search(r"\b(install|apt|apt-get|add|curl|wget|uv|sync)\b", command)
    assert {each.word for each in FINAL} <= {"FROM", "RUN", "COPY", "ENV", "USER", "EXPOSE", "ENTRYPOINT", "CMD"}


def test_is_not_root() -> None:
    """The user is numeric, as runAsNonRoot requires, and not zero."""
    (user,) = texts(FINAL, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    words = [each.word for each in FINAL]
    assert "RUN" not in words[words.index("USER") :]


def test_runs_the_command() -> None:
    """The entry point is the project's command, which runs the operator by default."""
    (entry,), (arguments,) = (map(json.loads, texts(FINAL, word)) for word in ("ENTRYPOINT", "CMD"))
    (script,) = entry
    assert pyproject()["project"]["scripts"][script] == "backupjobwatch.cli:main"
    assert arguments[0] in COMMANDS


def test_exposes_probes_and_metrics() -> None:
    """The exposed ports are the probe and metrics ports."""
    assert texts(FINAL, "EXPOSE") == [f"{Settings().probe_port} {Settings().metrics_port}"]


def test_pins_uv() -> None:
    """The image is built with the uv version that the Makefile pins for contributors."""
    (version,) = re.findall(r"^UV_VERSION := (\S+)$", read("Makefile"), re.MULTILINE)
    assert [re.findall(r"\buv==(\S+)", text) for text in texts(BUILD, "RUN") if "pip" in text] == [[version]]


def test_context_is_what_is_copied() -> None:
    """.dockerignore includes exactly the files that the Dockerfile copies."""
    first, *rest = read(".dockerignore").splitlines()
    assert first == "*"
    assert {line[1:] for line in rest if line.startswith("!")} == SOURCES
    assert [line for line in rest if not line.startswith("!")] == ["**/__pycache__"]
    assert all((ROOT / source).exists() for source in SOURCES)


def test_the_image_test_requires_buildah(tmp_path: Path) -> None:
    """Without buildah, `make image-test` fails and prints the install command. `make test` skips those tests."""
    environment = {**ENVIRONMENT, "PATH": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "tests/image"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "apt-get install --no-install-recommends buildah debootstrap util-linux" in done.stdout + done.stderr
    assert f"\t$(BIN)/python -m {' '.join(command[2:3])} tests/image " in read("Makefile")
    ignored = pyproject()["tool"]["pytest"]["ini_options"]["norecursedirs"]
    assert {"tests/image", "tests/plugin"} <= set(ignored)


# ── the environment ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def environment(uv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The virtual environment, built with the build stage's commands from only the files that it copies."""
    folder = tmp_path_factory.mktemp("image")
    source, made = folder / "src", folder / "app"
    source.mkdir()
    settings = {
        **variables(BUILD),
        "UV_COMPILE_BYTECODE": "0",  # compiling doubles the time, and no test needs the bytecode
        "UV_PROJECT_ENVIRONMENT": str(made),
        "UV_PYTHON": sys.executable,
    }
    for each in BUILD:
        if each.word == "COPY":
            for name in each.words[:-1]:
                copy(name, source / each.words[-1])
        elif each.word == "RUN" and each.words[0] == "uv":
            command = [str(uv), *shlex.split(each.text)[1:]]
            done = subprocess.run(
                command, cwd=source, env={**ENVIRONMENT, **settings}, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
    return made


def copy(name: str, target: Path) -> None:
    """Copy like COPY: the contents of a folder, or a file into a folder."""
    if (ROOT / name).is_dir():
        shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(ROOT / name, target)


@pytest.fixture(scope="module")
def installed(environment: Path) -> dict[str, importlib.metadata.Distribution]:
    """The installed distributions by name."""
    (packages,) = environment.glob("lib/python*/site-packages")
    found = importlib.metadata.distributions(path=[str(packages)])
    return {re.sub(r"[-_.]+", "-", each.name).lower(): each for each in found}


def test_built_command_runs(environment: Path, tmp_path: Path) -> None:
    """The command exists, can import all its dependencies, and has this version."""
    command = [str(environment / "bin" / "backupjobwatch"), "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (f"backupjobwatch, version {__version__}\n", "")


def test_built_environment_is_the_lock_files(installed: dict[str, importlib.metadata.Distribution]) -> None:
    """The environment has the project's dependencies, and none for tests, checks or contributors only."""
    project, groups = pyproject()["project"], pyproject()["dependency-groups"]
    wanted = {name(each) for each in project["dependencies"]}
    unwanted = {name(each) for group in groups.values() for each in group if isinstance(each, str)}
    unwanted -= {"cryptography", "pyjwt"}  # dependencies of azure-identity
    assert wanted <= installed.keys()
    assert not unwanted & installed.keys()
    assert {each for each in installed if each.startswith("azure-")} == {"azure-core", "azure-identity"}
    assert not {"pip", "setuptools", "wheel", "uv", "hatchling"} & installed.keys()


def name(requirement: str) -> str:
    """Return the distribution name in a requirement."""
    match = re.match(r"[\w.-]+", requirement)
    assert match is not None
    return match[0].lower()


def test_built_wheel_is_the_package(installed: dict[str, importlib.metadata.Distribution]) -> None:
    """The wheel contains only the package with its py.typed marker, its licence and its commands."""
    files = {str(file) for file in installed["backupjobwatch"].files or ()}
    about = f"backupjobwatch-{__version__}.dist-info/"
    modules = {str(path.relative_to(PACKAGE.parent)) for path in MODULES}
    assert {file for file in files if file.startswith("backupjobwatch/")} == {*modules, "backupjobwatch/py.typed"}
    assert {file for file in files if not file.startswith(("backupjobwatch/", about))} == {
        f"../../../bin/{script}" for script in pyproject()["project"]["scripts"]
    }
    assert f"{about}licenses/LICENSE" in files
