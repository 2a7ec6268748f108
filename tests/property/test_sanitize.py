"""Shortcuts in sanitizing do not change the result."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from backupjobwatch.domain.jobs import text as module
from backupjobwatch.domain.jobs.text import ELLIPSIS, sanitize
from tests.property.strategies import SECRETS, texts
from tests.support.scale import at_scale

_pieces = st.sampled_from([
    "eyJ", "eyJ0123456789.", "://", "http://", "HTTPS://h/p?SECRET", "smb://a:b@host", "://:@", "?", "?sig=", "=", "sig=", "PASSWORD=", "a:b@", "\n", " ",
    "\u202e", "\u017fig=x", "é", "x" * 300, *SECRETS,
])  # fmt: skip
_lines = st.one_of(texts, st.text(st.characters()), st.lists(st.one_of(_pieces, texts), max_size=8).map("".join))


@settings(deadline=None, max_examples=at_scale(200, 5000))
@given(_lines, st.integers(1, 300))
def test_shortcuts_give_the_same_text(text: str, limit: int) -> None:
    """Sanitizing with shortcuts gives the same text as applying every step."""
    assert sanitize(text, limit) == _sanitize_in_steps(text, limit)


def _sanitize_in_steps(text: str, limit: int) -> str:
    enough = 4 * limit + 4096
    kept = text[:enough]
    for pattern, replacement in module._SECRETS:
        kept = pattern.sub(replacement, kept)
    kept = "".join(character if character.isprintable() else " " for character in kept)
    kept = " ".join(kept.split())
    return kept[: limit - 1] + ELLIPSIS if len(kept) > limit or len(text) > enough else kept
