"""The objects of a small cluster, with versions, generations, defaults and a history."""

from __future__ import annotations

import bisect
import functools
import pickle
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import jsonschema

from backupjobwatch.constants import API_VERSION, KIND
from tests.support.documents import load_document

if TYPE_CHECKING:
    from collections.abc import Mapping

CRD: Final = Path(__file__).parents[2] / "crds" / "backupjobwatches.azurebackup.dev.yaml"
_T = TypeVar("_T")
Key = tuple[str, str]
"""Namespace and name."""
EventType = Literal["ADDED", "MODIFIED", "DELETED"]


def copied(value: _T) -> _T:
    """Return a deep copy, several times faster than ``copy.deepcopy``."""
    found: _T = pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
    return found


class Refused(Exception):
    """An error response of the API server."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    def as_status(self) -> dict[str, Any]:
        """Return the error as a Kubernetes Status."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": self.code,
            "reason": self.reason,
            "message": str(self),
        }


class Schema:
    """The CRD's schema, which refuses unknown fields instead of dropping them like an API server."""

    def __init__(self) -> None:
        crd = load_document(CRD.read_text(encoding="utf-8"))
        self._schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        self._validator = jsonschema.Draft202012Validator(_closed(self._schema))

    def fill_in(self, body: dict[str, Any]) -> None:
        """Set the defaults, as on every write."""
        _fill_in(self._schema, body)

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse an invalid object with 422."""
        complaints = [f"{error.json_path}: {error.message}" for error in self._validator.iter_errors(body)]
        if complaints:
            raise Refused(422, "Invalid", f"{KIND} is invalid: " + "; ".join(complaints))


@functools.cache
def _schema() -> Schema:
    """Read the CRD only once, because it takes as long as a short test."""
    return Schema()


def _closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    closed = {name: value for name, value in schema.items() if name not in ("default", "format")}
    if "properties" in schema:
        closed["properties"] = {name: _closed(part) for name, part in schema["properties"].items()}
        closed["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        closed["additionalProperties"] = _closed(schema["additionalProperties"])
    if "items" in schema:
        closed["items"] = _closed(schema["items"])
    return closed


def _fill_in(schema: Mapping[str, Any], value: Any) -> None:
    if isinstance(value, dict):
        for name, part in schema.get("properties", {}).items():
            if "default" in part and name not in value:
                value[name] = copied(part["default"])
            if name in value:
                _fill_in(part, value[name])
    elif isinstance(value, list):
        for item in value:
            _fill_in(schema.get("items", {}), item)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An entry of the history, which watch streams send."""

    version: int
    type: EventType
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]
    """The new object, or the last state of a deleted one."""
    part: Literal["object", "status"]

    @property
    def namespace(self) -> str:
        """The namespace whose watch streams get the change."""
        return str(self.after["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.after["metadata"]["name"])


class Objects:
    """All BackupJobWatches and Events. Results are copies."""

    def __init__(self) -> None:
        self._schema = _schema()
        self._watches: dict[Key, dict[str, Any]] = {}
        self.version = 100
        self.compacted = 0
        """Watch streams cannot start from an earlier version."""
        self.page: int | None = None
        """Maximum number of items in a list, regardless of the requested limit."""
        self.expiring = 0
        """The number of upcoming continued pages that are refused as expired."""
        self.history: list[Change] = []
        self.events: dict[Key, dict[str, Any]] = {}

    def get(self, key: Key) -> dict[str, Any]:
        """Return a watch, or refuse with 404."""
        try:
            return copied(self._watches[key])
        except KeyError:
            raise Refused(404, "NotFound", f'backupjobwatches "{key[1]}" not found') from None

    def find(self, namespace: str | None) -> list[dict[str, Any]]:
        """Return the watches, sorted by key."""
        return [copied(self._watches[key]) for key in sorted(self._watches) if namespace in (None, key[0])]

    def find_page(self, namespace: str | None, query: Mapping[str, str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return a page of the list and the list's metadata, or refuse with 410."""
        keys = sorted(key for key in self._watches if namespace in (None, key[0]))
        start = int(query.get("continue", 0))
        if start and self.expiring:
            self.expiring -= 1
            raise Refused(410, "Expired", "The provided continue parameter is too old")
        end = start + min(int(query.get("limit", 0)) or len(keys), self.page or len(keys))
        metadata = {"resourceVersion": str(self.version)}
        items = [
            copied(self._watches[key]) for key in keys[start:end]
        ]  # excludes other pages, because tests have thousands
        return items, metadata | ({"continue": str(end)} if end < len(keys) else {})

    def create(self, key: Key, spec: Mapping[str, Any], metadata: Mapping[str, Any], *, checked: bool) -> None:
        """Create a watch. Set *checked* to false for one that an older CRD accepted."""
        if key in self._watches:
            raise Refused(409, "AlreadyExists", f'backupjobwatches "{key[1]}" already exists')
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                **metadata,
                "namespace": key[0],
                "name": key[1],
                "uid": str(uuid.uuid4()),
                "generation": 1,
                "creationTimestamp": _now(),
            },
            "spec": copied(dict(spec)),
        }
        self._schema.fill_in(body)
        if checked:
            self._schema.check(body)
        self._kube(key, "ADDED", None, body, part="object")

    def plant(self, key: Key, body: Mapping[str, Any], *, uid: str = "") -> str:
        """Store any object unchanged, with this UID or a new one, and return the UID."""
        uid = uid or str(uuid.uuid4())
        planted = {**copied(dict(body)), "metadata": {**body["metadata"], "uid": uid}}
        self._kube(key, "ADDED", None, planted, part="object")
        return uid

    def edit(self, key: Key, spec: Mapping[str, Any], annotations: Mapping[str, str | None]) -> None:
        """Merge fields into the spec and annotations. None removes a field."""
        before = self.get(key)
        after = copied(before)
        after["spec"] = _merged(before["spec"], spec)
        after["metadata"]["annotations"] = _merged(before["metadata"].get("annotations", {}), annotations)
        self._schema.fill_in(after)
        self._schema.check(after)
        after["metadata"]["generation"] += after["spec"] != before["spec"]
        self._kube(key, "MODIFIED", before, after, part="object")

    def put_status(self, key: Key, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace only the status, or refuse with 404, 409 or 422."""
        before = self.get(key)
        asked = body.get("metadata", {})
        if asked.get("uid", before["metadata"]["uid"]) != before["metadata"]["uid"]:
            raise Refused(409, "Conflict", f"Precondition failed: UID in precondition: {asked['uid']}")
        if not asked.get("resourceVersion"):
            raise Refused(422, "Invalid", "metadata.resourceVersion: must be specified for an update")
        if asked["resourceVersion"] != before["metadata"]["resourceVersion"]:
            raise Refused(409, "Conflict", "the object has been modified; please apply your changes to the latest")
        after = {**copied(before), "status": copied(body.get("status"))}
        self._schema.fill_in(after)
        # Previously accepted fields do not block a status update, because the API server uses ratcheting validation.
        self._schema.check({**after, "spec": {}})
        self._kube(key, "MODIFIED", before, after, part="status")
        return self.get(key)

    def delete(self, key: Key, preconditions: Mapping[str, str] | None = None) -> None:
        """Delete a watch, or mark it if it has a finalizer. Refuse with 404, or 409 for a precondition."""
        before = self.get(key)
        for name, value in (preconditions or {}).items():
            if before["metadata"][name] != value:
                raise Refused(409, "Conflict", f"Precondition failed: {name} in precondition: {value}")
        if before["metadata"].get("finalizers"):
            metadata = {
                **before["metadata"],
                "generation": before["metadata"]["generation"] + 1,
                "deletionTimestamp": _now(),
                "deletionGracePeriodSeconds": 0,
            }
            self._kube(key, "MODIFIED", before, {**before, "metadata": metadata}, part="object")
            return
        del self._watches[key]
        self._note("DELETED", before, before, part="object")

    def create_event(self, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Store an Event, or refuse a duplicate name with 409."""
        key = (namespace, str(body["metadata"]["name"]))
        if key in self.events:
            raise Refused(409, "AlreadyExists", f'events "{key[1]}" already exists')
        self.events[key] = copied(dict(body))
        return self.events[key]

    def changes(self, *, since: int) -> list[Change]:
        """Return the history after a version."""
        first = bisect.bisect_right(self.history, since, key=lambda change: change.version)
        return self.history[first:]

    def _kube(
        self,
        key: Key,
        event: EventType,
        before: Mapping[str, Any] | None,
        after: dict[str, Any],
        *,
        part: Literal["object", "status"],
    ) -> None:
        if before == after:  # an update without changes creates no version
            return
        self._note(event, before, after, part=part)
        self._watches[key] = copied(dict(self.history[-1].after))

    def _note(
        self,
        event: EventType,
        before: Mapping[str, Any] | None,
        after: dict[str, Any],
        *,
        part: Literal["object", "status"],
    ) -> None:
        self.version += 1
        after = copied(after)
        after["metadata"]["resourceVersion"] = str(self.version)
        self.history.append(Change(version=self.version, type=event, before=before, after=after, part=part))


def _merged(onto: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Merge as in RFC 7386 at the top level, which is sufficient for a watch."""
    return {name: value for name, value in {**onto, **patch}.items() if value is not None}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
