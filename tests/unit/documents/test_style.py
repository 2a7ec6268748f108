"""The prose check finds ruled-out phrases and long sentences in each kind of file, but not in code."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.documents.style import LONGEST, Phrase, Rules, check, findings_in, load_rules

if TYPE_CHECKING:
    from pathlib import Path

RULES = load_rules()


def found(folder: Path, name: str, text: str) -> list[tuple[int, str]]:
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return [(each.line, each.problem) for each in check(path, RULES)]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.md", "# Title\n\nFirst line\nis begun anew.\n", 3),
        ("a.md", "| a | b |\n|---|---|\n| c | begun anew |\n", 3),
        ("a.md", "- one\n- begun anew\n", 2),
        ("a.py", '"""Begin anew."""\n', 1),
        ("a.py", "x = 1\n# Begin\n# anew.\n", 2),
        ("a.py", 'raise ValueError("the watch was begun anew")\n', 1),
        ("a.py", "x = 1\ndef begins_anew(): ...\n", 2),
        ("a.py", "class A:\n    async def test_begun_anew_(self): ...\n", 2),
        ("a.py", "class BegunAnew: ...\n", 1),
        ("a.yaml", "spec:\n  description: begun anew\n", 2),
        ("a.yaml", "a: 1  # begun anew\n", 1),
        ("a.json", '{"panels": [{"title": "begun anew"}]}\n', 1),
        ("Dockerfile", "FROM a\n# begun anew\n", 2),
    ],
)
def test_finds_phrases(tmp_path: Path, name: str, text: str, line: int) -> None:
    """A phrase is found in each kind of file, even across lines, and reported with the line of its block."""
    ((number, problem),) = found(tmp_path, name, text)
    assert number == line
    assert problem.lower() == '"anew": again, restart, recreate, start over'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "```sh\n# begun anew\n```\n\nRun `begin anew`, see [this](anew.md).\n"),
        ("a.py", 'anew = {"anew": 1}\n'),
        ("a.py", "def begin(anew=1): return module.begin_anew(anew)\n"),
        ("a.yaml", "anew: anew\n"),
        ("a.json", '{"anew": "anew"}\n'),
    ],
)
def test_ignores_code(tmp_path: Path, name: str, text: str) -> None:
    """Code, addresses, variables, keys and short values are not prose."""
    assert found(tmp_path, name, text) == []


@pytest.mark.parametrize(("words", "findings"), [(LONGEST, 0), (LONGEST + 1, 1)])
def test_long_sentences(words: int, findings: int) -> None:
    """A sentence of 30 words passes, and one of 31 does not."""
    sentence = f"The {'very ' * (words - 3)}end `counts as one`."
    assert len(list(findings_in(f"Short. {sentence} Short.", RULES))) == findings


def test_exceptions() -> None:
    """An exception allows its text, and only this text."""
    rules = Rules((Phrase(re.compile("anew"), "again"),), {"made anew": "a reason"}, ())
    assert list(findings_in("It is made anew.", rules)) == []
    assert list(findings_in("It begins anew.", rules)) == ['"anew": again']


def test_every_exception_has_a_reason() -> None:
    """The list of exceptions gives a reason for each."""
    assert all(RULES.exceptions.values())
