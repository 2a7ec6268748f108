"""Events for PagerDuty's Events API v2: a failed watch triggers an alert, and its success resolves it.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.constants import CONTROLLER
from backupjobwatch.domain.jobs.text import ELLIPSIS
from backupjobwatch.domain.status.mirroring import present
from backupjobwatch.domain.status.verdict import FAILED

if TYPE_CHECKING:
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.status.chat_summary import ChatSummary
    from backupjobwatch.domain.status.cloud_event import CloudEvent

SUMMARY: Final = 1024
"""Most characters of an alert's summary."""


def pagerduty_event(watch: Watch, summary: ChatSummary, event: CloudEvent, routing_key: str) -> dict[str, Any]:
    """Return the event for *summary*, with the data of *event* as details of an alert.

    The deduplication key is the UID of the watch. Any other key could resolve the alert of another watch: names and
    items are the same in several clusters that share an integration.
    """
    body: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "trigger" if summary.phase == FAILED else "resolve",
        "dedup_key": watch.uid,
    }
    if summary.phase != FAILED:
        return body
    text = f"{summary.headline}: {summary.message}" if summary.message else summary.headline
    facts = dict(summary.facts)
    payload = present(
        summary=text if len(text) <= SUMMARY else text[: SUMMARY - 1] + ELLIPSIS,
        source=event.attributes["source"],
        severity="error",
        timestamp=event.attributes.get("time"),
        component=facts.get("Item"),
        group=facts.get("Vault"),
        **{"class": facts.get("Reason")},
        custom_details=event.data,
    )
    return {**body, "client": CONTROLLER, "payload": payload}
