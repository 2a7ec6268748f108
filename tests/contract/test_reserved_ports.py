"""A reserved port stays free for its server."""

from __future__ import annotations

import contextlib
import socket

import pytest

from demo.ports import reserved_port


def test_no_port_is_reserved_twice() -> None:
    """Reservations that exist at the same time have different ports."""
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(reserved_port()) for _ in range(100)]
    assert len(set(ports)) == 100


def test_a_server_can_listen_again_and_again() -> None:
    """A server can listen on a reserved port repeatedly. In between, connections are refused."""
    with reserved_port() as port:
        for _ in range(3):
            with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port), timeout=30):
                pass
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=30)


def test_a_second_server_is_refused() -> None:
    """Two servers cannot share a reserved port."""
    with (
        reserved_port() as port,
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(OSError, match="in use"),
    ):
        socket.create_server(("127.0.0.1", port))
