"""Messages for Microsoft Teams: an Adaptive Card, for a workflow that starts when a Teams webhook request is received.

https://learn.microsoft.com/connectors/teams/#microsoft-teams-webhook,
https://adaptivecards.io/explorer/AdaptiveCard.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.status.verdict import FAILED, RUNNING, SUCCEEDED

if TYPE_CHECKING:
    from backupjobwatch.domain.status.chat_summary import ChatSummary

VERSION: Final = "1.4"
"""Version of Adaptive Cards. Teams supports 1.5 in its clients, and 1.4 on mobile devices."""
MAX_BYTES: Final = 28_000
"""The size of a message that Teams accepts."""

_STYLE: Final = {RUNNING: "accent", SUCCEEDED: "good", FAILED: "attention"}


def teams_message(summary: ChatSummary) -> dict[str, Any]:
    """Return *summary* as the body of a request to the workflow."""
    headline = {
        "type": "Container",
        "style": _STYLE[summary.phase],
        "bleed": True,
        "items": [_text(_run(summary.headline, weight="Bolder", size="Large"))],
    }
    message = [_text(_run(summary.message))] if summary.message else []
    facts = [_text(_run(f"{label}: ", weight="Bolder"), _run(value)) for label, value in summary.facts]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": VERSION,
        "fallbackText": f"{summary.headline}. {summary.message}".rstrip(),
        "msteams": {"width": "Full"},
        "body": [
            headline,
            *message,
            {"type": "Container", "items": [{**fact, "spacing": "None"} for fact in facts]},
            _text(_run(summary.command, fontType="Monospace", isSubtle=True)),
        ],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _text(*runs: dict[str, Any]) -> dict[str, Any]:
    # Not a TextBlock or a FactSet: they read Markdown, and a name from Azure could be a link.
    return {"type": "RichTextBlock", "inlines": [*runs]}


def _run(text: str, **style: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **style}
