"""Errors of the plugin. Each message is for the user who typed the command."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS})


class PluginError(Exception):
    """The message explains the problem and, if known, the fix."""

    @property
    def passing(self) -> bool:
        """Whether a retry may help."""
        return False


class NoAccess(PluginError):
    """Access to an API server is not configured, or the configuration does not work."""


class NoAnswer(PluginError):
    """The API server cannot be reached, or its response is unusable."""

    @property
    def passing(self) -> bool:
        """The API server may be reachable again soon."""
        return True


class NothingSelected(PluginError):
    """No watch matches the selection."""


class Refused(PluginError):
    """The API server refused the request."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code
        """The HTTP status."""

    @property
    def passing(self) -> bool:
        """Whether the error is temporary: the API server is busy or failing, or the version of a stream has expired."""
        return self.code in _PASSING or self.code >= HTTPStatus.INTERNAL_SERVER_ERROR
