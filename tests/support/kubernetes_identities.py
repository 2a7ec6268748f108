"""The ServiceAccounts and Secrets of a small cluster, with permissions for each name."""

from __future__ import annotations

import base64
import copy
import functools
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from tests.support.identities import ServiceAccountIssuer
from tests.support.kubernetes_objects import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.kubernetes_traffic import Request

Plural = Literal["serviceaccounts", "secrets"]
PATH: Final = re.compile(
    r"/api/v1/namespaces/(?P<namespace>[^/]+)/(?P<plural>serviceaccounts|secrets)/(?P<name>[^/]+)(?P<token>/token)?"
)
_KINDS: Final[Mapping[Plural, str]] = {"serviceaccounts": "ServiceAccount", "secrets": "Secret"}


class Identities:
    """Existing objects are readable unless a test forbids it, like a Role with ``resourceNames``."""

    def __init__(self) -> None:
        self.issuer = _issuer()
        self._objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._forbidden: set[str] = set()
        self._version = 5000

    def put_service_account(self, name: str, *, namespace: str, **annotations: str) -> None:
        """Create or change a ServiceAccount with the *annotations* ``client_id`` and ``tenant_id``."""
        named = {f"azure.workload.identity/{key.replace('_', '-')}": value for key, value in annotations.items()}
        self._put("serviceaccounts", namespace, name, {"annotations": named}, {})

    def put_secret(
        self, name: str, data: Mapping[str, str], *, namespace: str, labels: Mapping[str, str] | None = None
    ) -> None:
        """Create or change a Secret. Without *labels*, the operator may use it as a credential."""
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        labels = {"azurebackup.dev/credential": "true"} if labels is None else labels
        self._put("secrets", namespace, name, {"labels": dict(labels)}, {"type": "Opaque", "data": encoded})

    def delete(self, plural: Plural, name: str, *, namespace: str) -> None:
        """Delete an object."""
        del self._objects[plural, namespace, name]

    def forbid(self, plural: Plural, name: str, *, namespace: str, token: bool = False) -> None:
        """Revoke the operator's permission to read an object, or only to create its tokens."""
        self._forbidden.add(_path(plural, namespace, name, token=token))

    def allow(self, plural: Plural, name: str, *, namespace: str, token: bool = False) -> None:
        """Restore that permission."""
        self._forbidden.discard(_path(plural, namespace, name, token=token))

    def answer(self, request: Request) -> dict[str, Any] | None:
        """Answer a request for a ServiceAccount or Secret, or return None for any other request."""
        match = PATH.fullmatch(request.path)
        if match is None or request.method != ("POST" if match["token"] else "GET"):
            return None
        if request.path in self._forbidden:  # checked first, so the response does not reveal whether the object exists
            what = f'{match["plural"]} "{match["name"]}"'
            raise Refused(403, "Forbidden", f"{what} is forbidden: User backupjobwatch cannot {request.line}")
        found = self._objects.get((match["plural"], match["namespace"], match["name"]))
        if found is None:
            raise Refused(404, "NotFound", f'{match["plural"]} "{match["name"]}" not found')
        return self._token(found, request.body) if match["token"] else copy.deepcopy(found)

    def _token(self, account: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
        spec, metadata = asked["spec"], account["metadata"]
        if spec["expirationSeconds"] < 600:
            raise Refused(422, "Invalid", "spec.expirationSeconds: may not specify a duration less than 10 minutes")
        subject = f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}"
        (audience,) = spec["audiences"]
        token = self.issuer.token(subject, audience=audience, lifetime=spec["expirationSeconds"], jti=str(uuid.uuid4()))
        end = datetime.now(UTC) + timedelta(seconds=spec["expirationSeconds"])
        return {**asked, "status": {"token": token, "expirationTimestamp": f"{end:%Y-%m-%dT%H:%M:%SZ}"}}

    def _put(self, plural: Plural, namespace: str, name: str, metadata: dict[str, Any], fields: dict[str, Any]) -> None:
        key = (plural, namespace, name)
        before = self._objects.get(key)
        self._version += 1
        uid = str(uuid.uuid4()) if before is None else before["metadata"]["uid"]
        whole = {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": str(self._version), **metadata}
        self._objects[key] = {"apiVersion": "v1", "kind": _KINDS[plural], "metadata": whole, **fields}


@functools.cache
def _issuer() -> ServiceAccountIssuer:
    """Create the key only once, because that is slow."""
    return ServiceAccountIssuer()


def _path(plural: Plural, namespace: str, name: str, *, token: bool) -> str:
    return f"/api/v1/namespaces/{namespace}/{plural}/{name}" + ("/token" if token else "")
