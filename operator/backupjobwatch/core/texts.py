"""Foreign text, made fit for a status: printable, bounded, and without secrets."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

_URL = re.compile(r"(?P<base>https?://[^\s?\"<>]+)\?(?P<query>[^\s\"<>]*)", re.IGNORECASE)
_PASSWORD = re.compile(r"(?<=://)[^\s/?\"<>]*:[^\s/?\"<>]*@")
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?")
_SECRET = re.compile(
    r"\b(?P<name>sig|signature|password|pwd|secret|client_secret|access_token|accountkey|sharedaccesskey)="
    r"[^&;\s\"<>]+",
    re.IGNORECASE,
)
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
    enough = 4 * limit + 4096
    kept = text[:enough]
    if "://" in kept or "eyJ" in kept or "=" in kept:  # else no pattern matches; most texts are a word or two
        for pattern, replacement in _SECRETS:
            kept = pattern.sub(replacement, kept)
    if not kept.isprintable():
        kept = "".join(character if character.isprintable() else " " for character in kept)
    kept = " ".join(kept.split())
    is_cut = len(kept) > limit or len(text) > enough
    return kept[: limit - 1] + CUT if is_cut else kept


def _without_secrets(url: re.Match[str]) -> str:
    names = {name.lower() for name, _ in parse_qsl(url["query"], keep_blank_values=True)}
    return url[0] if names <= _HARMLESS else f"{url['base']}?[…]"


_SECRETS = (
    (_URL, _without_secrets),
    (_PASSWORD, "[…]@"),
    (_JWT, "[token]"),
    (_SECRET, r"\g<name>=[…]"),
)
