"""Issue ServiceAccount tokens: the TokenRequest API, which the apiextensions-apiserver lacks."""

from __future__ import annotations

import json
import re
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from . import certificates, protobuf
from .gate import failure
from .namespaces import CORE
from .upstream import CREATED, OK

if TYPE_CHECKING:
    from pathlib import Path

    from .upstream import Upstream

ISSUER = "https://kubernetes.default.svc"
PATH = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/serviceaccounts/(?P<name>[^/]+)/token")
LEAST, MOST, USUAL = 600, 2**32, 3600
"""The minimum, maximum and default lifetime of a token in seconds, as in the API server."""
API = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}
BOUND: protobuf.Schema = {1: ("kind", str), 2: ("apiVersion", str), 3: ("name", str), 4: ("uid", str)}


class SigningKey:
    """The key that signs tokens, a new one for each run."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public_pem = public.decode()
        self.id = uuid.uuid5(uuid.NAMESPACE_OID, self.public_pem).hex

    def write(self, path: Path) -> None:
        """Write the private key for a kube-apiserver, which signs tokens itself."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        certificates.write_private(path, pem)

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.id})


class ServiceAccountTokens:
    """Handles POST requests to ``serviceaccounts/NAME/token``."""

    def __init__(self, upstream: Upstream, key: SigningKey) -> None:
        self._upstream = upstream
        self._key = key

    async def answer(self, request: web.Request) -> web.Response | None:
        """Return a signed token, or None if *request* is for another path."""
        match = PATH.fullmatch(request.path)
        if match is None:
            return None
        if request.method != "POST":
            return failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        namespace, name = match["namespace"], match["name"]
        status, account = await self._upstream.call("GET", f"{CORE}/namespaces/{namespace}/serviceaccounts/{name}")
        if status != OK:
            return failure(404, "NotFound", f'serviceaccounts "{name}" not found')
        try:
            spec = token_spec(await request.read())
        except (ValueError, TypeError, AttributeError) as error:
            return failure(400, "BadRequest", f"the object provided is unrecognized: {error}")
        seconds = spec["expirationSeconds"]
        if not LEAST <= seconds <= MOST:
            rule = "may not specify a duration less than 10 minutes" if seconds < LEAST else "must be at most 2^32"
            message = f'TokenRequest "" is invalid: spec.expirationSeconds: Invalid value: {seconds}: {rule}'
            return failure(422, "Invalid", message)
        return web.json_response(self._granted(account["metadata"], spec), status=CREATED)

    def _granted(self, account: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        namespace, name, bound = account["namespace"], account["name"], spec["boundObjectRef"]
        now = int(time.time())
        about: dict[str, Any] = {"namespace": namespace, "serviceaccount": {"name": name, "uid": account["uid"]}}
        if bound:
            about[bound["kind"].lower()] = {"name": bound["name"], "uid": bound.get("uid", "")}
        claims = {
            "aud": spec["audiences"],
            "exp": now + spec["expirationSeconds"],
            "iat": now,
            "iss": ISSUER,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": about,
            "nbf": now,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        end = datetime.fromtimestamp(claims["exp"], UTC)
        created = datetime.fromtimestamp(now, UTC)
        return {
            **API,
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": f"{created:%Y-%m-%dT%H:%M:%SZ}"},
            "spec": spec,
            "status": {"token": self._key.sign(claims), "expirationTimestamp": f"{end:%Y-%m-%dT%H:%M:%SZ}"},
        }


def token_spec(data: bytes) -> dict[str, Any]:
    """Parse the spec from JSON or protobuf and set its defaults. Raise ValueError if it is invalid."""
    spec = from_protobuf(data) if data.startswith(protobuf.MAGIC) else (json.loads(data or b"{}").get("spec") or {})
    return {
        "audiences": list(spec.get("audiences") or [ISSUER]),
        "expirationSeconds": int(spec.get("expirationSeconds") or USUAL),
        "boundObjectRef": spec.get("boundObjectRef"),
    }


def from_protobuf(data: bytes) -> dict[str, Any]:
    """Parse ``spec`` from kubectl's request. Fields: 1 audiences, 3 boundObjectRef, 4 expirationSeconds."""
    envelope = protobuf.decode(data.removeprefix(protobuf.MAGIC), protobuf.UNKNOWN)
    if envelope["typeMeta"] != {"kind": API["kind"], "apiVersion": API["apiVersion"]}:
        raise ValueError(f"{envelope['typeMeta']} is no {API}")
    spec: dict[str, Any] = {"audiences": []}
    for number, value in protobuf.fields(
        protobuf.decode(envelope.get("raw", b""), {2: ("spec", None)}).get("spec", b"")
    ):
        if number == 1:
            spec["audiences"].append(value.decode())
        elif number == 3:  # noqa: PLR2004 - see the docstring
            spec["boundObjectRef"] = protobuf.decode(value, BOUND)
        elif number == 4:  # noqa: PLR2004
            spec["expirationSeconds"] = value
    return spec
