"""HTTP to Azure with ``requests``, plus a deadline for the whole request and a limit for the size of the response.

A timeout of ``requests`` limits one wait for bytes, so a server that sends single bytes could block a thread for hours.
Here a timer shuts down the connection's socket at the request's deadline, which ends any wait on it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError
from urllib3.exceptions import ProxyError as Urllib3ProxyError
from urllib3.exceptions import SSLError as Urllib3SSLError

from backupjobwatch.arm.allowed_requests import is_allowed
from backupjobwatch.arm.responses import Response
from backupjobwatch.errors import AzureUnavailable, SettingsError, UnexpectedResponse
from backupjobwatch.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backupjobwatch.settings import Settings

MAX_BODY: Final = 4 * 1024 * 1024
"""Maximum size of a decompressed response in bytes. A job with thousands of tasks has a few hundred thousand."""

WRITE_TIMEOUT: Final = 70.0
"""Seconds. Azure Resource Manager ends a request after 60. Not a setting: a longer write could still run during recovery."""


class _Deadline:
    """The deadline of one request."""

    def __init__(self) -> None:
        self.passed = False
        self.is_sent = False
        """Whether any part of the request may have been sent."""
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def guard(self, sock: socket.socket | None) -> None:
        """Shut down *sock* at the deadline, even if its connection object no longer exists."""
        with self._lock:
            self._socket = sock
            if self.passed:
                self._shut_down()

    def pass_(self) -> None:
        with self._lock:
            self.passed = True
            self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # SSLSocket.shutdown() would also drop the TLS session that another thread still reads from.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_deadline: ContextVar[_Deadline | None] = ContextVar("_deadline", default=None)


class _Guarded(HTTPConnection):
    """A connection that applies the deadline of the current request to its socket."""

    def connect(self) -> None:
        try:
            super().connect()
        finally:
            if (deadline := _deadline.get()) is not None:
                deadline.is_sent = False  # what a proxy received is not the request
        self._guard()

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if (deadline := _deadline.get()) is not None:
            deadline.is_sent = True
        super().send(data)

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._guard()  # for a connection that comes from the pool
        super().request(*args, **kwargs)

    def _guard(self) -> None:
        deadline = _deadline.get()
        if deadline is not None:
            deadline.guard(self.sock)


class _GuardedHTTPS(_Guarded, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Guarded


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPS


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _HTTPSPool}


class Transport:
    """Sends requests to one host from any number of threads. It never follows a redirect and never repeats a request."""

    def __init__(self, settings: Settings) -> None:
        self._endpoint = settings.azure_endpoint
        self._timeouts = (
            settings.azure_connect_timeout.total_seconds(),
            settings.azure_read_timeout.total_seconds(),
        )
        self._total = settings.azure_total_timeout.total_seconds()
        self.write_timeout = WRITE_TIMEOUT
        """Seconds for a whole write."""
        self._under_way: set[_Deadline] = set()
        self._is_closed = False
        _check_ca_file("AZURE_CA_FILE", settings.azure_ca_file)
        _check_ca_file("AZURE_AUTHORITY_CA_FILE", settings.azure_authority_ca_file)
        self._settings = settings
        self._session = _session(settings)

    def send(
        self,
        path: str,
        *,
        query: str,
        headers: Mapping[str, str],
        token: str,
        body: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request for *path* (percent-encoded, absolute) that only reads: a GET, or with *body* a POST of JSON.

        Raises AzureUnavailable without a complete response in time, and UnexpectedResponse if it is too long, or if
        the operator does not send such requests.
        """
        method = "GET" if body is None else "POST"
        request = requests.Request(method, self._url(path, query), headers=dict(headers), json=body)
        return self._send(self._session, request, token, timeouts=self._timeouts, total=self._total)

    def write(
        self, path: str, *, query: str, headers: Mapping[str, str], token: str, body: Mapping[str, Any]
    ) -> Response:
        """Send a POST request with JSON that changes something in Azure. Raises as ``send`` does.

        Azure Resource Manager ends it after 60 s, and its answer is worth the wait.
        """
        request = requests.Request("POST", self._url(path, query), headers=dict(headers), json=body)
        timeouts = (self._timeouts[0], self.write_timeout)
        # Not a pooled connection: the other end may close it just when it is used.
        with _session(self._settings) as session:
            return self._send(session, request, token, timeouts=timeouts, total=self.write_timeout)

    def _url(self, path: str, query: str) -> str:
        url = f"{self._endpoint}{path}?{query}"
        if urlsplit(url)[:2] != urlsplit(self._endpoint)[:2]:
            raise ValueError("the path of a request must not change its host")
        return url

    def _send(
        self,
        session: requests.Session,
        request: requests.Request,
        token: str,
        *,
        timeouts: tuple[float, float],
        total: float,
    ) -> Response:
        """Send *request* once."""
        if not is_allowed(request.method or "", urlsplit(request.url or "").path):
            raise UnexpectedResponse("The operator does not send this request to Azure.")
        request.headers["Authorization"] = f"Bearer {token}"
        with self._time_limit(total) as deadline:
            try:
                with session.send(
                    session.prepare_request(request),
                    timeout=timeouts,
                    allow_redirects=False,
                    stream=True,
                    proxies=session.proxies,
                    verify=session.verify,
                ) as response:
                    body = response.raw.read(MAX_BODY + 1, decode_content=True)
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                # urllib3 raises a ValueError for a negative chunk size.
                if not deadline.passed:
                    message = f"Azure could not be reached: {describe_connection_error(error)}."
                    raise _unavailable(message, deadline) from error
            # Check this last: a response that was cut off can look complete.
            if deadline.passed:
                raise _unavailable(f"Azure sent no complete response within {total:g}s.", deadline)
        if len(body) > MAX_BODY:
            raise UnexpectedResponse(f"Azure's response is larger than {MAX_BODY // 1024**2} MiB.")
        return Response(status=response.status_code, headers=response.headers, body=body)

    def close(self) -> None:
        """Close all connections. Requests end at once, also those that begin now: the process would wait for their threads."""
        self._is_closed = True
        for deadline in tuple(self._under_way):
            deadline.pass_()
        self._session.close()

    @contextlib.contextmanager
    def _time_limit(self, total: float) -> Iterator[_Deadline]:
        deadline = _Deadline()
        timer = threading.Timer(total, deadline.pass_)
        timer.daemon = True
        timer.start()
        token = _deadline.set(deadline)
        self._under_way.add(deadline)
        if self._is_closed:
            deadline.pass_()
        try:
            yield deadline
        finally:
            self._under_way.discard(deadline)
            timer.cancel()
            _deadline.reset(token)


def _session(settings: Settings) -> requests.Session:
    session = requests.Session()
    # Ignore the environment: its proxies would receive the token, and its .netrc would replace it.
    session.trust_env = False
    session.proxies = settings.proxies
    adapter = _Adapter(pool_maxsize=settings.azure_connections, pool_block=True)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.verify = settings.azure_ca_file or True
    return session


def _unavailable(message: str, deadline: _Deadline) -> AzureUnavailable:
    error = AzureUnavailable(message)
    error.was_sent = deadline.is_sent
    return error


def _check_ca_file(name: str, path: str) -> None:
    """Raise SettingsError for an unusable file: otherwise each request would fail as if Azure were down."""
    try:
        if path:
            ssl.create_default_context(cafile=path)
    except OSError as error:
        reason = error.strerror or "it contains no certificates"
        raise SettingsError(f"{PREFIX}{name} must be a PEM file of CA certificates, got {path!r}: {reason}") from None


_CUT: Final = "the connection failed or was closed"
_WORDS: Final[Mapping[type[BaseException] | tuple[type[BaseException], ...], str]] = {
    NameResolutionError: "the name of its host could not be resolved",
    NewConnectionError: _CUT,  # before ConnectTimeoutError, its base class
    (requests.ConnectTimeout, ConnectTimeoutError): "the connection timed out",
    requests.ReadTimeout: "the response timed out",
    (requests.exceptions.SSLError, Urllib3SSLError, ssl.SSLError): "its TLS certificate or handshake was rejected "
    "(BACKUPJOBWATCH_AZURE_CA_FILE)",
    (requests.exceptions.ProxyError, Urllib3ProxyError): "the proxy refused the connection",
}


def describe_connection_error(*errors: BaseException) -> str:
    """Describe *errors*, a chain of causes, without addresses and URLs: many users may read a status."""
    reasons = (getattr(argument, "reason", None) for error in errors for argument in error.args)
    causes = [*errors, *filter(None, reasons)]
    for kind, words in _WORDS.items():
        if any(isinstance(cause, kind) for cause in causes):
            return words
    return _CUT
