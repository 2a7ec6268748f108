"""
A simulator of Microsoft Entra ID's token endpoint, whose tokens the simulated Resource Manager accepts.

``EntraSimulator(tokens=azure.tokens)`` listens with TLS, which azure-identity requires. Create its credentials with
``authority=entra.url``, ``disable_instance_discovery=True`` and ``connection_verify`` with a file of ``entra.ca_pem``.
"""

import secrets
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from demo.simulator.applications import Application, Assertion, Kind, Refused, public_key
from demo.simulator.hosting import HostedServer, response
from demo.simulator.messages import Answer, arm_request, json_answer
from demo.simulator.tokens import TENANT_ID, Tokens

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A request for a token, with the type of its credential but not the credential."""

    time: datetime
    """The real time, not the simulated one."""
    tenant_id: str
    client_id: str
    scope: str
    kind: Kind
    issuer: str | None
    """The unverified issuer of the assertion."""
    subject: str | None
    claims: str | None
    """The claims that a challenge required."""


class EntraSimulator(HostedServer):
    """A token endpoint with the same ``faults`` as the simulated Resource Manager. Thread-safe."""

    def __init__(
        self,
        *,
        tokens: Tokens | None = None,
        lifetime: float = 3600,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = True,
    ) -> None:
        super().__init__(host=host, port=port, tls=tls)
        self.tokens = Tokens({}) if tokens is None else tokens
        self.lifetime = lifetime
        """The lifetime of new tokens in seconds. It can be changed at any time."""
        self._lock = threading.Lock()
        self._applications: dict[tuple[str, str], Application] = {}
        self._keys: dict[str, tuple[RSAPublicKey, ...]] = {}
        self._sign_ins: list[SignIn] = []

    def add_application(self, client_id: str, *, tenant_id: str = TENANT_ID) -> Application:
        """Register an application or return the existing one. Its ID is the name of the principal."""
        with self._lock:
            return self._applications.setdefault(_key(tenant_id, client_id), Application(client_id))

    def remove_application(self, client_id: str, *, tenant_id: str = TENANT_ID) -> None:
        """Remove an application. Raise KeyError if it does not exist."""
        with self._lock:
            del self._applications[_key(tenant_id, client_id)]

    def trust_issuer(self, issuer: str, *keys: RSAPublicKey | str | bytes | Mapping[str, Any]) -> None:
        """Accept tokens that *issuer* signed with one of *keys*: PEM, JSON Web Keys or key objects."""
        with self._lock:
            self._keys[issuer] = tuple(map(public_key, keys))

    @property
    def sign_ins(self) -> tuple[SignIn, ...]:
        """The requests for tokens so far, oldest first, including those that failed with a fault."""
        with self._lock:
            return tuple(self._sign_ins)

    def clear_sign_ins(self) -> None:
        """Clear the recorded requests."""
        with self._lock:
            self._sign_ins.clear()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        form = dict(parse_qsl((await request.read()).decode("utf-8", "replace")))
        asked = arm_request(request.method, request.raw_path, request.headers, principal=form.get("client_id"))
        paths: dict[tuple[str, ...], Callable[[str], Answer]] = {
            ("POST", "oauth2", "v2.0", "token"): lambda tenant: self._token(tenant, form, asked.headers),
            ("GET", "v2.0", ".well-known", "openid-configuration"): self._configuration,
            ("GET", "discovery", "instance"): lambda _tenant: self._instance(asked.query),
        }
        answer = paths.get((request.method, *asked.segments[1:]))
        if answer is None:
            return response(json_answer(404, {"error": "not_found"}))
        if request.method == "POST":
            self._record(asked.segments[0], form)
        return await self._deliver(request, asked, lambda: answer(asked.segments[0]))

    def _record(self, tenant_id: str, form: Mapping[str, str]) -> None:
        kind: Kind = "secret" if "client_secret" in form else "unknown"
        claims: Mapping[str, Any] = {}
        try:
            assertion = Assertion.read(form["client_assertion"])
            kind, claims = assertion.kind(form.get("client_id", "")), assertion.claims
        except (KeyError, Refused):
            pass  # no assertion, or an unreadable one
        record = SignIn(
            time=datetime.now(UTC),
            tenant_id=tenant_id,
            client_id=form.get("client_id", ""),
            scope=form.get("scope", ""),
            kind=kind,
            issuer=claims.get("iss"),
            subject=claims.get("sub"),
            claims=form.get("claims"),
        )
        with self._lock:
            self._sign_ins.append(record)

    def _token(self, tenant_id: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        try:
            application = self._signed_in(tenant_id, form)
        except Refused as refusal:
            return _refusal(refusal, headers)
        seconds = int(self.lifetime)
        claims = {"appid": application.client_id, "tid": tenant_id, "exp": int(time.time()) + seconds}
        # A JSON Web Token, as in Entra. Only Resource Manager reads it, so no public key is needed.
        token = jwt.encode(claims, secrets.token_bytes(32), algorithm="HS256")
        self.tokens.add(token, application.client_id, lifetime=self.lifetime)
        granted = {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}
        return json_answer(200, granted, {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"})

    def _signed_in(self, tenant_id: str, form: Mapping[str, str]) -> Application:
        client_id = form.get("client_id", "")
        for name in ("client_id", "grant_type", "scope"):
            if name not in form:
                message = f"The request body must contain the following parameter: '{name}'."
                raise Refused(900144, message, error="invalid_request", status=400)
        if form["grant_type"] != "client_credentials":
            message = f"The app requested an unsupported grant type '{form['grant_type']}'."
            raise Refused(70003, message, error="unsupported_grant_type", status=400)
        if not form["scope"].endswith("/.default") or " " in form["scope"]:
            message = f"The provided value for scope {form['scope']} is not valid."
            raise Refused(1002012, message, error="invalid_scope", status=400)
        with self._lock:
            tenants = {tenant for tenant, _ in self._applications}
            application = self._applications.get(_key(tenant_id, client_id))
            keys = dict(self._keys)
        if tenant_id.casefold() not in tenants:
            message = f"Tenant '{tenant_id}' not found. Check to make sure you have the correct tenant ID."
            raise Refused(90002, message, error="invalid_request", status=400)
        if application is None:
            message = f"Application with identifier '{client_id}' was not found in the directory '{tenant_id}'."
            raise Refused(700016, message, error="unauthorized_client", status=400)
        if "client_secret" in form:
            application.check_secret(form["client_secret"])
        elif "client_assertion" in form and form.get("client_assertion_type") == _ASSERTION_TYPE:
            assertion = Assertion.read(form["client_assertion"])
            if assertion.kind(client_id) == "certificate":
                base = f"{self.url}/{tenant_id}"
                audiences = (f"{base}/oauth2/v2.0/token", f"{base}/v2.0", f"{base}/oauth2/token")
                application.check_certificate(assertion, audiences=audiences)
            else:
                application.check_federated(assertion, keys)
        else:
            message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise Refused(7000218, message)
        return application

    def _configuration(self, tenant_id: str) -> Answer:
        base = f"{self.url}/{tenant_id}"
        endpoints = {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
        }
        return json_answer(200, endpoints)

    def _instance(self, query: Mapping[str, str]) -> Answer:
        """Confirm this endpoint as a known authority, for clients that use instance discovery."""
        tenant = query.get("authorization_endpoint", "").partition("//")[2].partition("/")[2].partition("/")[0]
        host = self.url.partition("//")[2]
        known = {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
        endpoint = f"{self.url}/{tenant or TENANT_ID}/v2.0/.well-known/openid-configuration"
        return json_answer(200, {"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": [known]})


def _refusal(refusal: Refused, headers: Mapping[str, str]) -> Answer:
    now = datetime.now(UTC)
    trace_id, correlation_id = str(uuid.uuid4()), headers.get("client-request-id", str(uuid.uuid4()))
    description = f"{refusal} Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {now:%Y-%m-%d %H:%M:%SZ}"
    body = {
        "error": refusal.error,
        "error_description": description,
        "error_codes": [refusal.number],
        "timestamp": f"{now:%Y-%m-%d %H:%M:%SZ}",
        "trace_id": trace_id,
        "correlation_id": correlation_id,
        "error_uri": f"https://login.microsoftonline.com/error?code={refusal.number}",
    }
    return json_answer(refusal.status, body, {"x-ms-request-id": trace_id})


def _key(tenant_id: str, client_id: str) -> tuple[str, str]:
    return tenant_id.casefold(), client_id.casefold()
