"""
Decode the part of Kubernetes' protobuf encoding that `kubectl create` uses.

kubectl 1.32 and later send namespaces, configmaps, secrets and service accounts as protobuf. The API server
accepts protobuf for its own types only, not for custom resources. The field numbers are those of the
``generated.proto`` files of k8s.io/api and k8s.io/apimachinery, and never change. Fields that the server sets itself
are ignored.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"k8s\x00"
CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
VARINT, LENGTH_DELIMITED = 0, 2  # wire types

Schema = dict[int, tuple[str, Any]]  # field number: name and type
MAP_OF: dict[str, Schema] = {
    "strings": {1: ("key", str), 2: ("value", str)},
    "bytes": {1: ("key", str), 2: ("value", bytes)},
}
OWNER: Schema = {
    1: ("kind", str),
    3: ("name", str),
    4: ("uid", str),
    5: ("apiVersion", str),
    6: ("controller", bool),
    7: ("blockOwnerDeletion", bool),
}
META: Schema = {
    1: ("name", str),
    2: ("generateName", str),
    3: ("namespace", str),
    5: ("uid", str),
    6: ("resourceVersion", str),
    11: ("labels", "strings"),
    12: ("annotations", "strings"),
    13: ("ownerReferences", [OWNER]),
    14: ("finalizers", [str]),
}
SCHEMAS: dict[str, Schema] = {
    "Namespace": {1: ("metadata", META)},
    "ServiceAccount": {1: ("metadata", META)},
    "ConfigMap": {1: ("metadata", META), 2: ("data", "strings"), 3: ("binaryData", "bytes"), 4: ("immutable", bool)},
    "Secret": {
        1: ("metadata", META),
        2: ("data", "bytes"),
        3: ("type", str),
        4: ("stringData", "strings"),
        5: ("immutable", bool),
    },
}
UNKNOWN: Schema = {1: ("typeMeta", {1: ("apiVersion", str), 2: ("kind", str)}), 2: ("raw", None)}
"""The envelope of every object: ``runtime.Unknown``."""


def decode_object(data: bytes) -> dict[str, Any]:
    """Return the object in the body of a request. Raise ValueError for an unknown kind."""
    envelope = decode(data.removeprefix(MAGIC), UNKNOWN)
    kind = envelope["typeMeta"]["kind"]
    if kind not in SCHEMAS:
        raise ValueError(f"{kind} objects are understood as JSON only, not as protobuf")
    return {**envelope["typeMeta"], **decode(envelope["raw"], SCHEMAS[kind])}


def decode(data: bytes, schema: Schema) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for number, value in fields(data):
        if number not in schema or value == b"":  # Go encodes an absent field as an empty string
            continue
        name, kind = schema[number]
        if isinstance(kind, str):
            entry = decode(value, MAP_OF[kind])
            result.setdefault(name, {})[entry["key"]] = entry.get("value", "")
        elif kind is None:
            result[name] = value
        elif isinstance(kind, list):
            result.setdefault(name, []).append(convert(value, kind[0]))
        else:
            result[name] = convert(value, kind)
    return result


def convert(value: Any, kind: Any) -> Any:
    if kind is str:
        return value.decode()
    if kind is bytes:
        return base64.b64encode(value).decode()
    if kind is bool:
        return bool(value)
    return decode(value, kind)


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the number and the raw value of each field of a message."""
    position = 0

    def varint() -> int:
        nonlocal position
        result = shift = 0
        while True:
            byte = data[position]
            position += 1
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:  # noqa: PLR2004  # the top bit means that more bytes follow
                return result

    while position < len(data):
        number, wire = divmod(varint(), 8)
        if wire == VARINT:
            yield number, varint()
        elif wire == LENGTH_DELIMITED:
            size = varint()
            yield number, data[position : position + size]
            position += size
        else:
            raise ValueError(f"wire type {wire} is not used by Kubernetes")
