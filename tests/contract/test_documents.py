"""Links, names, commands and examples in the documents are correct."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import click
import pytest
import yaml

from backupjobwatch import __version__
from backupjobwatch.cli import main
from backupjobwatch.cli.render import render
from backupjobwatch.constants import GROUP, PLURAL
from tests.contract import markdown
from tests.contract.project import DOCUMENTS, PACKAGE, ROOT, load, pyproject, read, relative
from tests.support import azure
from tests.support.builders import watch_body

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAKE_TARGETS: Final = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
RENDER_DOCUMENT: Final = "docs/troubleshooting.md"
EACH_DOCUMENT: Final = pytest.mark.parametrize("path", DOCUMENTS, ids=relative)


def calls(text: str, program: str) -> Iterator[list[str]]:
    """Yield the arguments of every call of *program* in the commands of a document."""
    for command in markdown.commands(text):
        for call in re.split(r"&&|\|\||[|;]| -- ", command):
            words = call.split()
            if words[:1] == [program]:
                yield shlex.split(call.partition(" > ")[0])[1:]


# ── links and names ──────────────────────────────────────────────────────────────────────────────────────────────────


@EACH_DOCUMENT
def test_links_resolve(path: Path) -> None:
    """Every link within the project leads to an existing file and heading."""
    for link in markdown.links(path.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in markdown.anchors(target.read_text(encoding="utf-8")), link


@EACH_DOCUMENT
def test_named_files_exist(path: Path) -> None:
    """Every project file or folder that a document names exists."""
    homes = (ROOT, PACKAGE)
    for piece in markdown.code(path.read_text(encoding="utf-8")):
        first, _, _ = piece.partition("/")
        inside = "/" in piece and any((home / first).exists() for home in homes)
        if re.fullmatch(r"[\w./-]+", piece) and (inside or piece.endswith((".py", ".md", ".toml"))):
            assert any((home / piece).exists() for home in homes), piece


@EACH_DOCUMENT
def test_names_nothing_of_this_machine(path: Path) -> None:
    """No document contains an absolute path, except in URLs and patches."""
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w/.~:}*)\]-])/([a-z][\w.-]*)", text))
    assert {name for name in named if (ROOT.parents[-1] / name).exists()} == set()


@EACH_DOCUMENT
def test_shell_blocks_are_shell(path: Path) -> None:
    """Bash can parse every block of shell commands."""
    for block in markdown.blocks(path.read_text(encoding="utf-8"), "sh"):
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@EACH_DOCUMENT
def test_make_targets_exist(path: Path) -> None:
    """Every ``make`` target in a document is a target of the Makefile."""
    for target, *_ in filter(None, calls(path.read_text(encoding="utf-8"), "make")):
        assert target in MAKE_TARGETS


def test_make_lists_its_targets() -> None:
    """``make help`` lists every target that is not a file, and all of these are phony."""
    makefile = read("Makefile")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert set(phony.split()) == MAKE_TARGETS
    assert set(re.findall(r"^([a-z-]+):.*## .", makefile, re.MULTILINE)) == MAKE_TARGETS


def test_make_demo_shows_no_commands() -> None:
    """``make demo`` prints the output of the demo, not the commands that run it."""
    makefile = read("Makefile")
    for target in (r"\$\(VENV\)/\.synced", "demo"):
        (recipe,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
        assert all(line.startswith("\t@") for line in recipe.splitlines()), recipe


def test_changelog_has_this_version() -> None:
    """The changelog has a section for this version or for unreleased changes."""
    sections = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert {"Unreleased", __version__} & set(sections)


def test_glossary_terms_are_unique() -> None:
    """The glossary explains each term once."""
    words = [markdown.plain(row["term"]).lower() for row in markdown.table(read("docs/glossary.md"), "term")]
    assert len(set(words)) == len(words)
    assert all(row["meaning"] for row in markdown.table(read("docs/glossary.md"), "term"))


def test_architecture_names_real_modules() -> None:
    """The modules in the architecture's table exist."""
    for row in markdown.table(read("docs/architecture.md"), "module"):
        for name in markdown.plain(row["module"]).split(", "):
            assert (PACKAGE / name).exists(), name


def test_architecture_draws_real_modules() -> None:
    """The bold parts of the architecture diagram are modules, and its arrows connect drawn parts."""
    (drawing,) = markdown.blocks(read("docs/architecture.md"), "mermaid")
    drawn = dict(re.findall(r"^ +(\w+)[\[(]+(?:<b>(\w+)</b>)?", drawing, re.MULTILINE))
    modules = {name for name, bold in drawn.items() if bold}
    assert modules == {bold for bold in drawn.values() if bold}
    assert {name for name in modules if not any(PACKAGE.glob(f"{name}.py"))} <= {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    arrows = re.findall(r"^ +(\w+) -\.?->(?:\|[^|]+\|)? (\w+)$", drawing, re.MULTILINE)
    assert {name for arrow in arrows for name in arrow} == drawn.keys()


def test_readme_prints_the_columns() -> None:
    """The first listing in the README has the CRD's columns."""
    (crd,) = load(f"crds/{PLURAL}.{GROUP}.yaml")
    columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
    printed = [each["name"].upper() for each in columns if each.get("priority", 0) == 0]
    prompt, head, *_ = markdown.blocks(read("README.md"), "console")[0].splitlines()
    assert prompt == f"$ kubectl get {PLURAL}"
    assert re.split(r" {2,}", head) == ["NAME", *printed]


def test_python_is_the_one_that_is_required() -> None:
    """The documents and the package require the same Python version."""
    least = pyproject()["project"]["requires-python"].removeprefix(">=")
    for name in ("README.md", "CONTRIBUTING.md"):
        assert set(re.findall(r"Python (\d\.\d+)", read(name))) == {least}


# ── the command line ─────────────────────────────────────────────────────────────────────────────────────────────────


@EACH_DOCUMENT
def test_commands_are_real(path: Path) -> None:
    """Every call of ``backupjobwatch`` has an existing command, existing options and all required arguments."""
    context = click.Context(main, info_name="backupjobwatch", **main.context_settings)
    for name, *arguments in filter(None, calls(path.read_text(encoding="utf-8"), "backupjobwatch")):
        command = main.get_command(context, name)
        assert command is not None, name
        options, rest, _ = command.make_parser(click.Context(command, parent=context)).parse_args(list(arguments))
        assert rest == [], arguments
        needed = {param.name for param in command.params if param.required}
        assert not arguments or needed <= options.keys(), arguments


@EACH_DOCUMENT
def test_logs_by_label_are_whole(path: Path) -> None:
    """Documented "kubectl logs -l" commands set --tail, because the default prints ten lines per pod."""
    for arguments in calls(path.read_text(encoding="utf-8"), "kubectl"):
        if "logs" in arguments and "-l" in arguments:
            assert any(each.startswith("--tail=") for each in arguments), arguments


def test_options_of_render_are_real() -> None:
    """The documented options of ``render`` exist."""
    options = {option for param in render.params for option in param.opts}
    named = {piece.split()[0] for piece in markdown.code(read(RENDER_DOCUMENT)) if piece.startswith("--")}
    assert named
    assert named <= options


@pytest.mark.parametrize(
    ("payload", "extra", "phase", "reason"),
    [
        ("job-iaasvm-completed", [], "Succeeded", "JobCompleted"),
        ("job-iaasvm-failed", [], "Failed", "JobFailed"),
        ("job-iaasvm-inprogress", [], "Running", "JobInProgress"),
        (
            "error-404-vault-gateway",
            ["--status", "404", "--header", "x-ms-failure-cause: gateway"],
            "Pending",
            "VaultNotFound",
        ),
    ],
)
def test_render_works_as_documented(tmp_path: Path, payload: str, extra: list[str], phase: str, reason: str) -> None:
    """The documented call of ``render`` computes the status from an Azure response."""
    (arguments,) = (each for each in calls(read(RENDER_DOCUMENT), "backupjobwatch") if len(each) > 1)
    job_id = azure.payload("job-iaasvm-completed")["id"].rpartition("/")[0]
    name = azure.payload(payload).get("name", "b0b00001-5e1f-4000-8000-000000000003")
    watch = watch_body({"jobResourceId": f"{job_id}/{name}"})
    (tmp_path / "watch.yaml").write_text(yaml.safe_dump(watch), encoding="utf-8")
    shutil.copy(azure.DATA / f"{payload}.json", tmp_path / "job.json")
    command = [sys.executable, "-m", "backupjobwatch", *arguments, *extra]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    status = yaml.safe_load(done.stdout)["status"]
    assert (status["phase"], status["reason"]) == (phase, reason)
