"""Requests and answers as Azure Resource Manager sees them, apart from the wire."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRequest:
    """One request, read once."""

    method: str
    target: str
    """Path and query as they were sent."""
    segments: tuple[str, ...]
    """The path's segments, each percent-decoded: a ``%2F`` does not split one."""
    query: Mapping[str, str]
    """Names in lower case; of a repeated name the last counts."""
    headers: Mapping[str, str]
    """Names in lower case."""
    principal: str | None
    """Whose token came along; also when the token is refused."""

    @property
    def path(self) -> str:
        """The decoded path, in the letter case of the request."""
        return "/" + "/".join(self.segments)

    @property
    def action(self) -> str:
        """The permission that it needs: a provider's types without their names, such as ``…/vaults/backupJobs/read``."""
        _, _, tail = self.path.partition("/providers/")
        namespace, *rest = tail.split("/")
        return "/".join([namespace, *rest[::2], "read"])

    def segment_after(self, name: str) -> str:
        """Return the segment that follows *name*, in any letter case; empty if there is none."""
        lowered = [segment.casefold() for segment in self.segments]
        following = lowered.index(name.casefold()) + 1 if name.casefold() in lowered else len(lowered)
        return self.segments[following] if following < len(lowered) else ""


def arm_request(method: str, target: str, headers: Mapping[str, str], *, principal: str | None) -> ArmRequest:
    """Read a request line and its headers."""
    path, _, query = target.partition("?")
    return ArmRequest(
        method=method,
        target=target,
        segments=tuple(unquote(segment) for segment in path.removeprefix("/").split("/")),
        query={name.casefold(): value for name, value in parse_qsl(query, keep_blank_values=True)},
        headers={name.casefold(): value for name, value in headers.items()},
        principal=principal,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers and a body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def with_headers(self, headers: Mapping[str, str]) -> "Answer":
        """Add headers; those that the answer has already win."""
        return replace(self, headers={**headers, **self.headers})


def json_answer(
    status: int, value: Any, headers: Mapping[str, str] | None = None, *, content_type: str = JSON
) -> Answer:
    """Answer with *value* as JSON, in UTF-8 where it can be; lone surrogates and NaN come through."""
    try:
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        body = json.dumps(value, separators=(",", ":")).encode()
    return Answer(status, body, {"Content-Type": content_type, **(headers or {})})
