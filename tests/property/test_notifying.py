"""Notifications of any watch and spec: they are settled once and change nothing else."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backupjobwatch.domain.api.notify_spec import WebhookFormat, parse_notify
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.expiry import expiry
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.notifications import DeliveryResult, due
from backupjobwatch.domain.status.transitions import needs_write, notification_failure_events
from backupjobwatch.domain.status.webhook_request import webhook_request
from backupjobwatch.errors import PollDeferred
from tests.property.history import HEARTBEAT, Act, histories, replay
from tests.property.oracles import check_status
from tests.property.strategies import json_values, texts
from tests.support.receiver_schemas import SCHEMAS, accepted
from tests.support.scale import at_scale

MODERATE = settings(
    deadline=None,
    max_examples=at_scale(40, 1000),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
pytestmark = pytest.mark.timeout(300)

_receivers = st.one_of(
    st.just({"webhook": {"url": "https://example.com"}}),
    st.just({"flux": {"kind": "Kustomization", "name": "x"}}),
    st.dictionaries(st.sampled_from(["webhook", "flux", "argocd", "phases", "name"]), json_values, max_size=3),
)
_phases: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}), st.lists(st.sampled_from(["Running", "Succeeded", "Failed"]), max_size=3).map(lambda p: {"phases": p})
)
entries = st.lists(
    st.builds(
        lambda name, phases, receiver: {"name": name, **phases, **receiver},
        st.sampled_from(["a", "b", "c"]),
        _phases,
        _receivers,
    ),
    max_size=10,
)
anything = st.one_of(entries, json_values)


def _deliveries(
    watch: Watch, failure: str | None, moment: Any, *, retrying: bool = False
) -> tuple[DeliveryResult, ...]:
    return tuple(
        DeliveryResult(
            name=notice.notify.name,
            id=notice.id,
            phase=notice.phase,
            time=moment.now,
            failure=failure,
            retrying=retrying,
        )
        for notice in due(watch)
    )


def _without(status: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in status.items() if name != "notifications"}


@MODERATE
@given(histories, anything, st.one_of(st.none(), texts))
def test_settled_once(history: list[Act], notify: object, failure: str | None) -> None:
    """One write settles the due notifications. It changes nothing else in a final status."""
    for moment in replay(history):
        body = copy.deepcopy(moment.after)
        body["spec"]["notify"] = notify
        watch = Watch.from_body(body)
        if watch.target != body["status"]["target"]:
            assert due(watch) == ()  # an invalid spec is hashed as a whole, including notify
            continue
        deliveries = _deliveries(watch, failure, moment)
        status = next_status(
            watch,
            Assessment(finding=PollDeferred("x"), consecutive_failures=moment.consecutive_failures),
            now=moment.now,
            deliveries=deliveries,
        )
        after = Watch.from_body({**body, "status": status})
        check_status({**body, "status": status})
        assert not deliveries or needs_write(watch.status, status, heartbeat=HEARTBEAT)
        assert len(status.get("notifications", ())) == len(deliveries)
        assert len(notification_failure_events(watch, status)) == (len(deliveries) if failure is not None else 0)
        if watch.finished:
            assert due(after) == ()
            assert _without(status) == _without(body["status"])
            again = next_status(after, Assessment(finding=PollDeferred("x")), now=moment.now, deliveries=deliveries)
            assert again == status


@MODERATE
@given(histories, entries, texts, st.timedeltas(timedelta(), timedelta(hours=1)))
def test_retrying_once(history: list[Act], notify: object, failure: str, later: timedelta) -> None:
    """A failed attempt is one write that leaves the notification due. An equal failure needs no other write."""
    for moment in replay(history):
        body = copy.deepcopy(moment.after)
        body["spec"]["notify"] = notify
        watch = Watch.from_body(body)
        if watch.target != body["status"]["target"] or not watch.finished:
            continue
        retried = _deliveries(watch, failure, moment, retrying=True)
        status = next_status(watch, Assessment(finding=PollDeferred("x")), now=moment.now, deliveries=retried)
        after = Watch.from_body({**body, "status": status})
        check_status({**body, "status": status})
        assert due(after) == due(watch)
        assert _without(status) == _without(body["status"])
        assert len(notification_failure_events(watch, status)) == len(retried)
        now = moment.now + later
        again = next_status(
            after,
            Assessment(finding=PollDeferred("x")),
            now=now,
            deliveries=[replace(each, time=now) for each in retried],
        )
        assert again == status


@MODERATE
@given(histories, anything, json_values, json_values)
def test_anything(history: list[Act], notify: object, told: object, seconds: object) -> None:
    """Any spec and status are accepted. Due notifications have unique names and can be rendered."""
    for moment in replay(history):
        body = copy.deepcopy(moment.after)
        body["spec"] |= {"notify": notify, "ttlSecondsAfterFinished": seconds}
        body["status"]["notifications"] = told
        watch = Watch.from_body(body)
        notices = due(watch)
        names = [notice.notify.name for notice in notices]
        assert len(set(names)) == len(names) <= 8
        assert {notice.phase for notice in notices} <= {"Running", "Succeeded", "Failed"}
        for notice in notices:
            for form in WebhookFormat:
                headers, content = webhook_request(watch, notice, form, routing_key="k" * 32)
                assert all(value.isascii() and value.isprintable() for value in headers.values())
                content.decode()
                if form in SCHEMAS:
                    accepted(form, content)
        next_status(
            watch,
            Assessment(finding=moment.observation, consecutive_failures=moment.consecutive_failures),
            now=moment.now,
        )
        assert expiry(watch) is None or (not notices and watch.finished)


@given(json_values)
def test_any_spec(notify: object) -> None:
    """Any JSON is parsed as notification entries whose names fit the status."""
    found = parse_notify({"notify": notify})
    assert len(found) <= 8
    assert all(0 < len(notify.name) < 64 and notify.phases for notify in found)


@MODERATE
@given(histories, entries)
def test_gate(history: list[Act], notify: list[dict[str, Any]]) -> None:
    """Apart from the notifications, the status is the same with and without receivers."""
    for moment in replay(history):
        before = copy.deepcopy(moment.before)
        before["spec"]["notify"] = notify
        watch = Watch.from_body(before)
        if watch.target != Watch.from_body(moment.before).target:
            continue
        later = moment.now + timedelta()
        status = next_status(
            watch,
            Assessment(finding=moment.observation, consecutive_failures=moment.consecutive_failures),
            now=later,
            deliveries=_deliveries(watch, None, moment),
        )
        plain = next_status(
            Watch.from_body(moment.before),
            Assessment(finding=moment.observation, consecutive_failures=moment.consecutive_failures),
            now=later,
        )
        if "too large" not in status["message"]:
            assert _without(status) == _without(plain)
