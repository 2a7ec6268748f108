"""Responses of proxies: they never count as denied access or as a missing job."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.arm.responses import DEFAULT_WAIT
from backupjobwatch.errors import AzureUnavailable, Grace, JobNotFound, Throttled, UnexpectedResponse, VaultNotFound
from tests.support.answers import GATEWAY, answer, error_of, foreign
from tests.support.builders import job_payload

if TYPE_CHECKING:
    from backupjobwatch.errors import AzureError

TRANSIENT = {408: AzureUnavailable, 429: Throttled}


@pytest.mark.parametrize("status", [*range(200, 209), *range(300, 309), *range(400, 432), 451, *range(500, 512), 599])
@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"error": {"code": "AuthorizationFailed"}}', b"[1]"])
def test_an_answer_that_is_not_azures(status: int, body: bytes) -> None:
    """A response without a request ID or a JSON object is a transient or unexpected error, which never ends a watch."""
    kind = TRANSIENT.get(status, AzureUnavailable if status >= 500 else UnexpectedResponse)
    assert type(error_of(foreign(status, body))) is kind
    assert kind.grace is Grace.NEVER
    assert not kind.answered
    if not body.startswith(b"{"):
        assert type(error_of(answer(status, body))) is kind


def test_a_job_from_a_proxy() -> None:
    """A watch never completes on a cached or invented response of a proxy, even if that is complete."""
    error = error_of(foreign(200, job_payload()))
    assert type(error) is UnexpectedResponse
    assert "is not from Azure Resource Manager" in str(error)


@pytest.mark.parametrize(("gateway", "kind"), [({}, JobNotFound), (GATEWAY, VaultNotFound)])
def test_an_empty_object_is_an_answer(gateway: dict[str, str], kind: type[AzureError]) -> None:
    """A 404 with an empty object is a valid response of Azure."""
    assert type(error_of(answer(404, {}, **gateway))) is kind
    assert type(error_of(answer(404, b"", **gateway))) is UnexpectedResponse


def test_is_from_azure() -> None:
    """Only a JSON object with a request ID is from Azure Resource Manager."""
    assert answer(401, {}).is_from_azure
    assert not foreign(401, {}).is_from_azure
    assert not answer(401, b"<html>").is_from_azure
    assert not answer(401, {}, x_ms_request_id="", x_ms_correlation_request_id="").is_from_azure


@pytest.mark.parametrize(("status", "wait"), [(403, None), (200, None), (307, None), (503, 7), (429, 7)])
def test_retry_after_of_a_proxy(status: int, wait: int | None) -> None:
    """A Retry-After from a proxy counts only with 429 and 5xx, so that it does not pause the identity otherwise."""
    expected = None if wait is None else timedelta(seconds=wait)
    assert error_of(foreign(status, b"<html>", retry_after="7")).retry_after == expected
    assert error_of(foreign(429, b"<html>")).retry_after == DEFAULT_WAIT
    assert error_of(foreign(503, b"<html>")).retry_after is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>\r\n<body>Bad\tgateway</body>", "It says: Bad gateway"),
        (b"<html><head><title>Access &amp; Denied </title></head><body>x</body>", "It says: Access & Denied"),
        (b"<title></title><style>p {}</style><p>Blocked</p><script>f({})</script>", "It says: Blocked"),
        (
            b"<Error><Code>Blocked</Code><Message>by 10.0.0.1</Message></Error>",
            "It says: Blocked by [internal address]",
        ),
        (b"Forbidden by policy.", "It says: Forbidden by policy"),
        (
            b"<Error><Message>&lt;Error&gt;&lt;Code&gt;Not &amp;amp; now&lt;/Code&gt;</Message>",
            "It says: Not &amp; now",
        ),
        (b"", "Its body is empty"),
        (b" \r\n", "Its body is empty"),
        (b"\x00\xff \r\n", "It says: \ufffd"),
        (b"<br>", "It says: nothing"),
        (b'{"id": "/subscr', "Its body is incomplete or unexpected JSON"),
        (b'\xef\xbb\xbf{"id": "/subscr', "Its body is incomplete or unexpected JSON"),
        (b"null", "It says: null"),
        (b"7", "Its body is incomplete or unexpected JSON"),
    ],
)
def test_message_has_the_text_of_a_page(body: bytes, words: str) -> None:
    """The message has the title or the text of a page, without markup."""
    for status, phrase in ((403, "403 Forbidden"), (502, "502 Bad Gateway")):
        assert str(error_of(foreign(status, body))) == (
            f"The response {phrase} is not from Azure Resource Manager: it has no x-ms-request-id header. {words}. "
            "Check the proxy and BACKUPJOBWATCH_AZURE_ENDPOINT."
        )
        assert str(error_of(answer(status, body))) == (
            f"Azure answered {phrase} with a body that is not a JSON object. {words} (request r1)."
        )
