"""Names of Kubernetes' own kinds, from those that clients know to those under which they are stored, and back."""

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
"""libyaml's, if PyYAML has it: ten times as fast for a CRD, which server-side apply sends as YAML."""
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
    """Where a client's request for one of Kubernetes' own groups goes."""

    path: str
    """The path at the API server, with the query."""
    kind: Kind | None
    """None for discovery, and for what is not known here."""


def route(path: str) -> Route | None:
    """The route for a path with its query; None if it is for none of Kubernetes' own groups."""
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
    """Return where the API server has a group's OpenAPI v3 document."""
    for group, stored in STORED_GROUPS.items():
        public = f"/openapi/v3/apis/{group}/v1" if group else "/openapi/v3/api/v1"
        if path.partition("?")[0] == public:
            return path.replace(public, f"/openapi/v3/apis/{stored}/v1")
    return path


def to_client(data: bytes) -> bytes:
    """What the API server says of Kubernetes' own kinds, in the names that clients know."""
    for ours, theirs in TO_CLIENT:
        data = data.replace(ours, theirs)
    return data


def to_server(data: bytes, method: str, kind: Kind) -> Any:
    """
    The parsed body of a client's write, in the names that the server knows; ValueError if it cannot be read.

    None stands for no body. A JSON patch stays the list it is.
    """
    body: Any = None
    if data.startswith(protobuf.MAGIC):
        body = protobuf.decode_object(data)
    elif data:
        body = json.loads(data) if data[:1] in b"{[" else yaml.load(data, _LOADER)  # noqa: S506 -- a safe loader
    if not isinstance(body, dict):
        return body
    public = f"{kind.group}/v1".lstrip("/")
    if method != "PATCH":  # here clients may leave out what the address says, as kopf does for Events
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
