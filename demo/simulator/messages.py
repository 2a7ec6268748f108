"""Requests and responses of Azure Resource Manager, independent of HTTP libraries."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRequest:
    """One parsed request."""

    method: str
    target: str
    """The path and query, as sent."""
    segments: tuple[str, ...]
    """The percent-decoded segments of the path. A ``%2F`` does not split a segment."""
    query: Mapping[str, str]
    """Query parameters with lowercase names. For a repeated name, the last value counts."""
    headers: Mapping[str, str]
    """Headers with lowercase names."""
    principal: str | None
    """The principal of the token, even if the token is refused."""
    body: bytes = b""

    @property
    def path(self) -> str:
        """The decoded path, in the letter case of the request."""
        return "/" + "/".join(self.segments)

    @property
    def action(self) -> str:
        """The required permission: the resource types without the names, such as ``…/vaults/backupJobs/read``."""
        _, _, tail = self.path.partition("/providers/")
        namespace, *rest = tail.split("/")
        return "/".join([namespace, *rest[::2], "read" if self.method == "GET" else "action"])

    def segment_after(self, name: str) -> str:
        """Return the segment after *name* in any letter case, or an empty string."""
        lowered = [segment.casefold() for segment in self.segments]
        following = lowered.index(name.casefold()) + 1 if name.casefold() in lowered else len(lowered)
        return self.segments[following] if following < len(lowered) else ""


def arm_request(
    method: str, target: str, headers: Mapping[str, str], *, principal: str | None, body: bytes = b""
) -> ArmRequest:
    """Parse a request line and its headers."""
    path, _, query = target.partition("?")
    return ArmRequest(
        method=method,
        target=target,
        segments=tuple(unquote(segment) for segment in path.removeprefix("/").split("/")),
        query={name.casefold(): value for name, value in parse_qsl(query, keep_blank_values=True)},
        headers={name.casefold(): value for name, value in headers.items()},
        principal=principal,
        body=body,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status, headers and body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def with_headers(self, headers: Mapping[str, str]) -> "Answer":
        """Add headers, but keep existing values."""
        return replace(self, headers={**headers, **self.headers})


def json_answer(
    status: int, value: Any, headers: Mapping[str, str] | None = None, *, content_type: str = JSON
) -> Answer:
    """Return *value* as JSON. NaN is allowed, and lone surrogates are escaped."""
    try:
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        body = json.dumps(value, separators=(",", ":")).encode()
    return Answer(status, body, {"Content-Type": content_type, **(headers or {})})
