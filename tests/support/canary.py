"""A canary word in every secret that tests give to the operator. A test fails if the word leaks.

Tokens, client secrets, passwords and signatures contain the word. Secrets without room for a word are detected by their
format: JSON web tokens and private keys. ``tests/conftest.py`` scans all logs and all output, and fails the test that leaked
a secret. Fixtures use :func:`scan` to scan requests to API servers and the output of the operator's processes.
"""

from __future__ import annotations

import base64
import logging
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

WORD: Final = "kanarienvogel"
"""A word that only secrets contain."""

TOKEN: Final = f"operator-token-{WORD}"
"""The development token, which the operator sends only to Azure."""

_KEY: Final = "PRIVATE KEY-----"
_JWT: Final = r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}"
_ENOUGH: Final = 20
"""Maximum number of findings per test, because a leak in a loop can repeat thousands of times."""
_AROUND: Final = 160
"""Characters on each side of a finding in the report."""


def _in_base64(text: str) -> Iterator[str]:
    """Yield the Base64 characters that depend only on *text*, for each of its three alignments."""
    for before in range(3):
        letters = base64.b64encode(b"\0" * before + text.encode()).decode()
        yield letters[-(-before * 8 // 6) : (before + len(text)) * 8 // 6]


_WORDS: Final = (WORD, *_in_base64(WORD), _KEY, *_in_base64(_KEY))
_SECRET: Final = re.compile("|".join([*_WORDS, _JWT]))
_HINTS: Final = (*_WORDS, "eyJ")
"""Each secret contains one of these. The search for them is much faster than that of the regular expression."""


class SecretScanner(logging.Handler):
    """Scans text for secrets, and stores only the findings."""

    def __init__(self) -> None:
        super().__init__()
        self._findings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Scan a log record: its line, traceback and extra fields."""
        self.scan(f"the log of {record.name}", f"{self.format(record)}\n{vars(record)}")

    def scan(self, where: str, text: str) -> None:
        """Scan *text* from *where*, in any thread."""
        found = _SECRET.search(text) if any(hint in text for hint in _HINTS) else None
        if found is not None and len(self._findings) < _ENOUGH:
            start, end = max(found.start() - _AROUND, 0), found.end() + _AROUND
            self._findings.append(f"{where}: …{text[start:end]}…")

    def take(self) -> list[str]:
        """Return the findings since the last call."""
        findings, self._findings = self._findings, []
        return findings


SCANNER: Final = SecretScanner()
scan: Final = SCANNER.scan


def describe(findings: list[str]) -> str:
    """Describe the findings, or return an empty string if there are none."""
    return "\n".join(["A secret leaked:", *findings]) if findings else ""
