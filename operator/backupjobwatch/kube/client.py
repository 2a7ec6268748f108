"""Client of the Kubernetes API server: watches, Events, Secrets, ServiceAccounts and the Lease."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, urlencode

import aiohttp
import yaml
from kubernetes.aio import client, config
from kubernetes.aio.config.kube_config import ENV_KUBECONFIG_PATH_SEPARATOR, KUBE_CONFIG_DEFAULT_LOCATION

from backupjobwatch.constants import API_VERSION, CONTROLLER, GROUP, KIND, PLURAL
from backupjobwatch.domain.jobs.payloads import mapping, mappings
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.errors import Conflict, Forbidden, KubeError, KubeUnavailable, ObjectNotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.status.transitions import Transition

TIMEOUT: Final = 15.0
"""Timeout of a request in seconds. The API server's own limit of a minute would block a worker for too long."""
PAGE: Final = 500
LEASE_API: Final = "coordination.k8s.io/v1"

_MANAGER: Final = {"fieldManager": CONTROLLER}
_MERGE: Final = "application/merge-patch+json"
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_ERRORS: Final[Mapping[int, type[KubeError]]] = {
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.NOT_FOUND: ObjectNotFound,
    HTTPStatus.FORBIDDEN: Forbidden,
}


class KubeClient:
    """Client of the API server. All methods raise KubeError, and no other error, if a request fails."""

    def __init__(self, api: client.ApiClient) -> None:
        api.user_agent = CONTROLLER
        self._api = api

    @classmethod
    async def connect(cls) -> Self:
        """Use the pod's ServiceAccount, or KUBECONFIG outside a cluster. Raises KubeUnavailable if neither works."""
        configuration = client.Configuration()
        # Ignore proxies of the environment, like kopf. aiohttp would also read a netrc file for each request.
        configuration.client_session_kwargs = {"trust_env": False}
        try:
            try:
                config.load_incluster_config(client_configuration=configuration)
            except config.ConfigException:
                await config.load_kube_config(client_configuration=configuration)
        except (config.ConfigException, OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
            # The library raises the last four for a file that is not a kubeconfig.
            raise KubeUnavailable(f"no access to a Kubernetes API server: {_explain_kubeconfig(error)}") from error
        return cls(client.ApiClient(configuration))

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def check(self, namespace: str | None) -> None:
        """List one watch to check that the CRD is installed and that RBAC allows it."""
        try:
            await self._request("GET", _path(namespace), query={"limit": "1"}, accept=_METADATA_ONLY)
        except ObjectNotFound:
            raise ObjectNotFound(
                f"the CRD {PLURAL}.{GROUP} is not installed. Run: kubectl apply --server-side -k crds"
            ) from None

    async def read(self, namespace: str, name: str) -> dict[str, Any]:
        """Read a watch."""
        return await self._request("GET", _path(namespace, name))

    async def write_status(self, watch: Watch, status: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the status of *watch*. Raise Conflict if the object changed after the snapshot or was recreated.

        The uid and the resourceVersion are the preconditions. The status subresource ignores the rest of the body.
        """
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "namespace": watch.namespace,
                "name": watch.name,
                "uid": watch.uid,
                "resourceVersion": watch.resource_version,
            },
            "spec": watch.spec,
            "status": status,
        }
        path = f"{_path(watch.namespace, watch.name)}/status"
        return await self._request("PUT", path, query=_MANAGER, body=body)

    async def delete(self, watch: Watch) -> None:
        """Delete *watch*. Raise Conflict if the object changed after the snapshot or was recreated."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": watch.uid, "resourceVersion": watch.resource_version},
            "propagationPolicy": "Background",
        }
        await self._request("DELETE", _path(watch.namespace, watch.name), body=body)

    async def find_version(self, group: str, plural: str) -> str | None:
        """Return the version of *group* that serves *plural*, the preferred one if it does. None if no version does."""
        try:
            answer = await self._request("GET", f"/apis/{group}")
        except ObjectNotFound:
            return None
        listed = [mapping(answer.get("preferredVersion")), *mappings(answer.get("versions"))]
        for version in dict.fromkeys(str(each.get("version")) for each in listed):
            try:
                served = await self._request("GET", f"/apis/{group}/{version}")
            except ObjectNotFound:  # The API server no longer serves this version.
                continue
            if any(resource.get("name") == plural for resource in mappings(served.get("resources"))):
                return version
        return None

    async def annotate(self, api: str, namespace: str, plural: str, name: str, annotations: Mapping[str, str]) -> None:
        """Set annotations of any object."""
        path = _path(namespace, name, api=api, plural=plural)
        body = {"metadata": {"annotations": dict(annotations)}}
        await self._request("PATCH", path, query=_MANAGER, body=body, content_type=_MERGE)

    async def list_metadata(self, namespace: str | None) -> AsyncIterator[dict[str, Any]]:
        """Yield the metadata of the watches in *namespace*, or in all namespaces."""
        query = {"limit": str(PAGE)}
        while True:
            page = await self._request("GET", _path(namespace), query=query, accept=_METADATA_ONLY)
            # A response of another kind must not count as an empty list, because all watches would seem deleted.
            if page.get("kind") != "PartialObjectMetadataList":
                raise KubeUnavailable("the response to a list request is not a list")
            for item in page.get("items") or ():
                yield item["metadata"]
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return
            query["continue"] = following

    async def create_event(self, watch: Watch, transition: Transition) -> bool:
        """Create the Event about *transition*. Return False if it exists."""
        now = format_time(datetime.now(UTC))
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": watch.namespace, "name": transition.name},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "namespace": watch.namespace,
                "name": watch.name,
                "uid": watch.uid,
            },
            "type": transition.type,
            "reason": transition.reason,
            "message": transition.message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": CONTROLLER},
            "reportingComponent": CONTROLLER,
            "reportingInstance": "",
        }
        try:
            await self._request("POST", _path(watch.namespace, api="v1", plural="events"), body=body)
        except Conflict:
            return False
        return True

    async def read_service_account(self, namespace: str, name: str) -> dict[str, Any]:
        """Read a ServiceAccount."""
        return await self._request("GET", _path(namespace, name, api="v1", plural="serviceaccounts"))

    async def read_secret(self, namespace: str, name: str) -> dict[str, Any]:
        """Read a Secret."""
        return await self._request("GET", _path(namespace, name, api="v1", plural="secrets"))

    async def request_token(self, namespace: str, service_account: str, *, audience: str) -> str:
        """Request a token of a ServiceAccount that is valid for ten minutes."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 600},
        }
        path = f"{_path(namespace, service_account, api='v1', plural='serviceaccounts')}/token"
        answer = await self._request("POST", path, body=body)
        return str(answer.get("status", {}).get("token", ""))

    async def read_lease(self, namespace: str, name: str) -> dict[str, Any]:
        """Read a Lease."""
        return await self._request("GET", _path(namespace, name, api=LEASE_API, plural="leases"))

    async def write_lease(self, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        """Replace a Lease, or create it if *metadata* has no resourceVersion.

        Raise Conflict if another client has changed or created it.
        """
        body = {"apiVersion": LEASE_API, "kind": "Lease", "metadata": metadata, "spec": spec}
        method, name = ("PUT", metadata["name"]) if "resourceVersion" in metadata else ("POST", None)
        path = _path(metadata["namespace"], name, api=LEASE_API, plural="leases")
        await self._request(method, path, query=_MANAGER, body=body)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        accept: str = "application/json",
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        url = f"{path}?{urlencode(query)}" if query else path
        headers = {"Accept": accept, "Content-Type": content_type}
        try:
            _, address, headers, *_ = await self._api.param_serialize(
                method, url, header_params=headers, auth_settings=["BearerToken"]
            )
            # Pass the body unserialized: param_serialize() handles only models of the library.
            response = await self._api.call_api(method, address, headers, body, _request_timeout=TIMEOUT)
            text = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError, client.ApiException) as error:
            raise KubeUnavailable(f"{method} {path}: {type(error).__name__}: {error}") from error
        if response.status < HTTPStatus.BAD_REQUEST:
            answer = _object(text)
            if answer is None:
                raise KubeUnavailable(f"{method} {path}: the response is not a JSON object")
            return answer
        message = f"{method} {path}: {response.status} {(_object(text) or {}).get('message', '')}"
        raise _ERRORS.get(response.status, KubeUnavailable)(message)


def secret_data(secret: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the decoded data of a Secret. The API server guarantees valid base64."""
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}


def _explain_kubeconfig(error: Exception) -> str:
    """Explain why there is no usable kubeconfig, and how to fix it."""
    paths = KUBE_CONFIG_DEFAULT_LOCATION
    if not any(Path(path).exists() for path in paths.split(ENV_KUBECONFIG_PATH_SEPARATOR)):
        return f"the kubeconfig {paths} does not exist. Set KUBECONFIG, or run the command in the operator's pod."
    problem = sanitize(str(error), 200).rstrip(".")
    return f'the kubeconfig {paths} is not usable ({problem}). Check it with "kubectl config view".'


def _path(namespace: str | None, name: str | None = None, *, api: str = API_VERSION, plural: str = PLURAL) -> str:
    """Return the path of an object, or without *name* that of all objects. The default is that of watches."""
    parts = ["api" if api == "v1" else "apis", api]
    if namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    return "/" + "/".join([*parts, plural, *([quote(name, safe="")] if name else [])])


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
