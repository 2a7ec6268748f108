"""Webhook requests are signed and reach only the receiver, even if the receiver misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from backupjobwatch.errors import DeliveryFailed, DeliveryRefused, SettingsError
from backupjobwatch.notify.webhook import Endpoint, Webhooks
from backupjobwatch.settings import Settings
from demo.ports import reserved_port
from tests.support.canary import WORD
from tests.support.receiver import Receiver, ReconcileResult, flux_accepts, github_accepts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.movable_loop import MovableLoop

KEY = f"signing-key-{WORD}".encode()
HEADERS = {"Content-Type": "application/json"}
BODY = json.dumps({"message": "größe 資"}, ensure_ascii=False).encode()


@contextlib.asynccontextmanager
async def webhooks(resolver: AbstractResolver | None = None, **options: Any) -> AsyncIterator[Webhooks]:
    """Open a sender that may reach this machine over plain HTTP, unless *options* say otherwise."""
    settings = Settings(**{"development": True, "notify_http_hosts": "127.0.0.1,localhost,rebound.test", **options})
    sender = Webhooks(settings, resolver=resolver)
    try:
        yield sender
    finally:
        await sender.close()


async def refusal(sender: Webhooks, address: str) -> str:
    with pytest.raises(DeliveryRefused) as refused:
        await sender.post(Endpoint(address), HEADERS, BODY)
    assert not any(part in str(refused.value) for part in address.split("/") if len(part) > 6), "it names the address"
    return str(refused.value)


async def test_signatures() -> None:
    """Flux (generic-hmac) and GitHub receivers accept the signature with the right key only."""
    async with Receiver() as receiver, webhooks() as sender:
        await sender.post(Endpoint(receiver.url, KEY, f"bearer-{WORD}"), HEADERS, BODY)
        await sender.post(Endpoint(receiver.url), HEADERS, BODY)
    signed, bare = receiver.deliveries
    assert signed.body == bare.body == BODY
    assert signed.headers["Authorization"] == f"Bearer bearer-{WORD}"
    assert signed.headers["User-Agent"].startswith("backupjobwatch/")
    assert flux_accepts(signed, KEY)
    assert github_accepts(signed, KEY)
    assert not flux_accepts(signed, b"another")
    assert not github_accepts(signed, b"another")
    assert not {"X-Signature", "X-Hub-Signature-256", "Authorization"} & bare.headers.keys()


async def test_address_as_it_is_written() -> None:
    """Path and query arrive unchanged, because they can contain digests and signatures."""
    async with Receiver() as receiver, webhooks() as sender:
        path = "/hook/%2Fa%20b/c;d?sig=a%2Bb+c&x=%E4&y=[1]"
        await sender.post(Endpoint(receiver.url.replace("/hook", path)), HEADERS, BODY)
    assert receiver.deliveries[0].path == path


@pytest.mark.parametrize(
    ("step", "kind", "words"),
    [
        (500, DeliveryFailed, "responded with 500"),
        (503, DeliveryFailed, "responded with 503"),
        (408, DeliveryFailed, "responded with 408"),
        (425, DeliveryFailed, "responded with 425"),
        ((429, "120"), DeliveryFailed, "responded with 429"),
        (400, DeliveryRefused, "responded with 400"),
        (401, DeliveryRefused, "responded with 401"),
        (404, DeliveryRefused, "responded with 404"),
        (410, DeliveryRefused, "responded with 410"),
        ("reset", DeliveryFailed, "interrupted"),
    ],
    ids=repr,
)
async def test_refusals(step: ReconcileResult, kind: type[Exception], words: str) -> None:
    """A temporary error raises DeliveryFailed, and a permanent one DeliveryRefused."""
    async with Receiver() as receiver, webhooks() as sender:
        receiver.answer(step)
        with pytest.raises(kind, match=words) as refused:
            await sender.post(Endpoint(receiver.url), HEADERS, BODY)
    assert "own words" not in str(refused.value)
    assert len(receiver.deliveries) == 1


@pytest.mark.parametrize(("value", "seconds"), [("120", 120), ("999999", 900), ("soon", None), ("-5", 0)])
async def test_retry_after(value: str, seconds: float | None) -> None:
    """The sender respects Retry-After up to 15 minutes."""
    async with Receiver() as receiver, webhooks() as sender:
        receiver.answer((503, value))
        with pytest.raises(DeliveryFailed) as refused:
            await sender.post(Endpoint(receiver.url), HEADERS, BODY)
    wait = refused.value.retry_after
    assert (None if wait is None else wait.total_seconds()) == seconds


@pytest.mark.parametrize("step", [200, 201, 202, 204, 299])
async def test_success(step: int) -> None:
    """Any 2xx response is a successful delivery."""
    async with Receiver() as receiver, webhooks() as sender:
        receiver.answer(step)
        await sender.post(Endpoint(receiver.url), HEADERS, BODY)


async def test_redirects_are_not_followed() -> None:
    """The sender follows no redirect, so that no other host gets the event or the keys."""
    async with Receiver() as receiver, Receiver() as other, webhooks() as sender:
        receiver.answer(other.url)
        with pytest.raises(DeliveryRefused, match="redirects are not followed"):
            await sender.post(Endpoint(receiver.url, KEY, "bearer"), HEADERS, BODY)
        assert other.deliveries == []


async def test_an_answer_without_end() -> None:
    """The sender does not read the body of a response."""
    async with Receiver() as receiver, webhooks() as sender:
        receiver.answer("endless")
        began = time.monotonic()
        await sender.post(Endpoint(receiver.url), HEADERS, BODY)
        assert time.monotonic() - began < 30


async def test_no_answer() -> None:
    """An attempt times out after 10 s."""
    loop: MovableLoop = asyncio.get_running_loop()  # type: ignore[assignment]
    async with Receiver() as receiver, webhooks() as sender:
        receiver.answer("hang")
        attempt = asyncio.create_task(sender.post(Endpoint(receiver.url), HEADERS, BODY))
        await receiver.received(1)
        loop.advance(11)
        with pytest.raises(DeliveryFailed, match="did not respond within 10 seconds"):
            await attempt


async def test_an_unreachable_receiver() -> None:
    """A closed port and an unknown host name are temporary errors."""
    async with webhooks(notify_http_hosts="127.0.0.1,no-such-host.invalid") as sender:
        with reserved_port() as closed, pytest.raises(DeliveryFailed, match="could not be reached"):
            await sender.post(Endpoint(f"http://127.0.0.1:{closed}/{WORD}"), HEADERS, BODY)
        with pytest.raises(DeliveryFailed, match="host name could not be resolved"):
            await sender.post(Endpoint(f"http://no-such-host.invalid/{WORD}"), HEADERS, BODY)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0"])
async def test_this_machine_is_refused(host: str) -> None:
    """The sender refuses loopback addresses in any notation, because it checks the resolved address."""
    async with Receiver() as receiver, webhooks(development=False, notify_http_hosts=host) as sender:
        url = f"http://{host}:{receiver.port}/hook"
        assert "The receiver's address is" in await refusal(sender, url)
        assert receiver.deliveries == []


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "168.63.129.16", "[::ffff:169.254.169.254]", "[fe80::1]", "[::]", "0.0.0.0"]
)
async def test_metadata_is_refused(host: str) -> None:
    """The sender refuses metadata and link-local addresses, even in development and over HTTPS."""
    async with webhooks() as sender:
        for scheme in ("https", "http"):
            async with webhooks(notify_http_hosts=host.strip("[]")) as plain:
                text = await refusal(sender if scheme == "https" else plain, f"{scheme}://{host}/latest")
                assert "address is not allowed" in text


class Rebound(AbstractResolver):
    """A resolver that returns another answer each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        addresses = self.answers.pop(0)
        return [
            ResolveResult(hostname=host, host=each, port=port, family=socket.AF_INET, proto=0, flags=0)
            for each in addresses
        ]

    async def close(self) -> None:
        pass


async def test_rebinding() -> None:
    """The sender resolves the host for each request and connects only to an address that it checked."""
    resolver = Rebound(["127.0.0.1"], ["169.254.169.254"], ["169.254.169.254", "127.0.0.1"])
    async with Receiver() as receiver, webhooks(resolver) as sender:
        url = f"http://rebound.test:{receiver.port}/hook"
        await sender.post(Endpoint(url), HEADERS, BODY)
        assert "address is not allowed" in await refusal(sender, url)
        await sender.post(Endpoint(url), HEADERS, BODY)  # uses the allowed one of two addresses
    assert len(receiver.deliveries) == 2


async def test_a_slow_name_server() -> None:
    """The sender does not resolve names in the default executor, so that other tasks cannot block it."""
    busy = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        threads.submit(busy.wait)
        async with Receiver() as receiver, webhooks() as sender:
            try:
                await sender.post(Endpoint(receiver.url.replace("127.0.0.1", "localhost")), HEADERS, BODY)
            finally:
                busy.set()
    assert len(receiver.deliveries) == 1


@pytest.mark.parametrize("address", ["http://hooks.example.com/x", "http://10.0.0.1/x", "http://localhost.evil.test/"])
async def test_plain_http_is_for_listed_hosts(address: str) -> None:
    """The sender refuses plain HTTP to hosts that are not listed."""
    async with webhooks() as sender:
        assert "BACKUPJOBWATCH_NOTIFY_HTTP_HOSTS" in await refusal(sender, address)


async def test_plain_http_to_a_host_in_punycode() -> None:
    """A listed host matches the address literally, also in Punycode."""
    async with (
        Receiver() as receiver,
        webhooks(Rebound(["127.0.0.1"]), notify_http_hosts="xn--bcher-kva.test") as sender,
    ):
        await sender.post(Endpoint(f"http://xn--bcher-kva.test:{receiver.port}/hook"), HEADERS, BODY)
    assert len(receiver.deliveries) == 1


@pytest.mark.parametrize("address", ["https://h:99999/x", "https://[::1/", "https://"])
async def test_no_url(address: str) -> None:
    """The sender refuses malformed URLs that the schema accepts."""
    async with webhooks() as sender:
        await refusal(sender, address)


async def test_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender ignores the proxy variables, because a proxy would choose the address."""
    async with Receiver() as proxy, Receiver() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with webhooks() as sender:
            await sender.post(Endpoint(receiver.url), HEADERS, BODY)
        assert proxy.deliveries == []
        assert len(receiver.deliveries) == 1


async def test_certificates(tmp_path: Path) -> None:
    """The sender delivers only to a trusted certificate, or to one of the configured CA."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    async with Receiver(tls=tls) as receiver:
        async with webhooks() as sender:
            with pytest.raises(DeliveryFailed, match="BACKUPJOBWATCH_NOTIFY_CA_FILE"):
                await sender.post(Endpoint(receiver.url), HEADERS, BODY)
        assert receiver.deliveries == []
        async with webhooks(notify_ca_file=str(ca_file)) as sender:
            await sender.post(Endpoint(receiver.url), HEADERS, BODY)
    assert len(receiver.deliveries) == 1


@pytest.mark.parametrize("text", [None, "no certificate"])
async def test_no_certificates(tmp_path: Path, text: str | None) -> None:
    """An unusable CA file raises SettingsError."""
    ca_file = tmp_path / "ca.pem"
    if text:
        ca_file.write_text(text)
    with pytest.raises(SettingsError, match="BACKUPJOBWATCH_NOTIFY_CA_FILE"):
        async with webhooks(notify_ca_file=str(ca_file)):
            pass


async def test_nothing_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the log nor the endpoint's repr contains the address or a key."""
    caplog.set_level(logging.DEBUG)
    endpoint = Endpoint(f"http://127.0.0.1:1/{WORD}", KEY, f"bearer-{WORD}")
    async with webhooks() as sender:
        with pytest.raises(DeliveryFailed):
            await sender.post(endpoint, HEADERS, BODY)
    assert WORD not in caplog.text + repr(endpoint)
