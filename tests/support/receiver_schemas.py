"""JSON schemas of Slack, Teams and PagerDuty messages, limited to what the operator sends.

The sources are Slack's Block Kit reference, Microsoft's Adaptive Card schema 1.4 with the message of a Teams webhook, and
PagerDuty's OpenAPI document of the Events API v2.
"""

from __future__ import annotations

import json
from typing import Any, Final

from jsonschema import Draft202012Validator, FormatChecker

_TEXT: Final = {"type": "string", "minLength": 1}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [*required],
        "properties": {**required, **optional},
        "additionalProperties": False,
    }


def _plain(limit: int) -> dict[str, Any]:
    return _object({"type": {"const": "plain_text"}, "text": {**_TEXT, "maxLength": limit}}, emoji={"type": "boolean"})


def _markdown(limit: int) -> dict[str, Any]:
    return _object({"type": {"const": "mrkdwn"}, "text": {**_TEXT, "maxLength": limit}}, verbatim={"type": "boolean"})


def _text(limit: int) -> dict[str, Any]:
    return {"oneOf": [_plain(limit), _markdown(limit)]}


_BLOCK: Final = {
    "oneOf": [
        _object({"type": {"const": "header"}, "text": _plain(150)}),
        _object({"type": {"const": "section"}, "text": _text(3000)}),
        _object(
            {
                "type": {"const": "section"},
                "fields": {"type": "array", "minItems": 1, "maxItems": 10, "items": _text(2000)},
            }
        ),
        _object(
            {
                "type": {"const": "context"},
                "elements": {"type": "array", "minItems": 1, "maxItems": 10, "items": _text(3000)},
            }
        ),
    ]
}
SLACK: Final = _object(
    {
        "text": {**_TEXT, "maxLength": 4000},
        "blocks": {"type": "array", "minItems": 1, "maxItems": 50, "items": _BLOCK},
    }
)

_RUN: Final = _object(
    {"type": {"const": "TextRun"}, "text": _TEXT},
    weight={"enum": ["Lighter", "Default", "Bolder"]},
    size={"enum": ["Default", "Small", "Medium", "Large", "ExtraLarge"]},
    fontType={"enum": ["Default", "Monospace"]},
    isSubtle={"type": "boolean"},
)
_SPACING: Final = {"enum": ["None", "Small", "Default", "Medium", "Large", "ExtraLarge", "Padding"]}
_ELEMENTS: Final = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/element"}}
TEAMS: Final = {
    "$defs": {
        "element": {
            "oneOf": [
                _object(
                    {
                        "type": {"const": "RichTextBlock"},
                        "inlines": {"type": "array", "minItems": 1, "items": _RUN},
                    },
                    spacing=_SPACING,
                ),
                _object(
                    {"type": {"const": "Container"}, "items": _ELEMENTS},
                    style={"enum": ["default", "emphasis", "good", "attention", "warning", "accent"]},
                    bleed={"type": "boolean"},
                    spacing=_SPACING,
                ),
            ]
        }
    },
    **_object(
        {
            "type": {"const": "message"},
            "attachments": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1,
                "items": _object(
                    {
                        "contentType": {"const": "application/vnd.microsoft.card.adaptive"},
                        "contentUrl": {"type": "null"},
                        "content": _object(
                            {
                                "$schema": {"const": "http://adaptivecards.io/schemas/adaptive-card.json"},
                                "type": {"const": "AdaptiveCard"},
                                "version": {"enum": ["1.0", "1.1", "1.2", "1.3", "1.4"]},
                                "body": _ELEMENTS,
                            },
                            fallbackText=_TEXT,
                            msteams=_object({"width": {"const": "Full"}}),
                        ),
                    }
                ),
            },
        }
    ),
}

_KEYS: Final = {"routing_key": {"type": "string", "minLength": 32, "maxLength": 32}}
_DEDUP: Final = {"type": "string", "minLength": 1, "maxLength": 255}
PAGERDUTY: Final = {
    "oneOf": [
        _object(
            {
                **_KEYS,
                "event_action": {"const": "trigger"},
                "payload": _object(
                    {
                        "summary": {**_TEXT, "maxLength": 1024},
                        "source": _TEXT,
                        "severity": {"enum": ["critical", "error", "warning", "info"]},
                    },
                    timestamp={"type": "string", "format": "date-time"},
                    component=_TEXT,
                    group=_TEXT,
                    custom_details={"type": "object"},
                    **{"class": _TEXT},
                ),
            },
            dedup_key=_DEDUP,
            client=_TEXT,
        ),
        _object({**_KEYS, "event_action": {"enum": ["acknowledge", "resolve"]}, "dedup_key": _DEDUP}),
    ]
}

MAX_BYTES: Final = {"Slack": 100_000, "Teams": 28_000, "PagerDuty": 512_000}
"""The maximum body size of each receiver. Slack documents none."""
SCHEMAS: Final[dict[str, dict[str, Any]]] = {"Slack": SLACK, "Teams": TEAMS, "PagerDuty": PAGERDUTY}


def accepted(form: str, body: bytes) -> Any:
    """Parse a body like the receiver of a format. Raise an error if the receiver would return 400."""
    assert len(body) <= MAX_BYTES[form]
    value = json.loads(body)
    Draft202012Validator(SCHEMAS[form], format_checker=FormatChecker()).validate(value)
    return value


def accepts(form: str, body: bytes) -> bool:
    """Return whether the receiver of a format accepts a body."""
    try:
        accepted(form, body)
    except Exception:  # noqa: BLE001 -- any error means a refusal
        return False
    return True
