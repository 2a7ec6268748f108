"""The Leases of a small cluster, with the format and conflict checks of a real API server."""

from __future__ import annotations

import copy
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

from tests.support.kubernetes_objects import Refused

if TYPE_CHECKING:
    from tests.support.kubernetes_traffic import Request

Key = tuple[str, str]
"""Namespace and name."""
PATH: Final = re.compile(r"/apis/coordination\.k8s\.io/v1/namespaces/(?P<namespace>[^/]+)/leases(/(?P<name>[^/]+))?")
MICRO_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
"""The only format that Go's metav1.MicroTime accepts, with six digits."""
FIELDS: Final = {"holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime", "leaseTransitions"}


class Leases:
    """All Leases. Results are copies."""

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []
        """The ``spec`` of every version, oldest first."""
        self._objects: dict[Key, dict[str, Any]] = {}
        self._version = 9000

    def get(self, key: Key) -> dict[str, Any]:
        """Return a Lease, or refuse with 404."""
        if key not in self._objects:
            raise Refused(404, "NotFound", f'leases.coordination.k8s.io "{key[1]}" not found')
        return copy.deepcopy(self._objects[key])

    def put(self, key: Key, **spec: Any) -> None:
        """Create or replace a Lease with this *spec*, as another client."""
        self._kube(key, {"metadata": {}, **self._objects.get(key, {}), "spec": spec})

    def delete(self, key: Key) -> None:
        """Delete a Lease."""
        del self._objects[key]

    def answer(self, request: Request) -> dict[str, Any] | None:
        """Answer a request for a Lease, or return None for any other request."""
        match = PATH.fullmatch(request.path)
        if match is None:
            return None
        namespace, name = match["namespace"], match["name"]
        if request.method == "GET" and name is not None:
            return self.get((namespace, name))
        if request.method == "POST" and name is None:
            return self._create(namespace, request.body)
        if request.method == "PUT" and name is not None:
            return self._replace((namespace, name), request.body)
        return None

    def _create(self, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        key = (namespace, body["metadata"]["name"])
        if key in self._objects:
            raise Refused(409, "AlreadyExists", f'leases.coordination.k8s.io "{key[1]}" already exists')
        assert "resourceVersion" not in body["metadata"], body
        return self._kube(key, _checked(body, key))

    def _replace(self, key: Key, body: dict[str, Any]) -> dict[str, Any]:
        before = self.get(key)["metadata"]
        if body["metadata"]["resourceVersion"] != before["resourceVersion"]:
            raise Refused(409, "Conflict", "the object has been modified; please apply your changes to the latest")
        assert body["metadata"]["uid"] == before["uid"]
        return self._kube(key, _checked(body, key))

    def _kube(self, key: Key, body: dict[str, Any]) -> dict[str, Any]:
        self._version += 1
        metadata = {"uid": str(uuid.uuid4()), **body["metadata"], "namespace": key[0], "name": key[1]}
        metadata["resourceVersion"] = str(self._version)
        kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        self._objects[key] = {**kind, "metadata": metadata, "spec": copy.deepcopy(body["spec"])}
        self.history.append(self._objects[key]["spec"])
        return self.get(key)


def _checked(body: dict[str, Any], key: Key) -> dict[str, Any]:
    assert (body["apiVersion"], body["kind"]) == ("coordination.k8s.io/v1", "Lease")
    assert (body["metadata"]["namespace"], body["metadata"]["name"]) == key
    spec = body["spec"]
    wrong = sorted(spec.keys() - FIELDS)
    wrong += [name for name in ("acquireTime", "renewTime") if not MICRO_TIME.fullmatch(spec[name])]
    wrong += [] if type(spec["leaseDurationSeconds"]) is int and spec["leaseDurationSeconds"] > 0 else ["duration"]
    wrong += [] if type(spec["leaseTransitions"]) is int and spec["leaseTransitions"] >= 0 else ["transitions"]
    if wrong:
        raise Refused(422, "Invalid", f"Lease is invalid: {wrong}: {spec}")
    return body
