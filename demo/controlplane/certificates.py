"""Who may speak to the control plane: a certificate authority of its own, made anew for every run."""

from __future__ import annotations

import base64
import json
import ssl
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path

CA, SERVER, ADMIN, SIGNING_KEY = "ca.pem", "server.pem", "admin.pem", "service-account.pem"
"""The files: the latter three are private keys; see ``service_accounts`` for the last."""


def issue(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Write the files; return the TLS settings of a server that lets nobody in without a certificate, and of a client."""
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
    """Write how the admin gets to *url*; the certificates are beside the file."""
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
