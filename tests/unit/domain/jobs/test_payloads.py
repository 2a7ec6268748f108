"""Lenient parsing: each field gives a valid value or none, and truncation is recorded."""

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
    """Texts, numbers and booleans become words. Null, empty values and structures are dropped."""
    assert Reader().word(value) == word


@pytest.mark.parametrize(("length", "cut"), [(WORD, set()), (WORD + 1, {"texts"}), (10**6, {"texts"})])
def test_long_words(length: int, cut: set[str]) -> None:
    """A word within its limit is kept. A longer one is truncated, and the truncation is recorded."""
    read = Reader()
    word = read.word("x" * length)

    assert word is not None
    assert len(word) == min(length, WORD)
    assert word.endswith(ELLIPSIS) is bool(cut)
    assert read.truncated == cut


def test_ellipsis_of_azure() -> None:
    """An ellipsis in Azure's text does not count as truncation."""
    read = Reader()

    assert read.word(f"Restoring {ELLIPSIS}") == f"Restoring {ELLIPSIS}"
    assert read.truncated == set()


def test_first() -> None:
    """Only the first items are read, even of an endless iterator, and truncation is recorded."""
    read = Reader()

    assert read.first(2, "tasks", iter("ab")) == ("a", "b")
    assert read.truncated == set()
    assert read.first(2, "tasks", (letter for letter in iter(lambda: "x", None))) == ("x", "x")
    assert read.truncated == {"tasks"}


def test_properties() -> None:
    """Properties have text keys and values. A value that is not an object gives no properties."""
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
    """Recommendations come as a list or as one text."""
    assert Reader().recommendations(value) == texts


@pytest.mark.parametrize(
    ("value", "text"),
    [("PT1H2M", "1h2m0s"), ("00:01:05", "1m5s"), ("soon", "soon"), (None, None), (5, "5"), ({}, None)],
)
def test_remaining(value: object, text: str | None) -> None:
    """The estimate is written in Go's format if it is a duration. Otherwise Azure's text is kept."""
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
    """A percentage is an integer from 0 to 100, rounded down: 99.9 becomes 99."""
    assert percent(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (0, 0), (5.9, 5), ("12", 12), (2**62, 2**62), (2**63, None), (-1, None), ("-1", None), (True, None),
        (None, None), ("x", None), (float("nan"), None), (float("-inf"), None), (10**400, None), ([], None),
    ],
)  # fmt: skip
def test_count(value: object, read: int | None) -> None:
    """A count is an integer, not negative, and fits an int64."""
    assert count(value) == read


@pytest.mark.parametrize("value", [0, 1, "true", "", None, [], {}])
def test_no_booleans(value: object) -> None:
    """Only true and false are booleans."""
    assert (boolean(True), boolean(False), boolean(value)) == (True, False, None)


@pytest.mark.parametrize("value", [None, [], "text", 5, True])
def test_no_objects(value: Any) -> None:
    """A value that is not an object becomes an empty object."""
    assert mapping(value) == {}
    assert mapping({"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("value", "items"),
    [([{"a": 1}, None, [], "x", {}], [{"a": 1}, {}]), (None, []), ({"a": {}}, []), ("x", []), ([], [])],
)
def test_objects(value: object, items: list[Any]) -> None:
    """Only the objects in a list are read."""
    assert list(mappings(value)) == items


@pytest.mark.parametrize(
    ("text", "name"), [("/a/b", "b"), ("/a/b/", "b"), ("b", "b"), ("", None), (None, None), ("/", None), ("//", None)]
)
def test_last_segment(text: str | None, name: str | None) -> None:
    """The name in an ID is its last segment."""
    assert last_segment(text) == name


def test_limits() -> None:
    """The limit of a word is shorter than that of a line, and that is shorter than the limit of a text."""
    assert WORD < LINE < TEXT
