"""Generated keys, certificates and tokens of Kubernetes ServiceAccounts."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

ISSUER: Final = "https://cluster.example/issuer"
EXCHANGE: Final = "api://AzureADTokenExchange"


def new_key() -> rsa.RSAPrivateKey:
    """Generate an RSA key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True, slots=True)
class ServiceAccountIssuer:
    """A cluster that signs its ServiceAccounts' tokens."""

    url: str = ISSUER
    key: rsa.RSAPrivateKey = field(default_factory=new_key, repr=False)

    @property
    def public_pem(self) -> str:
        """The public key that verifies the tokens."""
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(encoding, form).decode()

    def token(self, subject: str, *, audience: str = EXCHANGE, lifetime: float = 600, **claims: Any) -> str:
        """Sign a token of ``system:serviceaccount:namespace:name``."""
        now = int(time.time())
        about = {"iss": self.url, "sub": subject, "aud": [audience], "iat": now, "exp": now + int(lifetime)}
        return jwt.encode(about | claims, self.key, algorithm="RS256", headers={"kid": "key-1"})


def new_certificate(name: str = "backupjobwatch") -> tuple[str, str]:
    """Return a self-signed certificate as PEM, with its private key as in a Secret, and alone."""
    key, now = new_key(), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    dated = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = dated.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode() + certificate, certificate
