"""The documents and help texts of `kubectl bjw` are correct."""

from __future__ import annotations

import re
import shlex
import string
from typing import TYPE_CHECKING, Final

import click
import pytest
from click.testing import CliRunner

from backupjobwatch.kubectl.main import bjw
from backupjobwatch.kubectl.table import TITLES
from backupjobwatch.terminal import exit_codes
from tests.contract import markdown
from tests.contract.project import DOCUMENTS, pyproject, read, relative
from tests.support.builders import JOB_ID, OPERATION, SUBSCRIPTION, VAULT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DOCUMENT: Final = "docs/kubectl-bjw.md"
VARIABLES: Final = {
    "JOB_ID": JOB_ID,
    "OPERATION_URL": f"https://management.azure.com{VAULT_ID}/backupOperations/{OPERATION}?t=1&s=2",
    "SUBSCRIPTION": SUBSCRIPTION,
}


def calls(commands: Iterable[str]) -> Iterator[list[str]]:
    """Yield the arguments of every call of the plugin."""
    for command in commands:
        for call in re.split(r"&&|\|\||[|;]", command):
            if re.match(r"\s*kubectl bjw\b", call):
                yield shlex.split(string.Template(call.partition(" > ")[0]).safe_substitute(VARIABLES))[2:]


def examples() -> dict[str, list[list[str]]]:
    """Return the calls in each document and help text."""
    texts = {relative(path): markdown.commands(path.read_text(encoding="utf-8")) for path in DOCUMENTS}
    helps = {f"{name} --help": (each.help or "").splitlines() for name, each in [("bjw", bjw), *bjw.commands.items()]}
    found = {name: list(calls(commands)) for name, commands in {**texts, **helps}.items()}
    return {name: found[name] for name in found if found[name]}


EXAMPLES: Final = examples()


def test_every_command_has_examples() -> None:
    """Every command has examples in its help text and in the document."""
    assert {f"{name} --help" for name in ("bjw", *bjw.commands)} <= EXAMPLES.keys()
    assert {call[0] for call in EXAMPLES[DOCUMENT] if call} >= bjw.commands.keys()
    assert "README.md" in EXAMPLES


@pytest.mark.parametrize("place", EXAMPLES)
def test_calls_are_real(place: str) -> None:
    """Every call has an existing command, with valid options and arguments."""
    context = click.Context(bjw, info_name="kubectl bjw", **bjw.context_settings)
    for call in EXAMPLES[place]:
        if not call or call[0] in ("--help", "--version"):
            continue
        command = bjw.get_command(context, call[0])
        assert command is not None, call
        _, rest, _ = command.make_parser(click.Context(command, parent=context)).parse_args(call[1:])
        assert rest == [], call
        if len(call) > 1:  # not just the command's name in a sentence
            command.make_context(call[0], call[1:], parent=context, resilient_parsing=False)


@pytest.mark.parametrize("place", EXAMPLES)
def test_creations_work(place: str) -> None:
    """Each example that creates a watch succeeds as a client-side dry run."""
    for call in EXAMPLES[place]:
        if call[:1] == ["create"] and len(call) > 1:
            arguments = [word for word in call if word not in ("--wait", "--timeout", "4h")]
            done = CliRunner().invoke(bjw, [*arguments, "--dry-run", "client"], input=f'{{"id": "{JOB_ID}"}}')
            assert done.exit_code == 0, done.output


def test_exit_codes() -> None:
    """The document and the help of `wait` list exactly the existing exit codes."""
    codes = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert {int(row["exit code"]) for row in markdown.table(read(DOCUMENT), "exit code")} == codes
    told = re.findall(r"^ +(\d+) {2,}\S", bjw.commands["wait"].help or "", re.MULTILINE)
    assert {int(code) for code in told} == codes


def test_columns() -> None:
    """The listing has the columns of `kubectl bjw list`."""
    (listing,) = markdown.blocks(read(DOCUMENT), "console")
    prompt, heads, *_ = listing.splitlines()
    assert (prompt, tuple(re.split(r" {2,}", heads))) == ("$ kubectl bjw list", TITLES)


def test_entry_points() -> None:
    """kubectl finds the plugin and its completion program by name."""
    scripts = pyproject()["project"]["scripts"]
    assert {"kubectl-bjw", "kubectl_complete-bjw"} <= scripts.keys()
