"""Any input is parsed or rejected, and what is written can be parsed again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import parse_spec, target_digest
from backupjobwatch.domain.jobs.durations import format_duration, parse_duration, whole_seconds
from backupjobwatch.domain.jobs.job import MAX_ERRORS, MAX_PROPERTIES, MAX_TASKS
from backupjobwatch.domain.jobs.recovery_services import parse_job
from backupjobwatch.domain.jobs.resource_ids import JobId, fold_case
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.domain.jobs.times import format_time, parse_time
from backupjobwatch.domain.polling.schedule import MAX_BACKOFF, backoff, jitter
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.errors import InvalidSpec, PollDeferred
from tests.property.oracles import check_schema
from tests.property.strategies import json_objects, json_values, payloads, texts
from tests.support.builders import CRD_DEFAULTS, JOB_ID, NOW, RESOURCE_GROUP, running_job, settle, watch_body
from tests.support.scale import at_scale

QUICK = settings(deadline=None, max_examples=at_scale(80, 2000))
_GROUPS = st.text(
    st.characters(categories=["Lu", "Ll", "Lt", "Lm", "Lo", "Nd"], include_characters="-_.()"), min_size=1, max_size=90
)
_SPANS = st.timedeltas(timedelta(days=-36500), timedelta(days=36500))
_GO = re.compile(r"(-?)(?:(\d+)h)?(?:(\d+)m)?(\d+)s")
_FIELDS = ("jobResourceId", "jobName", "operationId", "latest", "vault", "identity", *CRD_DEFAULTS)


@QUICK
@given(_GROUPS.filter(lambda name: not name.endswith(".")), st.data())
def test_job_ids(group: str, data: st.DataObject) -> None:
    """An ID is kept exactly, and equals itself in any ASCII letter case."""
    written = JOB_ID.replace(RESOURCE_GROUP, group)
    flips = data.draw(st.lists(st.booleans(), min_size=len(written), max_size=len(written)))
    other = "".join(c.swapcase() if flip and c.isascii() else c for c, flip in zip(written, flips, strict=True))

    assert str(JobId.parse(written)) == written
    assert str(JobId.parse(other)) == other
    assert JobId.parse(other) == JobId.parse(written)
    assert hash(JobId.parse(other)) == hash(JobId.parse(written))
    assert JobId.parse(written).url_path.isascii()


@QUICK
@given(texts)
def test_ids_of_any_text(text: str) -> None:
    """A text is an ID or is rejected. Equal IDs differ only in ASCII letter case."""
    try:
        parsed = JobId.parse(text)
    except ValueError:
        return
    assert fold_case(str(parsed)) == fold_case(text)


@QUICK
@given(_SPANS)
def test_dotnet_durations(span: timedelta) -> None:
    """.NET's durations are parsed. A negative one becomes zero."""
    rest = abs(span)
    days = f"{rest.days}." if rest.days else ""
    hours, minutes = divmod(rest.seconds // 60, 60)
    text = f"{'-' if span < timedelta() else ''}{days}{hours:02}:{minutes:02}:{rest.seconds % 60:02}.{rest.microseconds:06}0"
    parsed = parse_duration(text)

    assert parsed is not None
    assert abs(parsed - max(span, timedelta())) <= timedelta(microseconds=1)


@QUICK
@given(_SPANS)
def test_iso_durations(span: timedelta) -> None:
    """ISO 8601 durations as .NET writes them are parsed. A negative one becomes zero."""
    rest = abs(span)
    sign, days = "-" if span < timedelta() else "", f"{rest.days}D" if rest.days else ""
    parsed = parse_duration(f"{sign}P{days}T{rest.seconds}.{rest.microseconds:06}0S")

    assert parsed is not None
    assert abs(parsed - max(span, timedelta())) <= timedelta(microseconds=1)


@QUICK
@given(_SPANS)
def test_go_durations(span: timedelta) -> None:
    """Go's format has whole seconds and fits the CRD's limit of 32 characters."""
    text = format_duration(span)
    match = _GO.fullmatch(text)

    assert match is not None
    seconds = int(match[2] or 0) * 3600 + int(match[3] or 0) * 60 + int(match[4])
    assert (-seconds if match[1] else seconds) == whole_seconds(span)
    assert len(text) <= 32


@QUICK
@given(st.datetimes(datetime(2002, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)), st.integers(0, 7))  # noqa: DTZ001
def test_times(time: datetime, digits: int) -> None:
    """A time with any number of fractional digits is parsed, and its written form is parsed to the same second."""
    fraction = f".{time.microsecond:06}0"[: digits + 1] if digits else ""
    parsed = parse_time(f"{time:%Y-%m-%dT%H:%M:%S}{fraction}Z")

    assert parsed is not None
    assert parsed.replace(microsecond=0) == time.replace(microsecond=0)
    assert parse_time(format_time(parsed)) == parsed.replace(microsecond=0)


@QUICK
@given(st.one_of(json_values, st.text("0123456789-:.TZ+P DHMSWY")))
def test_times_and_durations_of_anything(value: Any) -> None:
    """Any value gives a time or duration that can be written, or none. A duration is never negative."""
    time, duration = parse_time(value), parse_duration(value)

    if time is not None:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", format_time(time))
    if duration is not None:
        assert duration >= timedelta()
        assert _GO.fullmatch(format_duration(duration))


@QUICK
@given(st.one_of(texts, st.text(st.characters())), st.integers(1, 300))
def test_clean(text: str, limit: int) -> None:
    """A sanitized text is one printable line within its limit, and sanitizing it again changes nothing."""
    cleaned = sanitize(text, limit)

    assert cleaned.isprintable()
    assert len(cleaned) <= limit
    assert sanitize(cleaned, limit) == cleaned
    cleaned.encode()


@QUICK
@given(payloads)
def test_any_answer(answer: dict[str, Any]) -> None:
    """Any JSON object is parsed as a job of limited size."""
    read = parse_job(answer)

    assert len(read.tasks) <= MAX_TASKS
    assert len(read.properties) <= MAX_PROPERTIES
    assert len(read.errors) <= MAX_ERRORS
    assert parse_job(answer) == read


@QUICK
@given(st.one_of(json_objects, st.fixed_dictionaries({}, optional=dict.fromkeys(_FIELDS, json_values))))
def test_any_spec(spec: dict[str, Any]) -> None:
    """Any spec is valid or the error says what to write. It has a digest and gets a valid status."""
    assert re.fullmatch("[0-9a-f]{16}", target_digest(spec))
    try:
        parse_spec(spec)
    except InvalidSpec as error:
        assert str(error).startswith("spec")  # noqa: PT017
    check_schema(next_status(Watch.from_body(watch_body(spec)), Assessment(finding=running_job()), now=NOW))


@QUICK
@given(json_objects)
def test_any_body(body: dict[str, Any]) -> None:
    """Any object can be parsed as a snapshot."""
    for field in ("metadata", "spec", "status"):
        Watch.from_body({field: body})
        Watch.from_body({"metadata": {"annotations": body}})


@QUICK
@given(st.sets(st.sampled_from(sorted(settle(watch_body(), running_job(), NOW)["status"]))))
def test_any_part_of_a_status(missing: set[str]) -> None:
    """A status with missing fields is completed again."""
    body = settle(watch_body(), running_job(), NOW)
    for name in missing:
        del body["status"][name]
    for observation in (running_job(), PollDeferred("x")):
        check_schema(settle(body, observation, NOW)["status"])


@QUICK
@given(st.text(), st.integers(-5, 10**6), st.integers(1, 300))
def test_schedule(seed: str, failures: int, seconds: int) -> None:
    """Waits are bounded, and equal for equal seeds."""
    interval = timedelta(seconds=seconds)

    assert timedelta() <= jitter(seed, interval) <= interval
    assert 0 <= backoff(failures, seconds, seed) <= MAX_BACKOFF.total_seconds() * 1.1
    assert backoff(failures, seconds, seed) == backoff(failures, seconds, seed)
