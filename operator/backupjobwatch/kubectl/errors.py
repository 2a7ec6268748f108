"""Why a command at a terminal cannot do what it was asked. Each message is for who typed it.

PluginError
├─ NoAccess     no way to an API server is configured, or it does not work
├─ NoAnswer     the API server cannot be reached, or did not answer as it should
└─ Refused      the API server said no
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS})


class PluginError(Exception):
    """The message says what is the matter and, where that is known, what to do."""

    @property
    def passing(self) -> bool:
        """Whether asking again later may help."""
        return False


class NoAccess(PluginError):
    """No way to an API server is configured, or what is configured does not work."""


class NoAnswer(PluginError):
    """The API server cannot be reached, or did not answer as it should."""

    @property
    def passing(self) -> bool:
        """It may be back."""
        return True


class Refused(PluginError):
    """The API server said no."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code
        """HTTP's."""

    @property
    def passing(self) -> bool:
        """Whether it is busy, broken for now, or has forgotten where a stream was."""
        return self.code in _PASSING or self.code >= HTTPStatus.INTERNAL_SERVER_ERROR
