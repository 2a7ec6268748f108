"""Sends webhooks: signed, to addresses that were looked at when the connection was made, and no further."""

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
"""Seconds for one attempt, from the name's resolution to the answer's headers."""
LONGEST_WAIT: Final = timedelta(minutes=15)
"""The most that a Retry-After is believed."""

_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""Refusals that are about the moment: as good as the receiver's own trouble."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Address and keys of a receiver. They are never shown."""

    address: str = field(repr=False)
    token: bytes = field(default=b"", repr=False)
    """The key that bodies are signed with."""
    bearer: str = field(default="", repr=False)
    routing_key: str = field(default="", repr=False)
    """The integration key of PagerDuty, which is part of the body."""


class RefusedAddress(OSError):
    """The connection would go where nothing is sent to."""

    def __init__(self, *_: Any) -> None:
        super().__init__("an address that nothing is sent to")


class Webhooks:
    """Posts to receivers. Proxies, cookies and ``.netrc`` of the environment have no part in it."""

    def __init__(self, settings: Settings, *, resolver: AbstractResolver | None = None) -> None:
        self._loopback = settings.development
        self._http_hosts = frozenset(host.lower().rstrip(".") for host in settings.notify_http_hosts)
        connector = aiohttp.TCPConnector(
            ssl=_tls(settings.notify_ca_file),
            limit=0,  # the dispatcher's limits are the limit
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
        """Make one attempt; 2xx is what counts. DeliveryError otherwise, which never says where it was to go."""
        url = self._check(endpoint)
        signed = {**headers, **_signatures(endpoint, body)}
        try:
            # What the receiver has to say is not read: an answer without end costs nothing.
            async with self._session.post(url, data=body, headers=signed, allow_redirects=False) as response:
                status, retry_after = response.status, response.headers.get("Retry-After")
        except aiohttp.ClientConnectorCertificateError:
            raise DeliveryFailed(
                f"The receiver's certificate is not trusted; {PREFIX}NOTIFY_CA_FILE can name its CA."
            ) from None
        except ValueError:  # aiohttp.InvalidURL; but the error before is one too
            raise DeliveryRefused("The receiver's address is no URL that can be used.") from None
        except aiohttp.ClientConnectorDNSError:
            raise DeliveryFailed("The receiver's name is not known.") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, RefusedAddress):
                raise DeliveryRefused(
                    "The receiver's address is one that nothing is sent to: loopback, link-local, metadata and the like."
                ) from None
            raise DeliveryFailed("The receiver could not be reached.") from None
        except TimeoutError:
            raise DeliveryFailed(f"The receiver did not answer within {TIMEOUT:g} seconds.") from None
        except (aiohttp.ClientError, OSError):
            raise DeliveryFailed("The connection to the receiver broke.") from None
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise _judge(status, retry_after)

    def _check(self, endpoint: Endpoint) -> URL:
        try:
            url = URL(endpoint.address, encoded=True)
            host, is_plain = (url.raw_host or "").lower().rstrip("."), url.scheme != "https"
        except ValueError:
            raise DeliveryRefused("The receiver's address is no URL that can be used.") from None
        if is_plain and host not in self._http_hosts:
            raise DeliveryRefused(
                f"Plain http is for hosts that an administrator lists ({PREFIX}NOTIFY_HTTP_HOSTS): write https."
            )
        return url

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Make the socket for the very address that is connected to, of a name or a literal, unless it is refused."""
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
        raise SettingsError(f"{PREFIX}NOTIFY_CA_FILE: write a file with certificates in PEM") from None
    return context


def _signatures(endpoint: Endpoint, body: bytes) -> dict[str, str]:
    """Sign the body for Flux (generic-hmac) and for those who check as GitHub's receivers do.

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
    message = f"The receiver answered {status}."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER:
        return DeliveryFailed(message, retry_after=wait)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        message = f"The receiver answered {status}, and redirects are not followed."
    return DeliveryRefused(message, retry_after=wait)
