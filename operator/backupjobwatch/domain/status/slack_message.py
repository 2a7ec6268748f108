"""Messages for Slack's incoming webhooks, in Block Kit.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.jobs.text import ELLIPSIS
from backupjobwatch.domain.status.verdict import FAILED, RUNNING, SUCCEEDED

if TYPE_CHECKING:
    from backupjobwatch.domain.status.chat_summary import ChatSummary

HEADER: Final = 150
SECTION: Final = 3000
FIELD: Final = 2000
FALLBACK: Final = 4000
"""The most characters of each text. Slack refuses a longer header, section or field, and truncates the fallback."""

_EMOJI: Final = {RUNNING: ":hourglass_flowing_sand:", SUCCEEDED: ":white_check_mark:", FAILED: ":x:"}
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
"""Slack's control characters: unescaped, <!channel> in a name would notify everyone."""


def slack_message(summary: ChatSummary) -> dict[str, Any]:
    """Return *summary* as the body of a request to an incoming webhook."""
    headline = f"{_EMOJI[summary.phase]} {escape(summary.headline, HEADER - 32)}"
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(headline, emoji=True)}]
    if summary.message:
        blocks.append({"type": "section", "text": _plain(escape(summary.message, SECTION))})
    fields = [_markdown(f"*{label}*\n{escape(value, FIELD - 32)}") for label, value in summary.facts]
    blocks.append({"type": "section", "fields": fields})
    blocks.append({"type": "context", "elements": [_markdown(f"`{escape(summary.command, FIELD - 32)}`")]})
    # For notifications on the desktop and for screen readers, which do not show blocks.
    fallback = f"{headline}: {escape(summary.message, FALLBACK - HEADER - 2)}" if summary.message else headline
    return {"text": fallback, "blocks": blocks}


def escape(text: str, limit: int) -> str:
    """Escape *text* for a text object of at most *limit* characters."""
    escaped = [_ENTITIES.get(character, character) for character in text]
    if sum(map(len, escaped)) <= limit:
        return "".join(escaped)
    ends = accumulate(map(len, escaped))
    kept = sum(end <= limit - len(ELLIPSIS) for end in ends)
    return "".join(escaped[:kept]) + ELLIPSIS


def _plain(text: str, *, emoji: bool = False) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": emoji}


def _markdown(text: str) -> dict[str, Any]:
    # verbatim: Slack turns no name into a mention or a link.
    return {"type": "mrkdwn", "text": text, "verbatim": True}
