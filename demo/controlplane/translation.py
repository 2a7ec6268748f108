"""Translate the names of built-in kinds between those that clients use and those in storage."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

import yaml

from . import protobuf
from .kinds import BY_PATH, GROUPS, NAMESPACES, STORED_GROUPS, Kind

ROUTE = re.compile(
    r"(?:/api/v1|/apis/(?P<group>[^/?]+)(?P<version>/v1)?)(?:/namespaces/[^/?]+(?=/[^/?]))?/?(?P<plural>[^/?]*)"
)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's loader if available. It is ten times as fast for a CRD, which server-side apply sends as YAML."""
TO_CLIENT = (
    (b"apis/core.builtin/v1", b"api/v1"),
    (NAMESPACES.encode(), b"namespaces"),
    (b".core.builtin", b""),
    (b"core.builtin/v1", b"v1"),
    (b'"core.builtin"', b'""'),
    *((stored.encode(), group.encode()) for group, stored in STORED_GROUPS.items() if group),
)


@dataclass(frozen=True, slots=True)
class Route:
    """The target of a client's request for a built-in group."""

    path: str
    """The path at the API server, with the query."""
    kind: Kind | None
    """None for discovery and for unsupported kinds."""


def route(path: str) -> Route | None:
    """Return the route for a path with its query, or None if it is not for a built-in group."""
    match = ROUTE.match(path)
    if match is None or (match["group"] or "") not in GROUPS:
        return None
    group, plural = match["group"] or "", match["plural"]
    if group:
        stored = f"/apis/{GROUPS[group]}" + path[match.end("group") :]
    else:
        plural = NAMESPACES if plural == "namespaces" else plural
        stored = (
            f"/apis/{GROUPS['']}/v1"
            + path[len("/api/v1") : match.start("plural")]
            + plural
            + path[match.end("plural") :]
        )
    return Route(stored, BY_PATH.get((group, plural)))


def schema_path(path: str) -> str:
    """Return the path of a group's OpenAPI v3 document at the API server."""
    for group, stored in STORED_GROUPS.items():
        public = f"/openapi/v3/apis/{group}/v1" if group else "/openapi/v3/api/v1"
        if path.partition("?")[0] == public:
            return path.replace(public, f"/openapi/v3/apis/{stored}/v1")
    return path


def to_client(data: bytes) -> bytes:
    """Translate a response of the API server to the names that clients use."""
    for ours, theirs in TO_CLIENT:
        data = data.replace(ours, theirs)
    return data


def to_server(data: bytes, method: str, kind: Kind) -> Any:
    """
    Parse the body of a client's write and translate it to the names in storage.

    Return None for an empty body, and a JSON patch unchanged. Raise ValueError for an invalid body.
    """
    body: Any = None
    if data.startswith(protobuf.MAGIC):
        body = protobuf.decode_object(data)
    elif data:
        body = json.loads(data) if data[:1] in b"{[" else yaml.load(data, _LOADER)  # noqa: S506 -- a safe loader
    if not isinstance(body, dict):
        return body
    public = f"{kind.group}/v1".lstrip("/")
    if method != "PATCH":  # clients may omit what the path specifies, as kopf does for Events
        body = {"apiVersion": public, "kind": kind.kind, **body}
    meta = body.get("metadata") or {}
    for part in (body, *(meta.get("managedFields") or ())):
        if part.get("apiVersion") == public:
            part["apiVersion"] = f"{kind.stored_group}/v1"
    if kind.plural == NAMESPACES and method == "POST":
        name = {"kubernetes.io/metadata.name": meta.get("name", "")}
        body["metadata"] = {**meta, "labels": {**(meta.get("labels") or {}), **name}}
    if kind.kind == "Secret" and body.get("stringData"):
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in body.pop("stringData").items()}
        body["data"] = {**(body.get("data") or {}), **encoded}
    return body
