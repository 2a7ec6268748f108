"""Deliver responses over broken connections."""

import asyncio
import socket
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from demo.simulator.messages import Answer

_CHUNK = 64 * 1024
_FLOOD_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pause:
    """Send nothing for some seconds of real time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reset:
    """Drop the connection with a TCP RST, without sending the buffered data."""


Delivery = Callable[[Answer], Iterator[bytes | Pause | Reset]]
"""Splits a response into bytes to send, pauses and resets. The connection is closed at the end."""


def reset(_: Answer) -> Iterator[bytes | Pause | Reset]:
    """Send nothing, and reset the connection."""
    yield Reset()


def hang_up(_: Answer) -> Iterator[bytes | Pause | Reset]:
    """Send nothing, and close the connection."""
    yield b""


def cut(after: int | None) -> Delivery:
    """Close the connection after *after* bytes of the body, by default half of them."""

    def deliver(answer: Answer) -> Iterator[bytes | Pause | Reset]:
        yield head(answer)
        yield answer.body[: len(answer.body) // 2 if after is None else after]

    return deliver


def drip_body(interval: float) -> Delivery:
    """Send the head immediately, then one byte of the body every *interval* seconds."""

    def deliver(answer: Answer) -> Iterator[bytes | Pause | Reset]:
        yield head(answer)
        yield from _drip(answer.body, interval)

    return deliver


def drip_headers(interval: float) -> Delivery:
    """Send the whole response byte by byte, from the status line on."""

    def deliver(answer: Answer) -> Iterator[bytes | Pause | Reset]:
        yield from _drip(head(answer) + answer.body, interval)

    return deliver


def wrong_length(difference: int) -> Delivery:
    """Send the whole body, with a Content-Length that is wrong by *difference*."""

    def deliver(answer: Answer) -> Iterator[bytes | Pause | Reset]:
        yield head(answer, {"Content-Length": str(max(len(answer.body) + difference, 0))})
        yield answer.body

    return deliver


def huge(size: int, *, declared: bool) -> Delivery:
    """Send valid JSON of *size* bytes, without a Content-Length unless *declared*."""

    def deliver(answer: Answer) -> Iterator[bytes | Pause | Reset]:
        yield head(answer, {"Content-Length": str(size)} if declared else {}, length=declared)
        yield from _json_of(size)

    return deliver


def gzip_bomb(size: int) -> Delivery:
    """Send a small body that decompresses to *size* bytes."""

    def deliver(answer: Answer) -> Iterator[bytes | Pause | Reset]:
        packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        packed = b"".join([*(packer.compress(chunk) for chunk in _json_of(size)), packer.flush()])
        yield head(answer, {"Content-Encoding": "gzip", "Content-Length": str(len(packed))})
        yield packed

    return deliver


def head(answer: Answer, headers: Mapping[str, str] | None = None, *, length: bool = True) -> bytes:
    """Return the status line and the headers."""
    fields = {
        **answer.headers,
        **({"Content-Length": str(len(answer.body))} if length else {}),
        **(headers or {}),
        "Connection": "close",
    }
    status = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"
    return "\r\n".join([status, *(f"{name}: {value}" for name, value in fields.items()), "", ""]).encode("latin-1")


async def send(request: web.BaseRequest, delivery: Delivery, answer: Answer) -> None:
    """Write to the transport, because aiohttp would correct the response, and close the connection."""
    transport = request.transport
    for piece in delivery(answer):
        if transport is None or transport.is_closing():
            return
        match piece:
            case Pause():
                await asyncio.sleep(piece.seconds)
            case Reset():
                _reset(transport)
            case bytes():
                transport.write(piece)
                # Poll the write buffer: flow control callbacks go to aiohttp's protocol.
                while transport.get_write_buffer_size() > _FLOOD_LIMIT and not transport.is_closing():  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
    if transport is not None:
        transport.close()  # after it sends the buffered data


def _reset(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # makes close() send RST
    transport.abort()


def _drip(data: bytes, interval: float) -> Iterator[bytes | Pause]:
    for byte in data:
        yield Pause(interval)
        yield bytes([byte])


def _json_of(size: int) -> Iterator[bytes]:
    opening, closing = b'{"properties":{"status":"InProgress","padding":"', b'"}}'
    yield opening
    remaining = max(size - len(opening) - len(closing), 0)
    while remaining:
        chunk = min(remaining, _CHUNK)
        yield b"x" * chunk
        remaining -= chunk
    yield closing
