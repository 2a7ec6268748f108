"""The request of a webhook: headers and body, in each of its formats."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, assert_never

from backupjobwatch.domain.api.notify_spec import WebhookFormat
from backupjobwatch.domain.status.chat_summary import chat_summary
from backupjobwatch.domain.status.cloud_event import cloud_event
from backupjobwatch.domain.status.pagerduty_event import pagerduty_event
from backupjobwatch.domain.status.slack_message import slack_message
from backupjobwatch.domain.status.teams_message import teams_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.status.notifications import Notification


def webhook_request(
    watch: Watch, notification: Notification, form: WebhookFormat, *, routing_key: str = ""
) -> tuple[dict[str, str], bytes]:
    """Return headers and body of *notification*. *routing_key* is that of PagerDuty."""
    match form:
        case WebhookFormat.STRUCTURED:
            return cloud_event(watch, notification).structured()
        case WebhookFormat.BINARY:
            return cloud_event(watch, notification).binary()
        case WebhookFormat.SLACK:
            return _request(slack_message(chat_summary(watch, notification)))
        case WebhookFormat.TEAMS:
            return _request(teams_message(chat_summary(watch, notification)))
        case WebhookFormat.PAGERDUTY:
            summary, event = chat_summary(watch, notification), cloud_event(watch, notification)
            return _request(pagerduty_event(watch, summary, event, routing_key))
        case _:
            assert_never(form)


def _request(body: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    # ASCII with escapes: Azure's JSON can contain a lone surrogate, which has no encoding in UTF-8.
    return {"Content-Type": "application/json"}, json.dumps(body, separators=(",", ":")).encode()
