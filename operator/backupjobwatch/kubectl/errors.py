"""Errors of the plugin. Each message is for the user who typed the command."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS})


class PluginError(Exception):
    """The message explains the problem and, if known, the fix."""

    passing = False
    """Whether a retry may help."""


class NoAccess(PluginError):
    """Access to an API server is not configured, or the configuration does not work."""


class NoAnswer(PluginError):
    """The API server cannot be reached, or its response is unusable."""

    passing = True


class NothingSelected(PluginError):
    """No watch matches the selection."""


class Refused(PluginError):
    """The API server refused the request.

    A retry may help if the API server is busy or failing, or if the version of a stream has expired.
    """

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code
        """The HTTP status."""
        self.passing = code in _PASSING or code >= HTTPStatus.INTERNAL_SERVER_ERROR
