"""Responses of Azure: a job, or the kind of error."""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch.arm.responses import DEFAULT_WAIT, LONGEST_WAIT, read_job
from backupjobwatch.domain.jobs.job import Outcome
from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    AzureError,
    AzureUnavailable,
    JobNotFound,
    Throttled,
    UnexpectedResponse,
    VaultNotFound,
)
from tests.support.answers import ASKED_FOR, GATEWAY, NOW, answer, error_of, foreign
from tests.support.azure import payload, payload_names
from tests.support.builders import JOB_ID, JOB_NAME, OTHER_JOB_NAME, job_payload


@pytest.mark.parametrize("name", payload_names("job-") + payload_names("crr-job-"))
def test_reads_what_azure_sends(name: str) -> None:
    """Every recorded job is parsed, and has the name of the requested job."""
    body = payload(name)
    asked_for = JobId(vault=ASKED_FOR.vault, name=body["name"].upper())
    job = read_job(answer(body=body), asked_for, now=NOW)
    assert (job.name, job.status) == (body["name"], body["properties"]["status"])


@pytest.mark.parametrize(
    ("name", "status", "headers", "kind"),
    [
        ("error-401-missing-header", 401, {}, AuthenticationFailed),
        ("error-401-expired-token", 401, {}, AuthenticationFailed),
        ("error-403-authorizationfailed", 403, GATEWAY, AuthorizationFailed),
        ("error-404-vault-gateway", 404, GATEWAY, VaultNotFound),
        ("error-404-resourcegroup-gateway", 404, {"x-ms-failure-cause": "Gateway"}, VaultNotFound),
        ("error-404-item-service", 404, {}, JobNotFound),
        ("error-404-item-service", 404, {"x-ms-failure-cause": "service"}, JobNotFound),
        ("error-429-subscription-tokenbucket", 429, GATEWAY, Throttled),
        ("error-500-cloudinternal", 500, {}, AzureUnavailable),
        ("error-409-not-registered", 409, {}, UnexpectedResponse),
        ("error-400-invalid-filter-service", 400, {}, UnexpectedResponse),
    ],
)
def test_reads_azures_errors(name: str, status: int, headers: dict[str, str], kind: type[AzureError]) -> None:
    """Every recorded error has its kind, and its message contains Azure's code."""
    body = payload(name)
    body = body.get("body", body)
    error = error_of(answer(status, body, **headers))
    assert type(error) is kind
    assert body["error"]["code"] in str(error)
    assert type(error_of(foreign(status, body, **headers))) in (UnexpectedResponse, Throttled, AzureUnavailable)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (100, UnexpectedResponse), (201, UnexpectedResponse), (202, UnexpectedResponse), (204, UnexpectedResponse),
        (206, UnexpectedResponse), (301, UnexpectedResponse), (304, UnexpectedResponse), (307, UnexpectedResponse),
        (400, UnexpectedResponse), (401, AuthenticationFailed), (402, UnexpectedResponse), (403, AuthorizationFailed),
        (404, JobNotFound), (405, UnexpectedResponse), (408, AzureUnavailable), (410, UnexpectedResponse),
        (429, Throttled), (499, UnexpectedResponse), (500, AzureUnavailable), (501, AzureUnavailable),
        (503, AzureUnavailable), (599, AzureUnavailable),
    ],
)  # fmt: skip
def test_each_status_has_a_kind(status: int, kind: type[AzureError]) -> None:
    """Only the status decides. A job in the body counts only with 200."""
    assert type(error_of(answer(status, job_payload()))) is kind


@pytest.mark.parametrize(
    ("body", "wide"),
    [
        (payload("error-429-subscription-tokenbucket")["body"], True),
        ({"error": {"code": "SUBSCRIPTIONREQUESTSTHROTTLED"}}, True),
        ({"code": "subscriptionRequestsThrottled"}, True),
        ({"error": {"code": "ResourceRequestsThrottled", "message": "Number of requests for action exceeded."}}, False),
        ({"error": {"code": "TooManyRequests", "message": "SubscriptionRequestsThrottled"}}, False),
        ({"error": {"message": "SubscriptionRequestsThrottled"}}, False),
        ({"error": {}}, False),
        ({}, False),
        (b"SubscriptionRequestsThrottled", False),
    ],
)
def test_scope_of_a_429(body: Any, wide: bool) -> None:  # noqa: FBT001
    """Only ARM's code for the subscription's token bucket means that all kinds of requests are refused."""
    error = error_of(answer(429, body))
    assert isinstance(error, Throttled)
    assert error.is_subscription_wide is wide
    proxy = error_of(foreign(429, body))
    assert isinstance(proxy, Throttled)
    assert not proxy.is_subscription_wide
    assert not isinstance(error_of(answer(503, body)), Throttled)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("7", 7), ("7.5", 7.5), (" 7 ", 7), ("3600", 3600), ("3601", 3600), ("1e9", 3600),
        ("Wed, 04 Mar 2026 01:00:42 GMT", 42), ("Wed, 04 Mar 2026 02:00:42 +0100", 42),
        ("Wed, 04 Mar 2026 01:00:42", 42), ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("Wed, 04 Mar 2026 01:00:42 -0000", 42),
    ],
)  # fmt: skip
def test_reads_retry_after(text: str, wait: float) -> None:
    """Retry-After is in seconds or a date, and at most an hour."""
    assert error_of(answer(429, **{"Retry-After": text})).retry_after == timedelta(seconds=wait)
    assert error_of(answer(503, retry_after=text)).retry_after == timedelta(seconds=wait)


@pytest.mark.parametrize("text", ["0", "-7", "Wed, 04 Mar 2026 00:00:00 GMT"])
def test_a_retry_after_that_is_over(text: str) -> None:
    """A 429 without a wait still pauses requests. Otherwise the operator would repeat them at once."""
    assert error_of(answer(429, **{"Retry-After": text})).retry_after == DEFAULT_WAIT
    assert error_of(answer(503, **{"Retry-After": text})).retry_after == timedelta()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "nan",
        "Wed, 99 Mar 2026 01:00:42 GMT",
        f"Wed, 04 Mar {10**20} 01:00:42 GMT",
        "\u0661",
        "7s",
        "\ud800",
    ],
)
def test_a_retry_after_that_makes_no_sense_is_none(text: str) -> None:
    """If Retry-After is invalid, a 429 has the default wait and a 503 has none."""
    assert error_of(answer(429, **{"Retry-After": text})).retry_after in (DEFAULT_WAIT, timedelta(seconds=1))
    assert error_of(answer(503, **{"Retry-After": text})).retry_after in (None, timedelta(seconds=1))


@pytest.mark.parametrize("text", ["inf", "1e300", "-inf"])
def test_infinite_retry_after(text: str) -> None:
    """An infinite Retry-After is limited or ignored."""
    assert error_of(answer(429, **{"Retry-After": text})).retry_after in (LONGEST_WAIT, DEFAULT_WAIT)


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_no_retry_after_is_no_wait(status: int) -> None:
    """Without a Retry-After only a 429 has a wait."""
    assert error_of(answer(status)).retry_after is None


# ── bodies ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"{", b"null", b"[]", b"[{}]", b'"Completed"', b"1", b"NaN", b"\xff\xfe", b"{" * 100_000,
        b"[" * 100_000, b'{"name": ' * 50_000, b"1" * 5000,
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_a_body_that_is_no_object(body: bytes) -> None:
    """A body that is not a JSON object is rejected at any depth. The message never quotes raw JSON."""
    error = error_of(answer(200, body))
    assert type(error) is UnexpectedResponse
    assert str(error).startswith("Azure answered 200 OK with a body that is not a JSON object. It")
    assert not {"{", "[", "<"} & set(str(error))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"name": OTHER_JOB_NAME}, f"a response about {OTHER_JOB_NAME} instead of {JOB_NAME}"),
        ({"name": None, "id": JOB_ID.replace(JOB_NAME, OTHER_JOB_NAME)}, f"a response about {OTHER_JOB_NAME}"),
        ({"name": None, "id": None}, "a response about no job"),
        ({"name": 7, "id": None}, "a response about 7"),
        ({"name": "", "id": ""}, "a response about no job"),
        ({"name": "a\nb\x1b[31m"}, "a response about a b [31m instead"),
    ],
)
def test_an_answer_about_another_job(overrides: dict[str, Any], words: str) -> None:
    """A response about another job is rejected, so that its end never completes the watch."""
    error = error_of(answer(body=job_payload(**overrides)))
    assert type(error) is UnexpectedResponse
    assert words in str(error)


def test_a_name_in_another_letter_case_is_the_same_name() -> None:
    """Job names match in any letter case. Some responses have the name only in the ID."""
    assert read_job(answer(body=job_payload(name=JOB_NAME.upper())), ASKED_FOR, now=NOW).ended
    assert read_job(answer(body=job_payload(name=None)), ASKED_FOR, now=NOW).name == JOB_NAME


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-0.0", "9" * 400])
def test_numbers_that_json_does_not_have(number: str) -> None:
    """Numbers that JSON does not allow affect only their own field."""
    body = json.dumps(job_payload(extendedInfo={"progressPercentage": 0, "propertyBag": {"size": 0}}))
    job = read_job(answer(body=body.replace(": 0", f": {number}").encode()), ASKED_FOR, now=NOW)
    assert job.outcome is Outcome.COMPLETED
    assert job.progress_percent in (None, 0, 100)


def test_a_byte_order_mark_is_no_json() -> None:
    """UTF-8 with a byte order mark, which some proxies add, is parsed or rejected, but never raises."""
    body = b"\xef\xbb\xbf" + json.dumps(job_payload()).encode()
    with contextlib.suppress(UnexpectedResponse):
        assert read_job(answer(body=body), ASKED_FOR, now=NOW).ended


# ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"code": "Code", "message": "Message."}}, "Code: Message"),
        ({"error": {"code": "Code"}}, "Code"),
        ({"error": {"message": "Message"}}, "Message"),
        ({"error": {"code": 7, "message": ["x"]}}, "7"),
        ({"error": "text"}, "text"),
        ({"Message": "No HTTP resource was found."}, "No HTTP resource was found"),
        ({"ErrorCode": "Code", "Message": {"Value": "At net.tcp://a:1/b."}, "Values": ["net.tcp://a:1"]}, "Code: At [internal address]"),
        ({"ErrorCode": "ResourceExtendedInfoNotFound", "Message": {"Value": ""}}, "ResourceExtendedInfoNotFound"),
        ({"error": {"code": "Code", "message": "first\r\nsecond\x1b[2J"}}, "Code: first second [2J"),
        ({"error": {"code": "C", "additionalInfo": [{"info": {"message": "M.", "recommendedAction": ["Retry."]}}]}}, "C"),
        ({"values": ["10.0.0.4"]}, "no error code"),
        ({}, "no error code"),
    ],
)  # fmt: skip
def test_message_has_azures_error(body: Any, words: str) -> None:
    """A message has code, text and recommendation on one printable line, without raw JSON."""
    assert str(error_of(answer(400, body))) == f"Azure answered 400 Bad Request: {words} (request r1)."
    assert f" {words.removeprefix('no ')}. Check the proxy" in str(error_of(foreign(400, body)))


def test_a_message_is_bounded() -> None:
    """A long page of a proxy is truncated in the message."""
    for body in (b"x" * 10**6, {"error": {"code": "c" * 10**6, "message": "m" * 10**6}}):
        error = error_of(answer(502, body))
        assert len(str(error)) < 500
        assert "…" in str(error)


def test_a_message_has_no_secrets() -> None:
    """Tokens and signed URLs are redacted, because Azure may echo the request."""
    token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ0ZXN0In0.c2lnbmF0dXJl"
    text = f"Bearer {token} at https://x.blob.core.windows.net/c?sv=2024&sig=abc%2Fdef"
    for body in ({"error": {"code": "Bad", "message": text}}, text.encode()):
        for error in (error_of(answer(400, body, x_ms_request_id=token)), error_of(foreign(400, body))):
            assert token not in str(error)
            assert "sig=" not in str(error)


@pytest.mark.parametrize(
    ("named", "request_id"),
    [
        ({"x_ms_request_id": "one", "x_ms_correlation_request_id": "two"}, "one"),
        ({"X_MS_Correlation_Request_ID": "two"}, "two"),
        ({"x_ms_request_id": "", "x_ms_correlation_request_id": "two"}, "two"),
        ({"x_ms_routing_request_id": "three", "x_ms_client_request_id": "four"}, None),
        ({"x_ms_request_id": ""}, None),
        ({}, None),
    ],
)
def test_names_the_request(named: dict[str, str], request_id: str | None) -> None:
    """Each message has the request ID. An answer without one is not from Azure Resource Manager."""
    for given in (foreign(500, b"", **named), foreign(200, b"[]", **named), foreign(200, {"name": "x"}, **named)):
        error = error_of(given)
        assert error.request_id == request_id
        assert f"(request {request_id})." in str(error) or request_id is None
        assert ("is not from Azure" in str(error)) == (request_id is None)
        assert "None" not in str(error)


def test_an_unknown_status_has_no_phrase() -> None:
    """An unknown status is reported by its number."""
    assert str(error_of(answer(299))) == "Azure answered 299: no error code (request r1)."
