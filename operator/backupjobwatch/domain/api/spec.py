"""``spec`` of a watch: the target (which job, and what counts as its end) and how it is followed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from backupjobwatch.domain.api.target import SOURCES, Identity, JobSource, parse_identity, parse_source
from backupjobwatch.domain.jobs.resource_ids import fold_case
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
"""The allowed ``pollInterval`` values: few, because each has a kopf timer of its own."""

TARGET_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {"activeDeadlineSeconds": 172800, "graceSeconds": 600, "completedWithWarnings": "Failed"}
)
"""The target's fields that the CRD fills in, with its defaults."""

_TARGET_FIELDS = (*SOURCES, "vault", "identity", *TARGET_DEFAULTS)
_CASELESS_FIELDS = ("jobResourceId", "jobName", "vault", "latest")
_DEFAULT_PARTS = (("kind", "recoveryservices"), ("operation", "backup"))
_DEFAULT_INTERVAL = "30s"
RANGES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"activeDeadlineSeconds": (1, 31536000), "graceSeconds": (0, 86400)}
)
"""The least and the most of each field that is a number of seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSpec:
    """A valid spec."""

    source: JobSource
    """Which job."""
    identity: Identity
    """Whose access is used to ask for it."""
    active_deadline: timedelta
    """How long after the first act the job must have ended."""
    grace: timedelta
    """How long "not there" and "not allowed" are borne."""
    warnings_succeed: bool
    """Whether CompletedWithWarnings counts as success."""
    poll_interval: timedelta
    suspend: bool


def parse_spec(spec: Mapping[str, Any]) -> WatchSpec:
    """Read a spec as the CRD has it.

    The API server has checked it already, but perhaps by an older CRD: InvalidSpec says what to write instead.
    """
    interval = spec.get("pollInterval", _DEFAULT_INTERVAL)
    if not isinstance(interval, str) or interval not in POLL_INTERVALS:
        raise InvalidSpec(f"spec.pollInterval: write one of {', '.join(POLL_INTERVALS)}")
    suspend = spec.get("suspend", False)
    if not isinstance(suspend, bool):
        raise InvalidSpec("spec.suspend: write true or false")
    warnings = _target_field(spec, "completedWithWarnings")
    if warnings not in ("Failed", "Succeeded"):
        raise InvalidSpec("spec.completedWithWarnings: write Failed or Succeeded")
    return WatchSpec(
        source=parse_source(spec),
        identity=parse_identity(spec.get("identity")),
        active_deadline=_seconds(spec, "activeDeadlineSeconds"),
        grace=_seconds(spec, "graceSeconds"),
        warnings_succeed=warnings == "Succeeded",
        poll_interval=POLL_INTERVALS[interval],
        suspend=suspend,
    )


def poll_interval(spec: Mapping[str, Any]) -> timedelta:
    """Return how often a watch is reconciled: as the spec says, or where that makes no sense, by default."""
    interval = spec.get("pollInterval")
    return POLL_INTERVALS.get(interval if isinstance(interval, str) else "", POLL_INTERVALS[_DEFAULT_INTERVAL])


def target_digest(spec: Mapping[str, Any]) -> str:
    """Return a digest of the fields that decide the verdict; a status under another digest is about another target.

    Letter case does not matter where it does not to Azure, nor do defaults that are written out. Defined for any spec:
    one that cannot be acted on has a digest of all its fields, since any edit may mend it.
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


def _caseless(value: Any) -> str:
    if isinstance(value, Mapping):  # a default that is written out changes nothing
        value = {name: part for name, part in value.items() if (name, fold_case(str(part))) not in _DEFAULT_PARTS}
    return fold_case(json.dumps(value, sort_keys=True, default=str))


def _seconds(spec: Mapping[str, Any], name: str) -> timedelta:
    value = _target_field(spec, name)
    least, most = RANGES[name]
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidSpec(f"spec.{name}: write a whole number of seconds, from {least} to {most}")
    return timedelta(seconds=value)


def _target_field(spec: Mapping[str, Any], name: str) -> Any:
    value = spec.get(name)
    return TARGET_DEFAULTS[name] if value is None else value
