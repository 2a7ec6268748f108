"""Sanitize external text for a status: printable, truncated, without secrets and internal addresses."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

_URL = re.compile(r"(?P<base>https?://[^\s?\"<>]+)\?(?P<query>[^\s\"<>]*)", re.IGNORECASE)
_PASSWORD = re.compile(r"(?<=://)[^\s/?\"<>]*:[^\s/?\"<>]*@")
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?")
_SECRET = re.compile(
    r"\b(?P<name>sig|signature|password|pwd|secret|client_secret|access_token|accountkey|sharedaccesskey)"
    r"(?P<between>\s*=\s*[\"']?|[\"']\s*:\s*[\"'])[^&;\s\"<>]+",
    re.IGNORECASE,
)
_MARKS = ("=", "://", "eyJ", '"', "'")
"""Each text with a secret contains one of these."""
_HARMLESS = frozenset({"linkid", "clcid", "view", "tabs", "ocid"})
"""Query parameters of Microsoft's documentation links. Others may be part of a signature (SAS, operation URLs)."""

_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_INTERNAL = re.compile(
    # WCF endpoints. No other product uses these schemes.
    r"(?<![0-9a-z])net\.(?:tcp|pipe|msmq)://[^\s\"'<>,;)\]]+"
    # RFC 1918, shared address space (RFC 6598), loopback and link-local, each with its port.
    rf"|(?<![\d.])(?:(?:10|127)(?:\.{_OCTET}){{3}}|(?:192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01])"
    rf"|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))(?:\.{_OCTET}){{2}})(?!\d|\.\d)(?::\d{{1,5}}\b)?"
    # IPv6 loopback, unique local and link-local addresses.
    r"|(?<![0-9a-z:])(?:(?:f[cd][0-9a-f]{2}|fe[89ab][0-9a-f]):[0-9a-f:]*[0-9a-f:](?:%\w+)?|::1)(?![0-9a-z:])",
    re.IGNORECASE,
)
_DOTS, _COLONS = 3, 7
_QUOTED = 64
INTERNAL = "[internal address]"
"""Replaces an address inside a private network, which may reveal the network's layout."""

ELLIPSIS = "…"
"""Ends a truncated text."""


def sanitize(text: str, limit: int, *, redact_addresses: bool = False) -> str:
    r"""Return *text* as one printable line of at most *limit* characters, without tokens and signed URL queries.

    *redact_addresses* also redacts internal addresses. It is for free text, not for names, which are compared.
    Azure's messages contain ``\\r\\n``, and the name of a backup item can contain terminal escapes.
    A truncated text ends in an ellipsis.
    """
    # Limit the input of the regular expressions.
    enough = 4 * limit + 4096
    kept = text[:enough]
    if any(mark in kept for mark in _MARKS):  # Most strings are too short to match.
        for pattern, replacement in _SECRETS:
            kept = pattern.sub(replacement, kept)
    # Skip this expensive expression if the text cannot contain an address.
    if redact_addresses and (kept.count(".") >= _DOTS or "::" in kept or "://" in kept or kept.count(":") >= _COLONS):
        kept = _INTERNAL.sub(INTERNAL, kept)
    if not kept.isprintable():
        kept = "".join(character if character.isprintable() else " " for character in kept)
    kept = " ".join(kept.split())
    is_truncated = len(kept) > limit or len(text) > enough
    return kept[: limit - 1] + ELLIPSIS if is_truncated else kept


def quoted(value: object) -> str:
    """Return a rejected *value* for an error message: truncated, without secrets, and strings in quotes."""
    text = sanitize(str(value).partition("?")[0], _QUOTED)
    return f'"{text}"' if isinstance(value, str) else text


def _without_secrets(url: re.Match[str]) -> str:
    names = {name.lower() for name, _ in parse_qsl(url["query"], keep_blank_values=True)}
    return url[0] if names <= _HARMLESS else f"{url['base']}?[…]"


_SECRETS = (
    (_URL, _without_secrets),
    (_PASSWORD, "[…]@"),
    (_JWT, "[token]"),
    (_SECRET, r"\g<name>\g<between>[…]"),
)
