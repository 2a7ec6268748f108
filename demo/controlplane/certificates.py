"""Create the certificate authority and the certificates of a control plane, new ones for each run."""

from __future__ import annotations

import base64
import json
import ssl
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path

CA, SERVER, ADMIN, SIGNING_KEY = "ca.pem", "server.pem", "admin.pem", "service-account.pem"
"""File names. All but the first contain private keys. ``service_accounts`` uses the last one."""


def issue(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Write the files. Return TLS contexts for a server that requires client certificates, and a client."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(directory / CA))
    server = ca.issue_cert("127.0.0.1", "localhost")
    admin = ca.issue_cert("admin.localhost", common_name="admin", organization_name="system:masters")
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.verify_mode = ssl.CERT_REQUIRED
    client_tls = ssl.create_default_context()
    for name, certificate, context in ((SERVER, server, server_tls), (ADMIN, admin, client_tls)):
        write_private(directory / name, certificate.private_key_and_cert_chain_pem.bytes())
        certificate.configure_cert(context)
        ca.configure_trust(context)
    return server_tls, client_tls


def write_kubeconfig(path: Path, url: str) -> None:
    """Write the admin's kubeconfig for *url*, with the certificates from the same directory."""
    ca, admin = (base64.b64encode((path.parent / name).read_bytes()).decode() for name in (CA, ADMIN))
    name = "control-plane"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": ca}}],
        "users": [{"name": "admin", "user": {"client-certificate-data": admin, "client-key-data": admin}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "admin", "namespace": "default"}}],
    }
    write_private(path, json.dumps(config, indent=2).encode())


def write_private(path: Path, data: bytes) -> None:
    path.touch(0o600)
    path.write_bytes(data)
