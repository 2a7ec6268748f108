"""Ports for servers that start later or in another process."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """Reserve a free TCP port until exit. Until a server listens on it, connections are refused.

    The reserving socket is bound and does not listen. Linux therefore gives the port to no connection and to no other
    reservation, but lets one server listen on it that sets SO_REUSEADDR. Servers of Python and Go set it.
    Source: socket(7), SO_REUSEADDR.
    """
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", 0))
        yield sock.getsockname()[1]
