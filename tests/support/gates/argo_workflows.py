"""The conditions of an Argo Workflows resource template, which have the syntax of label selectors.

A key is a path into the object as JSON. https://github.com/argoproj/argo-workflows/blob/main/workflow/executor/resource.go
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.gates.kstatus import Body

Verdict = Literal["success", "failure", "keeps polling"]

_KEY = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_REQUIREMENT: Final = re.compile(
    rf"\s*(?:(?P<key>{_KEY})\s*(?P<operator>==|=|!=)\s*(?P<value>[-A-Za-z0-9_.]*)"
    rf"|(?P<member>{_KEY})\s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\)"
    rf"|(?P<no>!?)(?P<name>{_KEY}))\s*(?:,|$)"
)


def verdict(body: Body, *, success: str, failure: str) -> Verdict:
    """Return the template's result: any failure requirement fails it, all success requirements pass it."""
    if any(_met(requirement, body) for requirement in _parse(failure)):
        return "failure"
    return "success" if all(_met(requirement, body) for requirement in _parse(success)) else "keeps polling"


def _parse(selector: str) -> Iterator[re.Match[str]]:
    position = 0
    while position < len(selector):
        match = _REQUIREMENT.match(selector, position)
        if match is None:
            raise ValueError(f"no label selector: {selector[position:]}")
        yield match
        position = match.end()


def _met(requirement: re.Match[str], body: Body) -> bool:
    """Return whether a requirement is met. A missing value meets every negative requirement."""
    key = requirement["key"] or requirement["member"] or requirement["name"]
    text = _find(body, key)
    if requirement["name"]:
        return (text is None) == bool(requirement["no"])
    values = requirement["values"].split(",") if requirement["set"] else [requirement["value"]]
    among = text in {value.strip() for value in values}
    return not among if requirement["operator"] == "!=" or requirement["set"] == "notin" else among


def _find(body: Body, path: str) -> str | None:
    """Return the value at a path as text, or None."""
    value: Any = body
    for part in path.split("."):
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return None
    return value if isinstance(value, str) else json.dumps(value)
