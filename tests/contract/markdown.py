"""Parse blocks, code, tables, headings and links of the project's Markdown with regular expressions."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_FENCED: Final = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_CODE: Final = re.compile(r"`([^`]+)`")
_LINK: Final = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_SHELLS: Final = frozenset({"sh", "console"})


def blocks(text: str, *languages: str) -> list[str]:
    """Return the fenced blocks in *languages*, without their indentation."""
    return [textwrap.dedent(each["body"]) for each in _FENCED.finditer(text) if each["language"] in languages]


def prose(text: str) -> str:
    """Return the text without its fenced blocks."""
    return _FENCED.sub("", text)


def code(text: str) -> list[str]:
    """Return the inline code of the prose."""
    return [" ".join(each.split()) for each in _CODE.findall(prose(text))]


def commands(text: str) -> Iterator[str]:
    """Return every command that a reader may type, from shell blocks and inline code."""
    for language in _SHELLS:
        for block in blocks(text, language):
            lines = block.replace("\\\n", " ").splitlines()
            # In a console block, lines without a prompt are output.
            yield from (line.removeprefix("$ ") for line in lines if language == "sh" or line.startswith("$ "))
    yield from code(text)


def links(text: str) -> list[str]:
    """Return the link targets."""
    return _LINK.findall(_CODE.sub("", prose(text)))


def anchors(text: str) -> list[str]:
    """Return the anchors that GitHub generates for the headings."""
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(prose(text))]


def tables(text: str) -> list[list[dict[str, str]]]:
    """Return each table as rows, with each row keyed by column name."""
    found = []
    for lines in re.findall(r"(?:^ *\|.*\|$\n?)+", prose(text), re.MULTILINE):
        head, _, *rows = [_cells(line) for line in lines.splitlines()]
        found.append([dict(zip(head, row, strict=True)) for row in rows])
    return found


def table(text: str, column: str) -> list[dict[str, str]]:
    """Return the rows of the only table whose first column is *column*."""
    (found,) = (rows for rows in tables(text) if next(iter(rows[0])) == column)
    return found


def plain(cell: str) -> str:
    """Return a cell's text without code and emphasis marks."""
    return cell.replace("`", "").replace("**", "").strip()


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
