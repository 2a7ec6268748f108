"""Foreign text, made fit for a status: printable, bounded, and without secrets."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

_URL = re.compile(r"(?P<base>\bhttps?://[^\s?\"'<>]+)\?(?P<query>[^\s\"'<>]*)", re.IGNORECASE)
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?")
_HARMLESS = frozenset({"linkid", "clcid", "view", "tabs", "ocid"})
"""Parameters of Microsoft's documentation links. All others may be part of a signature (SAS, operation URLs)."""

CUT = "…"
"""Ends a text that was too long."""


def clean(text: str, limit: int) -> str:
    r"""Return *text* as one printable line of at most *limit* characters, without tokens and signed URL queries.

    Azure's messages hold ``\\r\\n``, and anybody who names a backup item can put terminal escapes into one.
    A cut text ends in an ellipsis, so that a reader can tell.
    """
    # Enough of it: an error of megabytes is not worth the regular expressions.
    text = _JWT.sub("[token]", _URL.sub(_without_secrets, text[: 4 * limit + 4096]))
    text = "".join(character if character.isprintable() else " " for character in text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + CUT


def _without_secrets(url: re.Match[str]) -> str:
    names = {name.lower() for name, _ in parse_qsl(url["query"], keep_blank_values=True)}
    return url[0] if names <= _HARMLESS else f"{url['base']}?[…]"
