"""
Check the prose of the project for forbidden phrases and long sentences.

    python -m tests.documents.style            # every tracked file
    python -m tests.documents.style FILE …     # these files

style.toml lists the phrases, the exceptions with their reasons, and the files to ignore.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.documents.extract import extract

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).parents[2]
RULES: Final = Path(__file__).with_name("style.toml")
LONGEST: Final = 30
"""The maximum number of words in a sentence. Inline code counts as one word."""
_SUFFIXES: Final = frozenset({".md", ".py", ".yaml", ".json", ".toml", ".sh", ""})
_END: Final = re.compile(r"(?<=[.!?])[)\"”*]*\s+(?=[\"“(*`\[]*[A-Z0-9`])|(?<=[;:])\s+(?=- )")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A forbidden phrase, and what to write instead."""

    pattern: re.Pattern[str]
    instead: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The content of style.toml."""

    phrases: tuple[Phrase, ...]
    exceptions: dict[str, str]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A place that breaks a rule."""

    path: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.problem}"


def load_rules(path: Path = RULES) -> Rules:
    """Read the rules from style.toml."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return Rules(
        phrases=tuple(
            Phrase(re.compile(rf"\b(?:{pattern})", re.IGNORECASE), instead)
            for instead, patterns in content["phrases"].items()
            for pattern in patterns
        ),
        exceptions=content["exceptions"],
        ignored=tuple(content["ignored"]["files"]),
    )


def plain(text: str) -> str:
    """Replace each list of code and each URL with one word, and each link with its text."""
    text = re.sub(r"``.+?``|`[^`]+`", "CODE", text)
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"https?://\S+", "URL", text)
    return re.sub(r"CODE(?:[,;:]?(?: and| or)? CODE)+", "CODE", text)


def findings_in(text: str, rules: Rules) -> Iterator[str]:
    """Yield the findings in a block of prose."""
    words = plain(text)
    for exception in rules.exceptions:
        words = words.replace(exception, "EXCEPTION")
    for phrase in rules.phrases:
        for match in phrase.pattern.finditer(words):
            yield f'"{match[0]}": {phrase.instead}'
    for sentence in _END.split(words):
        length = len(re.findall(r"[A-Za-z0-9][\w'./-]*", sentence))
        if length > LONGEST:
            yield f"{length} words in a sentence (at most {LONGEST}): {sentence[:60]}…"


def check(path: Path, rules: Rules) -> list[Finding]:
    """Return the findings in a file."""
    name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
    blocks = extract(path, with_messages=not name.startswith("tests/"))  # strings of tests are data and expected output
    return [Finding(name, block.line, each) for block in blocks for each in findings_in(block.text, rules)]


def tracked() -> list[str]:
    """Return the tracked files that can contain prose."""
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    return [name for name in listed if Path(name).suffix in _SUFFIXES and (ROOT / name).is_file()]


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Return whether *name* matches one of the files or patterns."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def main() -> int:
    """Print the findings, and return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--count", action="store_true", help="print the number of findings of each file")
    options = parser.parse_args()
    rules = load_rules()
    names = [name for name in tracked() if not matches(name, rules.ignored)]
    paths = [path.resolve() for path in options.files] or [ROOT / name for name in names]
    found = {path: check(path, rules) for path in paths}
    for path, findings in found.items():
        if options.count and findings:
            print(f"{len(findings):5} {path.relative_to(ROOT)}")
        elif not options.count:
            print(*findings, sep="\n", end="\n" if findings else "")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
