"""Ports for servers of the tests in other processes."""

from __future__ import annotations

import contextlib
import random
import socket


def free_port() -> int:
    """Return a free port outside the kernel's range of ephemeral ports.

    A port of that range could be taken by a connection before the server starts.
    """
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("", port))
            return port
