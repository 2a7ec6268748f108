"""Parse the ``spec`` of a watch: the target, and how to follow it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from backupjobwatch.domain.api.target import SOURCES, Identity, JobSource, parse_identity, parse_source
from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.resource_ids import fold_case
from backupjobwatch.domain.jobs.text import quoted
from backupjobwatch.errors import InvalidSpec

POLL_INTERVALS: Final[Mapping[str, timedelta]] = MappingProxyType(
    {
        "10s": timedelta(seconds=10),
        "30s": timedelta(seconds=30),
        "1m": timedelta(minutes=1),
        "2m": timedelta(minutes=2),
        "5m": timedelta(minutes=5),
    }
)
"""Allowed values of ``pollInterval``. There are few, because each one needs a kopf timer."""

TARGET_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {"activeDeadlineSeconds": 172800, "graceSeconds": 600, "completedWithWarnings": "Failed"}
)
"""Target fields with a default in the CRD."""

_TARGET_FIELDS = (*SOURCES, "vault", "identity", "revision", *TARGET_DEFAULTS)
_CASELESS_FIELDS = ("jobResourceId", "jobName", "vault", "latest")
_DEFAULT_PARTS = (("kind", "recoveryservices"), ("operation", "backup"))
_DEFAULT_INTERVAL = "30s"
RANGES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"activeDeadlineSeconds": (1, 31536000), "graceSeconds": (0, 86400)}
)
"""Minimum and maximum of the fields in seconds."""
LONGEST_REVISION: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSpec:
    """A valid spec."""

    source: JobSource
    identity: Identity
    active_deadline: timedelta
    """Maximum time from the first poll to the end of the job."""
    grace: timedelta
    """How long 404 and 403 are tolerated."""
    warnings_succeed: bool
    """Whether CompletedWithWarnings counts as success."""
    poll_interval: timedelta
    suspend: bool


def parse_spec(spec: Mapping[str, Any]) -> WatchSpec:
    """Parse a spec. Raise InvalidSpec for errors that the API server did not reject, for example with an older CRD."""
    interval = spec.get("pollInterval", _DEFAULT_INTERVAL)
    if not isinstance(interval, str) or interval not in POLL_INTERVALS:
        raise InvalidSpec(f"spec.pollInterval must be one of {', '.join(POLL_INTERVALS)}, got {quoted(interval)}")
    suspend = spec.get("suspend", False)
    if not isinstance(suspend, bool):
        raise InvalidSpec(f"spec.suspend must be true or false, got {quoted(suspend)}")
    warnings = _target_field(spec, "completedWithWarnings")
    if warnings not in ("Failed", "Succeeded"):
        raise InvalidSpec(f"spec.completedWithWarnings must be Failed or Succeeded, got {quoted(warnings)}")
    source = parse_source(spec)
    _check_revision(spec, source)
    return WatchSpec(
        source=source,
        identity=parse_identity(spec.get("identity")),
        active_deadline=_seconds(spec, "activeDeadlineSeconds"),
        grace=_seconds(spec, "graceSeconds"),
        warnings_succeed=warnings == "Succeeded",
        poll_interval=POLL_INTERVALS[interval],
        suspend=suspend,
    )


def read_revision(spec: Mapping[str, Any]) -> str | None:
    """Return ``spec.revision``. None if it is unset or invalid."""
    revision = spec.get("revision")
    return revision if isinstance(revision, str) and 0 < len(revision) <= LONGEST_REVISION else None


def poll_interval(spec: Mapping[str, Any]) -> timedelta:
    """Return the poll interval of a spec, or the default if it is invalid."""
    interval = spec.get("pollInterval")
    return POLL_INTERVALS.get(interval if isinstance(interval, str) else "", POLL_INTERVALS[_DEFAULT_INTERVAL])


def target_digest(spec: Mapping[str, Any]) -> str:
    """Return a digest of the target fields. A status with another digest is about another target.

    The digest ignores letter case where Azure does, and explicit defaults. For an invalid spec it covers all fields,
    because any edit may fix the spec.
    """
    try:
        parse_spec(spec)
    except InvalidSpec:
        fields: dict[str, Any] = {"invalid": spec}
    else:
        fields = {**TARGET_DEFAULTS, **{name: spec[name] for name in _TARGET_FIELDS if spec.get(name) is not None}}
        fields.update({name: _caseless(fields[name]) for name in _CASELESS_FIELDS if name in fields})
    text = json.dumps(fields, sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def _check_revision(spec: Mapping[str, Any], source: JobSource) -> None:
    value = spec.get("revision")
    if value is None:
        return
    if read_revision(spec) is None:
        raise InvalidSpec(f"spec.revision must be a string of 1 to {LONGEST_REVISION} characters, got {quoted(value)}")
    if isinstance(source, LatestJob) and source.started_after is not None:
        # The job of the previous revision would match again, and open the gate for the new one.
        raise InvalidSpec(
            "spec.latest.startedAfter must not be set with spec.revision, because each edit starts the search again. "
            "Remove one of them"
        )


def _caseless(value: Any) -> str:
    if isinstance(value, Mapping):  # An explicit default does not change the target.
        value = {name: part for name, part in value.items() if (name, fold_case(str(part))) not in _DEFAULT_PARTS}
    return fold_case(json.dumps(value, sort_keys=True, default=str))


def _seconds(spec: Mapping[str, Any], name: str) -> timedelta:
    value = _target_field(spec, name)
    least, most = RANGES[name]
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidSpec(f"spec.{name} must be an integer from {least} to {most}, got {quoted(value)}")
    return timedelta(seconds=value)


def _target_field(spec: Mapping[str, Any], name: str) -> Any:
    value = spec.get(name)
    return TARGET_DEFAULTS[name] if value is None else value
