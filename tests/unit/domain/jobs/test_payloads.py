"""Lenient reading: whatever a field holds, something sensible or nothing comes out, and what was cut is known."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from backupjobwatch.domain.jobs.payloads import (
    LINE,
    TEXT,
    WORD,
    Reader,
    boolean,
    count,
    last_segment,
    mapping,
    mappings,
    percent,
)
from backupjobwatch.domain.jobs.text import ELLIPSIS


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("vm1", "vm1"),
        (" a\r\nb ", "a b"),
        (400239, "400239"),
        (0, "0"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        ("", None),
        (" \u0000", None),
        (None, None),
        ([], None),
        (["a"], None),
        ({}, None),
        (10**WORD, None),
        (-(10**WORD), None),
        pytest.param(10 ** (sys.get_int_max_str_digits() + 10), None, id="vast"),
    ],
)
def test_word(value: object, word: str | None) -> None:
    """Texts, numbers and booleans are words; nothing, empty ones and structures are none."""
    assert Reader().word(value) == word


@pytest.mark.parametrize(("length", "cut"), [(WORD, set()), (WORD + 1, {"texts"}), (10**6, {"texts"})])
def test_long_words(length: int, cut: set[str]) -> None:
    """A word is kept up to its limit; a longer one is cut, and that is remembered."""
    read = Reader()
    word = read.word("x" * length)

    assert word is not None
    assert len(word) == min(length, WORD)
    assert word.endswith(ELLIPSIS) is bool(cut)
    assert read.truncated == cut


def test_azures_own_ellipsis() -> None:
    """An ellipsis of Azure's is no cut of ours."""
    read = Reader()

    assert read.word(f"Restoring {ELLIPSIS}") == f"Restoring {ELLIPSIS}"
    assert read.truncated == set()


def test_first() -> None:
    """The first items are kept, endless ones are not waited for, and a longer list is remembered."""
    read = Reader()

    assert read.first(2, "tasks", iter("ab")) == ("a", "b")
    assert read.truncated == set()
    assert read.first(2, "tasks", (letter for letter in iter(lambda: "x", None))) == ("x", "x")
    assert read.truncated == {"tasks"}


def test_properties() -> None:
    """A bag of texts is one of words, its keys too; what is no bag is empty."""
    bag = {"VM Name": "vm1", "Size": 5, " Time ": None, "": "x", "Long": "y" * (LINE + 1)}

    assert dict(Reader().properties(bag)) == {
        "VM Name": "vm1", "Size": "5", "Time": "", "": "x", "Long": "y" * (LINE - 1) + ELLIPSIS,
    }  # fmt: skip
    nothing: list[Any] = [None, [], "text", 5]
    assert [dict(Reader().properties(value)) for value in nothing] == [{}, {}, {}, {}]


@pytest.mark.parametrize(
    ("value", "texts"), [(["a", None, "", 5, {}], ("a", "5")), ("a", ("a",)), (None, ()), ({}, ()), (7, ("7",))]
)
def test_recommendations(value: object, texts: tuple[str, ...]) -> None:
    """Recommendations are a list, or one text."""
    assert Reader().recommendations(value) == texts


@pytest.mark.parametrize(
    ("value", "text"),
    [("PT1H2M", "1h2m0s"), ("00:01:05", "1m5s"), ("soon", "soon"), (None, None), (5, "5"), ({}, None)],
)
def test_remaining(value: object, text: str | None) -> None:
    """An estimate is written in Go's style where it is a duration, else as Azure has it."""
    assert Reader().remaining(value) == text


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (0, 0), (42.0, 42), (99.9, 99), (100, 100), (250, 100), (-5, 0), ("42", 42), ("1e1", 10),
        (None, None), (True, None), ("", None), ("half", None), ([], None), ({}, None),
        (float("nan"), None), (float("inf"), None), ("nan", None), ("1e999", None), (10**400, None),
    ],
)  # fmt: skip
def test_percent(value: object, read: int | None) -> None:
    """A percentage is a whole one from 0 to 100, cut: what is at 99.9 is not done."""
    assert percent(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (0, 0), (5.9, 5), ("12", 12), (2**62, 2**62), (2**63, None), (-1, None), ("-1", None), (True, None),
        (None, None), ("x", None), (float("nan"), None), (float("-inf"), None), (10**400, None), ([], None),
    ],
)  # fmt: skip
def test_count(value: object, read: int | None) -> None:
    """A number of things is whole, not negative, and fits an int64."""
    assert count(value) == read


@pytest.mark.parametrize("value", [0, 1, "true", "", None, [], {}])
def test_no_booleans(value: object) -> None:
    """Only true and false are."""
    assert (boolean(True), boolean(False), boolean(value)) == (True, False, None)


@pytest.mark.parametrize("value", [None, [], "text", 5, True])
def test_no_objects(value: Any) -> None:
    """What is no object is an empty one."""
    assert mapping(value) == {}
    assert mapping({"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("value", "items"),
    [([{"a": 1}, None, [], "x", {}], [{"a": 1}, {}]), (None, []), ({"a": {}}, []), ("x", []), ([], [])],
)
def test_objects(value: object, items: list[Any]) -> None:
    """Of a list only the objects are read."""
    assert list(mappings(value)) == items


@pytest.mark.parametrize(
    ("text", "name"), [("/a/b", "b"), ("/a/b/", "b"), ("b", "b"), ("", None), (None, None), ("/", None), ("//", None)]
)
def test_last_segment(text: str | None, name: str | None) -> None:
    """The name in an ID is its last part."""
    assert last_segment(text) == name


def test_limits() -> None:
    """Words are shorter than lines, and those than texts: a status has room for them all."""
    assert WORD < LINE < TEXT
