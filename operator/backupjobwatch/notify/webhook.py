"""Sends signed webhooks. Checks the address of each connection, and follows no redirects."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from yarl import URL

from backupjobwatch import __version__
from backupjobwatch.constants import CONTROLLER
from backupjobwatch.domain.api.addresses import is_refused
from backupjobwatch.domain.jobs.times import parse_retry_after
from backupjobwatch.errors import DeliveryError, DeliveryFailed, DeliveryRefused, SettingsError
from backupjobwatch.notify.resolver import Resolver
from backupjobwatch.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.abc import AbstractResolver

    from backupjobwatch.settings import Settings

TIMEOUT: Final = 10.0
"""Seconds for one attempt, from the name resolution to the headers of the response."""
LONGEST_WAIT: Final = timedelta(minutes=15)
"""Maximum Retry-After that is respected."""

_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""4xx statuses that are temporary, and retried like failures of the receiver."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Address and keys of a receiver. No message or log contains them."""

    address: str = field(repr=False)
    token: bytes = field(default=b"", repr=False)
    """The key that signs bodies."""
    bearer: str = field(default="", repr=False)
    routing_key: str = field(default="", repr=False)
    """The integration key of PagerDuty, which is part of the body."""


class RefusedAddress(OSError):
    """The address of the connection is not allowed."""

    def __init__(self, *_: Any) -> None:
        super().__init__("an address that is not allowed")


class Webhooks:
    """Sends POST requests to receivers. Ignores proxies, cookies and ``.netrc``."""

    def __init__(self, settings: Settings, *, resolver: AbstractResolver | None = None) -> None:
        self._loopback = settings.development
        self._http_hosts = frozenset(host.lower().rstrip(".") for host in settings.notify_http_hosts)
        connector = aiohttp.TCPConnector(
            ssl=_tls(settings.notify_ca_file),
            limit=0,  # the dispatcher limits the concurrency
            force_close=True,
            resolver=resolver or Resolver(),
            use_dns_cache=False,
            socket_factory=self._socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            headers={"User-Agent": f"{CONTROLLER}/{__version__}"},
            trust_env=False,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def post(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> None:
        """Make one attempt. Raises DeliveryError, which never contains the address, unless the status is 2xx."""
        url = self._check(endpoint)
        signed = {**headers, **_signatures(endpoint, body)}
        try:
            # The body of the response is not read, so an endless body costs nothing.
            async with self._session.post(url, data=body, headers=signed, allow_redirects=False) as response:
                status, retry_after = response.status, response.headers.get("Retry-After")
        except aiohttp.ClientConnectorCertificateError:
            raise DeliveryFailed(
                f"The receiver's certificate is not trusted. Add its CA to {PREFIX}NOTIFY_CA_FILE."
            ) from None
        except ValueError:  # aiohttp.InvalidURL is a ValueError
            raise DeliveryRefused("The receiver's address is not a valid URL.") from None
        except aiohttp.ClientConnectorDNSError:
            raise DeliveryFailed("The receiver's host name could not be resolved.") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, RefusedAddress):
                raise DeliveryRefused(
                    "The receiver's address is not allowed: loopback, link-local, a metadata service or similar."
                ) from None
            raise DeliveryFailed("The receiver could not be reached.") from None
        except TimeoutError:
            raise DeliveryFailed(f"The receiver did not respond within {TIMEOUT:g} seconds.") from None
        except (aiohttp.ClientError, OSError):
            raise DeliveryFailed("The connection to the receiver was interrupted.") from None
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise _judge(status, retry_after)

    def _check(self, endpoint: Endpoint) -> URL:
        try:
            url = URL(endpoint.address, encoded=True)
            host, is_plain = (url.raw_host or "").lower().rstrip("."), url.scheme != "https"
        except ValueError:
            raise DeliveryRefused("The receiver's address is not a valid URL.") from None
        if is_plain and host not in self._http_hosts:
            raise DeliveryRefused(f"Plain http is allowed only for hosts in {PREFIX}NOTIFY_HTTP_HOSTS. Use https.")
        return url

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Create the socket for the resolved or literal address. Raises RefusedAddress if it is not allowed."""
        family, kind, protocol, _, sockaddr = address
        if is_refused(str(sockaddr[0]), loopback=self._loopback):
            raise RefusedAddress
        return socket.socket(family, kind, protocol)


def _tls(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        if ca_file:
            context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise SettingsError(f"{PREFIX}NOTIFY_CA_FILE: must be a PEM file of CA certificates, got {ca_file}") from None
    return context


def _signatures(endpoint: Endpoint, body: bytes) -> dict[str, str]:
    """Sign the body for Flux (generic-hmac), and for receivers that verify signatures like GitHub's.

    https://fluxcd.io/flux/components/notification/receivers/#generic-hmac,
    https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    """
    headers = {}
    if endpoint.token:
        signature = f"sha256={hmac.new(endpoint.token, body, hashlib.sha256).hexdigest()}"
        headers = {"X-Signature": signature, "X-Hub-Signature-256": signature}
    if endpoint.bearer:
        headers["Authorization"] = f"Bearer {endpoint.bearer}"
    return headers


def _judge(status: int, retry_after: str | None) -> DeliveryError:
    wait = parse_retry_after(retry_after, now=datetime.now(UTC), limit=LONGEST_WAIT)
    message = f"The receiver responded with {status}."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER:
        return DeliveryFailed(message, retry_after=wait)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        message = f"The receiver responded with {status}, and redirects are not followed."
    return DeliveryRefused(message, retry_after=wait)
