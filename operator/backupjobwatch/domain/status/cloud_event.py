"""CloudEvents for webhooks (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from backupjobwatch.constants import API_VERSION, PLURAL
from backupjobwatch.domain.jobs.payloads import mapping
from backupjobwatch.domain.status.mirroring import present

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.status.notifications import Notification

STATUS_FIELDS: Final = (
    *("reason", "message", "job", "jobsTotal", "duration", "durationSeconds"),
    *("errors", "warnings", "watchStartTime", "completionTime"),
)
"""Fields of the status that are also in the data of the event."""

_UNESCAPED = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""The characters that the HTTP binding does not encode in the value of a header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """One event, with the same content for each attempt."""

    attributes: Mapping[str, str]
    data: Mapping[str, Any]

    def structured(self) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body in structured mode."""
        headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
        return headers, _json({**self.attributes, "datacontenttype": "application/json", "data": self.data})

    def binary(self) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body in binary mode."""
        headers = {
            f"ce-{name}": quote(value, safe=_UNESCAPED, errors="replace") for name, value in self.attributes.items()
        }
        return {**headers, "Content-Type": "application/json"}, _json(self.data)


def cloud_event(watch: Watch, notification: Notification) -> CloudEvent:
    """Return the event for *notification*, from the status of *watch*."""
    status = watch.status
    job = mapping(status.get("job"))
    # The time of the change, not of the delivery: the end of the watch, or the start of the running job.
    time = status.get("completionTime") or job.get("startTime") or status.get("watchStartTime")
    attributes = present(
        specversion="1.0",
        id=notification.id,
        source=f"/apis/{API_VERSION}/namespaces/{watch.namespace}/{PLURAL}/{watch.name}",
        type=f"dev.azurebackup.job.{notification.phase.lower()}",
        subject=job.get("resourceId"),
        time=time,
    )
    data = present(
        namespace=watch.namespace,
        name=watch.name,
        uid=watch.uid,
        phase=notification.phase,
        **{name: status.get(name) for name in STATUS_FIELDS},
    )
    return CloudEvent(attributes=attributes, data=data)


def _json(value: Mapping[str, Any]) -> bytes:
    # Azure's JSON can contain a lone surrogate, which has no encoding in UTF-8.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
