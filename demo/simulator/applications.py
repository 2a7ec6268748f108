"""Applications in Microsoft Entra ID, with their secrets, certificates and federated credentials."""

import base64
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

EXCHANGE: Final = "api://AzureADTokenExchange"
"""The audience of ServiceAccount tokens for the exchange."""
ALGORITHMS: Final = ["RS256", "PS256"]
SECONDS_OF_LEEWAY: Final = 30

Kind = Literal["secret", "certificate", "federated", "unknown"]


class Refused(Exception):
    """A failed sign-in, with Entra's error number and message."""

    def __init__(self, number: int, message: str, *, error: str = "invalid_client", status: int = 401) -> None:
        super().__init__(f"AADSTS{number}: {message}")
        self.number = number
        self.error = error
        self.status = status


@dataclass(frozen=True, slots=True)
class Assertion:
    """A signed token that replaces a client secret, with its unverified content."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @classmethod
    def read(cls, text: str) -> "Assertion":
        """Parse a token without verifying it."""
        try:
            unverified = jwt.decode(text, options={"verify_signature": False})
            return cls(text, jwt.get_unverified_header(text), unverified)
        except jwt.PyJWTError as error:
            raise Refused(50027, "JWT token is invalid or malformed.", error="invalid_request", status=400) from error

    def kind(self, client_id: str) -> Kind:
        """Return the type of credential. Only a certificate's assertion is issued by the client itself."""
        return "certificate" if self.claims.get("iss") == client_id else "federated"

    def verify(self, key: RSAPublicKey, *, number: int, message: str) -> None:
        """Check the signature and the validity period."""
        try:
            options: Any = {"verify_aud": False, "require": ["exp", "iss", "sub"]}
            jwt.decode(self.text, key, algorithms=ALGORITHMS, options=options, leeway=SECONDS_OF_LEEWAY)
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
            raise Refused(700024, "Client assertion is not within its valid time range.") from error
        except jwt.PyJWTError as error:
            raise Refused(number, message) from error


class Application:
    """An application, which is also one principal. Thread-safe."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self._lock = threading.Lock()
        self._secrets: set[str] = set()
        self._certificates: dict[str, RSAPublicKey] = {}
        self._federated: set[tuple[str, str, str]] = set()

    def add_secret(self, secret: str) -> None:
        """Add a client secret. Only its hash is stored."""
        with self._lock:
            self._secrets.add(_hash(secret))

    def add_certificate(self, pem: str | bytes) -> None:
        """Add an RSA certificate, whose private key can then sign in."""
        certificate = x509.load_pem_x509_certificate(pem.encode() if isinstance(pem, str) else pem)
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise TypeError("only RSA certificates sign assertions")
        with self._lock:
            for kind in (hashes.SHA1(), hashes.SHA256()):  # noqa: S303 - x5t is a SHA-1 thumbprint
                self._certificates[_base64url(certificate.fingerprint(kind))] = key

    def add_federated_credential(self, *, issuer: str, subject: str, audience: str = EXCHANGE) -> None:
        """Accept tokens of another issuer, such as those with the subject ``system:serviceaccount:ns:name``."""
        with self._lock:
            self._federated.add((issuer, subject, audience))

    def clear(self) -> None:
        """Remove all credentials."""
        with self._lock:
            self._secrets.clear()
            self._certificates.clear()
            self._federated.clear()

    def check_secret(self, secret: str) -> None:
        """Raise Refused if *secret* is not a secret of the application."""
        with self._lock:
            if _hash(secret) not in self._secrets:
                raise Refused(
                    7000215,
                    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                    f"value, not the client secret ID, for a secret added to app '{self.client_id}'.",
                )

    def check_certificate(self, assertion: Assertion, *, audiences: tuple[str, ...]) -> None:
        """Raise Refused unless one of the certificates signed *assertion* for this endpoint."""
        thumbprint = assertion.header.get("x5t#S256") or assertion.header.get("x5t") or ""
        with self._lock:
            key = self._certificates.get(thumbprint.rstrip("="))
        number, message = 700027, "The certificate used to sign the client assertion is not registered on application."
        if key is None:
            raise Refused(number, message)
        assertion.verify(key, number=number, message="Client assertion failed signature validation.")
        if assertion.claims.get("aud") not in audiences:
            raise Refused(700023, "Client assertion audience claim does not match Realm issuer.")

    def check_federated(self, assertion: Assertion, keys: Mapping[str, tuple[RSAPublicKey, ...]]) -> None:
        """Raise Refused if the issuer, subject or audience of *assertion* is not registered."""
        issuer, subject = assertion.claims.get("iss", ""), assertion.claims.get("sub", "")
        told = assertion.claims.get("aud", [])
        audiences = [told] if isinstance(told, str) else told
        with self._lock:
            known = {audience for one, other, audience in self._federated if (one, other) == (issuer, subject)}
        if not known.intersection(audiences):
            raise Refused(
                70021 if not known else 700212,
                "No matching federated identity record found for presented assertion. "
                f"Assertion Issuer: '{issuer}'. Assertion Subject: '{subject}'. "
                f"Assertion Audience: '{','.join(map(str, audiences))}'. "
                "https://learn.microsoft.com/entra/workload-id/workload-identity-federation",
                error="invalid_request" if not known else "invalid_client",
                status=400 if not known else 401,
            )
        refused: Refused | None = None
        for key in keys.get(issuer, ()):
            try:
                return assertion.verify(key, number=50013, message="Assertion failed signature validation.")
            except Refused as error:
                refused = error
        raise refused or Refused(50013, "Assertion failed signature validation.")


def public_key(key: RSAPublicKey | str | bytes | Mapping[str, Any]) -> RSAPublicKey:
    """Load a public key from PEM or a JSON Web Key, or return *key* itself."""
    if isinstance(key, Mapping):
        key = jwt.PyJWK(dict(key), algorithm="RS256").key
    elif isinstance(key, str | bytes):
        read = load_pem_public_key(key.encode() if isinstance(key, str) else key)
        return public_key(read) if isinstance(read, RSAPublicKey) else _no_rsa_key()
    return key if isinstance(key, RSAPublicKey) else _no_rsa_key()


def _no_rsa_key() -> RSAPublicKey:
    raise TypeError("only RSA keys sign assertions")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
