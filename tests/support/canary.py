"""The canary: a word in every secret that tests hand to the operator. Where anybody is told it, the run fails.

Tokens, client secrets, passwords and signatures hold the word. What cannot be given a word is known by its shape: JSON web
tokens and private keys. ``tests/conftest.py`` listens to all logs at every level and to what is printed, and fails the test
during which something was heard; fixtures :func:`hear` what goes to API servers, and what the operator's processes say.
"""

from __future__ import annotations

import base64
import logging
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

WORD: Final = "kanarienvogel"
"""What is in secrets, and nowhere else."""

TOKEN: Final = f"operator-token-{WORD}"
"""The development token: what the operator shows to Azure, and to nobody else."""

_KEY: Final = "PRIVATE KEY-----"
_JWT: Final = r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}"
_ENOUGH: Final = 20
"""Findings of one test that are kept: a leak in a loop leaks thousands of times."""
_AROUND: Final = 160
"""Characters on each side that a finding shows."""


def _in_base64(text: str) -> Iterator[str]:
    """Encode *text* for each place it may have in what is encoded: the letters that are all its own."""
    for before in range(3):
        letters = base64.b64encode(b"\0" * before + text.encode()).decode()
        yield letters[-(-before * 8 // 6) : (before + len(text)) * 8 // 6]


_SECRET: Final = re.compile("|".join([WORD, *_in_base64(WORD), _KEY, *_in_base64(_KEY), _JWT]))


class Listener(logging.Handler):
    """Hears all that is told, as it is told, and keeps nothing of it but where a secret was."""

    def __init__(self) -> None:
        super().__init__()
        self._findings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Hear a log record: its line, its traceback, and what was given beside the message."""
        self.hear(f"the log of {record.name}", f"{self.format(record)}\n{vars(record)}")

    def hear(self, where: str, text: str) -> None:
        """Hear what was told by way of *where*; from any thread."""
        found = _SECRET.search(text)
        if found is not None and len(self._findings) < _ENOUGH:
            start, end = max(found.start() - _AROUND, 0), found.end() + _AROUND
            self._findings.append(f"{where}: …{text[start:end]}…")

    def take(self) -> list[str]:
        """Return where secrets were heard since the last call."""
        findings, self._findings = self._findings, []
        return findings


LISTENER: Final = Listener()
hear: Final = LISTENER.hear


def describe(findings: list[str]) -> str:
    """Describe where secrets were seen; empty if nowhere."""
    return "\n".join(["A secret was told:", *findings]) if findings else ""
