"""Parse Azure's error objects: in jobs, in operations and in HTTP responses.

Both Azure Backup services use several formats:
https://learn.microsoft.com/rest/api/dataprotection/jobs/get#userfacingerror,
https://github.com/microsoft/api-guidelines/blob/vNext/azure/Guidelines.md#handling-errors,
and sometimes ``{"ErrorCode", "Message": {"Value"}, "Values"}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from backupjobwatch.domain.jobs.job import MAX_ERRORS, JobError
from backupjobwatch.domain.jobs.payloads import LINE, TEXT, Reader, boolean, lowercase_names, mapping, mappings

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEPTH = 5
"""Maximum depth of inner errors."""
_NO_ERROR = "success"
"""Error code that Backup vaults set on the inner error of a real error."""
_DETAILS = ("detailednonlocalisedmessage", "detailednonlocalizedmessage")


def read_error_body(payload: Mapping[str, Any]) -> tuple[JobError, ...]:
    """Parse the body of an HTTP error. The error object may be wrapped in ``error``."""
    error = payload.get("error")
    if isinstance(error, str):
        return read_errors({"message": error})
    return read_errors(error if isinstance(error, Mapping) else payload)


def read_errors(value: object) -> tuple[JobError, ...]:
    """Parse an error object and its nested errors, outermost first."""
    read, error = Reader(), mapping(value)
    own = read_error(read, error)
    contained = [each for each in _contained(read, error, depth=0) if not each.is_empty]
    same = [each for each in contained if own.code is None or each.code == own.code]
    if same:
        # Backup vaults repeat the error with its recommendations in additionalInfo.
        own = JobError(
            code=own.code or same[0].code,
            message=own.message or same[0].message,
            recommendations=own.recommendations or same[0].recommendations,
            target=own.target or same[0].target,
            cause=own.cause or same[0].cause,
            retryable=same[0].retryable if own.retryable is None else own.retryable,
        )
        contained.remove(same[0])
    found = dict.fromkeys(each for each in (own, *contained) if not each.is_empty)
    return tuple(islice(found, MAX_ERRORS))


def read_error(read: Reader, error: Mapping[str, Any]) -> JobError:
    """Parse one error object without its nested errors."""
    fields = lowercase_names(error)
    message = fields.get("message")
    if isinstance(message, Mapping):
        message = lowercase_names(message).get("value")
    code = read.word(fields.get("code")) or read.word(fields.get("errorcode"))
    text = read_message(read, message)
    return JobError(
        code=code,
        message=text and text.removeprefix(f"{code}: "),
        recommendations=read.recommendations(fields.get("recommendedaction") or fields.get("recommendations")),
        target=read.word(fields.get("target")),
        cause=read.word(" < ".join(_causes(read, fields.get("innererror"))), TEXT),
        retryable=boolean(fields.get("isretryable")),
    )


def read_message(read: Reader, value: object) -> str | None:
    """Parse a message. Some messages are error objects in JSON, which are unreadable in a status."""
    payload = _embedded(value)
    if payload is None:
        return read.word(value, TEXT)
    errors = read_error_body(payload)
    return read.word(describe(errors[0]), TEXT) if errors else None


def describe(error: JobError, *, details: str | None = None) -> str:
    """Return code, title, message and first recommendation of *error*, with *details* if they add anything."""
    head = " ".join(filter(None, (error.code, error.title)))
    text = ": ".join(filter(None, (head, error.message)))
    extra = f"Details: {details}" if details and not _contains(text, details) else ""
    *parts, last = [part for part in (text, extra, *error.recommendations[:1]) if part] or [""]
    return " ".join([*map(_sentence, parts), last])


def _contained(read: Reader, error: Mapping[str, Any], *, depth: int) -> Iterator[JobError]:
    """Yield the errors in ``additionalInfo[].info`` and ``details[]``; an item may be wrapped in ``error``."""
    fields = lowercase_names(error)
    infos = (mapping(lowercase_names(item).get("info")) for item in mappings(fields.get("additionalinfo")))
    details = (mapping(item.get("error")) or item for item in mappings(fields.get("details")))
    for each in (*infos, *details):
        yield read_error(read, each)
        if depth < _DEPTH:
            yield from _contained(read, each, depth=depth + 1)


def _causes(read: Reader, value: object) -> Iterator[str]:
    """Yield codes and details of the inner errors, the outermost first."""
    for _ in range(_DEPTH):
        inner = lowercase_names(value)
        fields = {**inner, **lowercase_names(inner.get("additionalinfo"))}
        details = next(filter(None, (read.word(fields.get(name), LINE) for name in _DETAILS)), None)
        code = read.word(inner.get("code"))
        text = ": ".join(filter(None, (None if code and code.lower() == _NO_ERROR else code, details)))
        if text:
            yield text
        value = inner.get("embeddedinnererror") or inner.get("innererror")


def _embedded(text: object) -> Mapping[str, Any] | None:
    """Parse *text* as a JSON object, or as a list of which the first one counts. Return None for any other text."""
    if not isinstance(text, str) or not text.lstrip().startswith(("{", "[")):
        return None
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, Mapping) else next(mappings(payload), None)


def _contains(text: str, details: str) -> bool:
    return _plain(details) in _plain(text)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".!")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
