"""Load recorded responses of Azure, and classify each by its content."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.arm.responses import Response, parse_json
from backupjobwatch.domain.jobs.resource_ids import VaultKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCES: Final = "SOURCES.tsv"
"""An optional file with the kind and the HTTP status of each recording."""
_ENVELOPE: Final = frozenset({"status", "headers", "body"})
_REQUEST_ID: Final = {"x-ms-request-id": "00000000-0000-0000-0000-000000000000"}
_NUMBER = re.compile(r"[.-](?:x?\d+)(?:\.json)?$")
_HTTP_STATUS = re.compile(r"(?:^|-)([1-5]\d\d)(?:-|$)")
_OK: Final = 200
_BAD_REQUEST: Final = 400


class Content(Enum):
    """The type of content in a recording."""

    JOB = "job"
    JOBS = "job list"
    ROWS = "Resource Graph rows"
    OPERATION = "operation"
    ERROR = "error"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recorded response."""

    name: str
    kind: str
    """The kind in the table, from SOURCES.tsv or else from the file name."""
    answer: Response
    body: Any
    """The JSON value in the body, or None."""

    @property
    def content(self) -> Content:
        """The type of content, from the HTTP status and the fields of the body, not from the file name."""
        if self.answer.status >= _BAD_REQUEST:
            return Content.ERROR
        body = self.body if isinstance(self.body, Mapping) else {}
        value, is_operation = body.get("value"), isinstance(body.get("status"), str)
        signs = {
            Content.ROWS: _has_jobs(body.get("data")),
            Content.JOBS: _has_jobs(value) or value == [],
            Content.JOB: is_job(body),
            Content.OPERATION: is_operation and bool({"startTime", "percentComplete", "name"} & body.keys()),
            Content.ERROR: bool({"error", "ErrorCode"} & body.keys()),
        }
        return next((content for content, found in signs.items() if found), Content.OTHER)

    @property
    def vault_kind(self) -> VaultKind:
        """The kind of vault that sent the response."""
        jobs = self.body.get("value") if self.content is Content.JOBS else [self.body]
        is_backup_vault = any(isinstance(job, Mapping) and is_data_protection(job) for job in jobs)
        return VaultKind.BACKUP_VAULT if is_backup_vault else VaultKind.RECOVERY_SERVICES


def is_job(value: object) -> bool:
    """Return whether *value* is a job of either kind of vault."""
    properties = value.get("properties") if isinstance(value, Mapping) else None
    return isinstance(properties, Mapping) and bool({"jobType", "activityID", "activityId"} & properties.keys())


def is_data_protection(job: Mapping[str, Any]) -> bool:
    """Return whether *job* belongs to a Backup vault."""
    properties = job.get("properties")
    if isinstance(properties, Mapping) and "activityID" in properties:
        return True
    return "microsoft.dataprotection" in f"{job.get('id')} {job.get('type')}".lower()


def load(directory: Path) -> Iterator[Recording]:
    """Yield the recordings in *directory*, sorted by name."""
    sources = _sources(directory)
    for path in sorted(directory.iterdir()):
        if path.name != SOURCES and path.is_file():
            yield _read(path, sources.get(path.name, {}))


def _read(path: Path, source: Mapping[str, str]) -> Recording:
    raw = path.read_bytes()
    body = parse_json(raw)
    status, headers = source.get("status"), dict(_REQUEST_ID)
    if isinstance(body, Mapping) and body.keys() == _ENVELOPE:
        status, headers = str(body["status"]), {**headers, **body["headers"]}
        body = body["body"]
        raw = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    kind = source.get("kind") or _NUMBER.sub("", path.name.removesuffix(".json"))
    return Recording(
        name=path.name,
        kind=kind,
        answer=Response(status=int(status or _guess_status(path.stem, body)), headers=headers, body=raw),
        body=body,
    )


def _guess_status(stem: str, body: object) -> int:
    named = _HTTP_STATUS.search(stem)
    if named:
        return int(named[1])
    is_error = isinstance(body, Mapping) and ({"error", "ErrorCode"} & body.keys()) and "status" not in body
    return _BAD_REQUEST if is_error else _OK


def _sources(directory: Path) -> dict[str, dict[str, str]]:
    path = directory / SOURCES
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as lines:
        return {row["file"]: row for row in csv.DictReader(lines, delimiter="\t")}


def _has_jobs(items: object) -> bool:
    return isinstance(items, list) and bool(items) and all(is_job(item) for item in items)
