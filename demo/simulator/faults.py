"""The faults that can be injected between a client and Azure, by name."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from demo.simulator import errors, wire
from demo.simulator.fault_responses import TrueAnswer, instead, merged, retry_after_text
from demo.simulator.messages import Answer, ArmRequest, json_answer
from demo.simulator.tokens import encoded_claims, expired

MIB = 1024 * 1024
_CLAIMS = {"access_token": {"nbf": {"essential": True, "value": "1772586000"}}}
_HTML = "<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n<body><h1>{title}</h1></body></html>\n"


def _true(true_answer: TrueAnswer, _: ArmRequest) -> Answer:
    return true_answer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    A response that differs from the true one, or is delivered differently.

    The class methods create faults. The control API uses their names. Times are in seconds of real time.
    """

    kind: str
    respond: Callable[[TrueAnswer, ArmRequest], Answer] = _true
    official: bool = False
    """Whether the response is from Azure Resource Manager and gets its headers."""
    delivery: wire.Delivery | None = None
    """None: the whole response, on a connection that stays open."""
    delay: float = 0.0
    """Seconds before the first byte."""

    @classmethod
    def throttled(cls, *, retry_after: float | str | datetime | None = 1, by_provider: bool = False) -> "Fault":
        """429. *retry_after* is in seconds, an HTTP date, any text or None."""
        text = retry_after_text(retry_after)

        def respond(_: TrueAnswer, request: ArmRequest) -> Answer:
            seconds = text or "1"
            refusal = (
                errors.resource_throttled(action=request.action, seconds=seconds)
                if by_provider
                else errors.subscription_throttled(
                    subscription_id=request.segment_after("subscriptions"),
                    principal=request.principal or "unknown",
                    seconds=seconds,
                )
            )
            return refusal if text is None else refusal.with_headers({"Retry-After": text})

        return cls(kind="throttled", respond=respond, official=True)

    @classmethod
    def server_error(
        cls, *, status: int = 500, retry_after: float | str | datetime | None = None, executed: bool = False
    ) -> "Fault":
        """500 from the Backup service, or 502, 503 or 504 from the gateway. The request may have been *executed*."""
        text = retry_after_text(retry_after)
        answer = errors.server_error(status)
        answer = answer if text is None else answer.with_headers({"Retry-After": text})
        return cls(kind="server_error", respond=instead(answer, executed=executed), official=True)

    @classmethod
    def html(cls, *, status: int = 502, title: str | None = None) -> "Fault":
        """The HTML page of a proxy or a front door. The default *title* is the phrase of the status."""
        page = _HTML.format(title=title or HTTPStatus(status).phrase.capitalize())
        headers = (
            {"Proxy-Authenticate": 'Basic realm="proxy"'} if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED else {}
        )
        return cls.answer(status=status, body=page, content_type="text/html", headers=headers, kind="html")

    @classmethod
    def empty(cls, *, status: int = 200) -> "Fault":
        """A proxy's response without a body."""
        return cls.answer(status=status, body="", kind="empty")

    @classmethod
    def without_request_id(cls) -> "Fault":
        """The true response without the headers of Azure Resource Manager, as from a proxy's cache."""

        def respond(true_answer: TrueAnswer, _: ArmRequest) -> Answer:
            answer = true_answer()
            headers = {name: value for name, value in answer.headers.items() if not name.lower().startswith("x-ms-")}
            return Answer(answer.status, answer.body, headers)

        return cls(kind="without_request_id", respond=respond)

    @classmethod
    def truncated(cls) -> "Fault":
        """The first half of the true JSON, with a matching Content-Length."""

        def respond(true_answer: TrueAnswer, _: ArmRequest) -> Answer:
            answer = true_answer()
            return Answer(answer.status, answer.body[: len(answer.body) // 2], answer.headers)

        return cls(kind="truncated", respond=respond)

    @classmethod
    def not_an_object(cls, *, value: Any = ()) -> "Fault":
        """JSON that is not an object."""
        return cls._official("not_an_object", json_answer(200, value))

    @classmethod
    def huge(cls, *, size: int = 50 * MIB, declared: bool = True) -> "Fault":
        """A body of *size* bytes, with or without a Content-Length."""
        delivery = wire.huge(size, declared=declared)
        return cls(kind="huge", respond=_blank, official=True, delivery=delivery)

    @classmethod
    def gzip_bomb(cls, *, size: int = 50 * MIB) -> "Fault":
        """A small body that decompresses to *size* bytes."""
        return cls(kind="gzip_bomb", respond=_blank, official=True, delivery=wire.gzip_bomb(size))

    @classmethod
    def not_a_number(cls) -> "Fault":
        """The true response with the progress ``NaN``."""
        return cls._odd("not_a_number", {"extendedInfo": {"progressPercentage": float("nan")}})

    @classmethod
    def infinite(cls) -> "Fault":
        """The true response with the progress ``Infinity``."""
        return cls._odd("infinite", {"extendedInfo": {"progressPercentage": float("inf")}})

    @classmethod
    def lone_surrogate(cls) -> "Fault":
        r"""The true response with ``\ud800`` in a string, which JSON allows and UTF-8 does not."""
        return cls._odd("lone_surrogate", {"entityFriendlyName": "vm-\ud800"})

    @classmethod
    def delayed(cls, *, seconds: float) -> "Fault":
        """The true response, delayed."""
        return cls(kind="delayed", delay=seconds)

    @classmethod
    def drip_body(cls, *, interval: float) -> "Fault":
        """The true response, with one byte of the body per *interval*."""
        return cls(kind="drip_body", delivery=wire.drip_body(interval))

    @classmethod
    def drip_headers(cls, *, interval: float) -> "Fault":
        """The true response, with one byte per *interval* from the status line on."""
        return cls(kind="drip_headers", delivery=wire.drip_headers(interval))

    @classmethod
    def reset(cls, *, executed: bool = True) -> "Fault":
        """A connection that is reset before the first byte, after the request was *executed* or not."""
        return cls(kind="reset", respond=_true if executed else _blank, delivery=wire.reset)

    @classmethod
    def hang_up(cls, *, executed: bool = True) -> "Fault":
        """A connection that is closed before the first byte, after the request was *executed* or not."""
        return cls(kind="hang_up", respond=_true if executed else _blank, delivery=wire.hang_up)

    @classmethod
    def cut(cls, *, after: int | None = None) -> "Fault":
        """A connection that is closed in the middle of the body, or *after* a number of its bytes."""
        return cls(kind="cut", delivery=wire.cut(after))

    @classmethod
    def wrong_length(cls, *, difference: int = 10) -> "Fault":
        """The true response with a Content-Length that is wrong by *difference*."""
        return cls(kind="wrong_length", delivery=wire.wrong_length(difference))

    @classmethod
    def unauthorized(cls) -> "Fault":
        """401: the token is invalid."""
        return cls._official("unauthorized", errors.invalid_token())

    @classmethod
    def expired_token(cls) -> "Fault":
        """401: the token has expired."""
        return cls(kind="expired_token", respond=lambda _true_answer, _request: expired(), official=True)

    @classmethod
    def claims_challenge(cls, *, claims: Mapping[str, Any] = _CLAIMS) -> "Fault":
        """401 of continuous access evaluation, which requires a token with *claims*."""
        return cls._official("claims_challenge", errors.insufficient_claims(encoded_claims(claims)))

    @classmethod
    def forbidden(cls) -> "Fault":
        """403: no role of the principal allows the request."""

        def respond(_: TrueAnswer, request: ArmRequest) -> Answer:
            return errors.forbidden(principal=request.principal or "unknown", action=request.action, scope=request.path)

        return cls(kind="forbidden", respond=respond, official=True)

    @classmethod
    def job_not_found(cls) -> "Fault":
        """404 from the Backup service."""
        return cls._official("job_not_found", errors.job_not_found())

    @classmethod
    def vault_not_found(cls) -> "Fault":
        """404 from the gateway."""

        def respond(_: TrueAnswer, request: ArmRequest) -> Answer:
            vault = "/".join(request.segments[5:8])
            return errors.resource_not_found(vault, request.segment_after("resourceGroups"))

        return cls(kind="vault_not_found", respond=respond, official=True)

    @classmethod
    def not_registered(cls) -> "Fault":
        """409: the subscription is not registered for Recovery Services."""
        return cls._official("not_registered", errors.not_registered("Microsoft.RecoveryServices"))

    @classmethod
    def redirect(cls, *, to: str, status: int = 307) -> "Fault":
        """A proxy's redirect to the same path and query at *to*, such as ``https://host``."""

        def respond(_: TrueAnswer, request: ArmRequest) -> Answer:
            return Answer(status, headers={"Location": to.rstrip("/") + request.target})

        return cls(kind="redirect", respond=respond)

    @classmethod
    def next_link(cls, *, to: str) -> "Fault":
        """The true list with a ``nextLink`` to its own path and query at *to*. On the same host, it loops."""

        def respond(true_answer: TrueAnswer, request: ArmRequest) -> Answer:
            answer = true_answer()
            page = {**json.loads(answer.body), "nextLink": to.rstrip("/") + request.target}
            return json_answer(answer.status, page, answer.headers)

        return cls(kind="next_link", respond=respond)

    @classmethod
    def endless_list(cls, *, to: str) -> "Fault":
        """Empty pages of a list, each with a ``nextLink`` to a new page at *to*, such as ``http://host``."""

        def respond(_: TrueAnswer, request: ArmRequest) -> Answer:
            page = f"?api-version={request.query['api-version']}&$skipToken={int(request.query.get('$skiptoken') or 0) + 1}"
            return json_answer(200, {"value": [], "nextLink": to.rstrip("/") + request.path + page})

        return cls(kind="endless_list", respond=respond, official=True)

    @classmethod
    def answer(
        cls,
        *,
        status: int = 200,
        body: str = "",
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        kind: str = "answer",
        official: bool = False,
    ) -> "Fault":
        """The given response. If *official*, the headers of Azure Resource Manager are added."""
        whole = Answer(status, body.encode(), {"Content-Type": content_type, **(headers or {})})
        return cls(kind=kind, respond=lambda _true_answer, _request: whole, official=official)

    @classmethod
    def _official(cls, kind: str, answer: Answer) -> "Fault":
        return cls(kind=kind, respond=lambda _true_answer, _request: answer, official=True)

    @classmethod
    def _odd(cls, kind: str, properties: Mapping[str, Any]) -> "Fault":
        def respond(true_answer: TrueAnswer, _: ArmRequest) -> Answer:
            answer = true_answer()
            resource = json.loads(answer.body)
            resource["properties"] = merged(resource.get("properties", {}), properties)
            return json_answer(answer.status, resource, answer.headers)

        return cls(kind=kind, respond=respond)


def _blank(_: TrueAnswer, __: ArmRequest) -> Answer:
    return Answer(200, headers={"Content-Type": "application/json"})
