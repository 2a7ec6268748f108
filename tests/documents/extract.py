"""Extract the prose of a file with line numbers: Markdown, docstrings, comments, messages, names and descriptions."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_MESSAGE_WORDS: Final = 4
"""A string literal with fewer words is a name or a key, not a message."""
_TEXT_KEYS: Final = frozenset({"description", "summary", "message", "title"})
_FENCE: Final = re.compile(r"^ *(```|~~~)")
_TABLE_RULE: Final = re.compile(r"^[\s|:-]+$")
_BLOCK_START: Final = re.compile(r"^ *(#+ |[-*+] |\d+\. |> |$)")
_PAIR: Final = re.compile(r"[\w./-]+: *[\[{\"'\w-]")


@dataclass(frozen=True, slots=True)
class Prose:
    """A block of prose: a paragraph, a table cell, a docstring's paragraph, a comment, a message or the words of a name."""

    line: int
    text: str


def extract(path: Path, *, with_messages: bool = True) -> Iterator[Prose]:
    """Yield the blocks of prose in *path*, according to its file type. Strings of a module count if *with_messages*."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from markdown(text)
    elif path.suffix == ".py":
        yield from python(text, with_messages=with_messages)
    elif path.suffix == ".json":
        yield from (Prose(1, each) for each in _values(json.loads(text)))
    else:
        yield from comments(text)
        if path.suffix == ".yaml" and "{{" not in text:
            yield from descriptions(text)


def markdown(text: str) -> Iterator[Prose]:
    """Yield paragraphs, headings, list items and table cells, without fenced blocks."""
    block: list[str] = []
    start, fenced = 1, False
    for number, line in enumerate(text.splitlines(), 1):
        if _FENCE.match(line):
            fenced = not fenced
        table = line.lstrip().startswith("|")
        if block and (fenced or table or _FENCE.match(line) or _BLOCK_START.match(line)):
            yield Prose(start, " ".join(block))
            block = []
        if fenced or _FENCE.match(line) or not line.strip() or _TABLE_RULE.match(line):
            continue
        if table:
            yield from (Prose(number, cell.strip()) for cell in line.strip().strip("|").split("|") if cell.strip())
            continue
        if not block:
            start = number
        block.append(re.sub(r"^ *(#+|[-*+]|\d+\.|>) ", "", line).strip())
    if block:
        yield Prose(start, " ".join(block))


def python(text: str, *, with_messages: bool) -> Iterator[Prose]:
    """Yield the comments, docstrings and messages of a module, and the words of its function and class names."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    yield from _joined(
        (token.start[0], re.sub(r" *# noqa.*", "", token.string.lstrip("# ")))
        for token in tokens
        if token.type == tokenize.COMMENT and not re.match(r"#(!|:| ?(noqa|type:|pragma))", token.string)
    )
    nodes = list(ast.walk(ast.parse(text)))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield Prose(node.lineno, _words(node.name))
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if id(node) in docstrings or (with_messages and len(node.value.split()) >= _MESSAGE_WORDS):
            yield from _paragraphs(node.lineno, node.value)


def _words(name: str) -> str:
    """Return the words of a name in snake_case or CamelCase."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").strip()


def comments(text: str) -> Iterator[Prose]:
    """Yield the ``#`` comments. Adjacent lines form one block."""
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"^(?:.*?[^\s\"']\s+)?\s*# (.*)$", line)
        if match and not _PAIR.match(match[1]) and not line.startswith("#!"):
            lines.append((number, match[1]))
    yield from _joined(lines)


def descriptions(text: str) -> Iterator[Prose]:
    """Yield the descriptions and messages in YAML documents."""
    for document in yaml.compose_all(text, Loader=yaml.CSafeLoader):
        yield from _scalars(document)


def _scalars(node: yaml.Node | None) -> Iterator[Prose]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(value, yaml.ScalarNode) and key.value in _TEXT_KEYS:
                yield Prose(value.start_mark.line + 1, value.value)
            yield from _scalars(value)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _scalars(each)


def _values(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key in _TEXT_KEYS and isinstance(each, str):
                yield each
            yield from _values(each)
    elif isinstance(value, list):
        for each in value:
            yield from _values(each)


def _joined(lines: Iterable[tuple[int, str]]) -> Iterator[Prose]:
    block: list[str] = []
    start = last = -1
    for number, line in lines:
        if block and (number != last + 1 or not line.strip()):
            yield Prose(start, " ".join(block))
            block = []
        if not block:
            start = number
        if line.strip():
            block.append(line.strip())
        last = number
    if block:
        yield Prose(start, " ".join(block))


def _paragraphs(line: int, text: str) -> Iterator[Prose]:
    for block in re.split(r"\n\s*\n|\n(?=\s*[-*] )|::\n", text):
        if block.strip() and not block.strip().startswith("\b"):  # click's marker for preformatted text
            yield Prose(line, " ".join(block.split()))
