"""Bearer tokens, their principals and their refusals."""

import base64
import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.simulator import errors
from demo.simulator.messages import Answer

TENANT_ID = "7e4a0000-5e1f-4000-8000-000000000000"

_Refusal = Callable[[], Answer]


class Tokens:
    """The issued tokens, each with its principal. Thread-safe."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._principals = dict(tokens)
        self._refusals: dict[str, _Refusal] = {}
        self._ends: dict[str, float] = {}

    def add(self, token: str, principal: str, *, lifetime: float | None = None) -> None:
        """Accept *token* for *principal*, even if it was refused before. *lifetime* is in seconds."""
        with self._lock:
            self._principals[token] = principal
            self._refusals.pop(token, None)
            self._ends.pop(token, None)
            if lifetime is not None:
                self._ends[token] = time.monotonic() + lifetime

    def remove(self, token: str) -> None:
        """Remove a token, so that it is invalid."""
        with self._lock:
            del self._principals[token]

    def expire(self, token: str) -> None:
        """Refuse a token as expired from now on."""
        with self._lock:
            self._refusals[token] = expired

    def revoke(self, token: str, *, claims: Mapping[str, Any] | None = None) -> None:
        """Refuse a token from now on. With *claims*, require a new token with these claims."""
        encoded = None if claims is None else encoded_claims(claims)
        with self._lock:
            self._refusals[token] = (
                errors.invalid_token if encoded is None else lambda: errors.insufficient_claims(encoded)
            )

    def principal(self, authorization: str | None) -> str | None:
        """Return the principal of the token in the header, even if the token is refused."""
        token = _bearer_token(authorization)
        with self._lock:
            return None if token is None else self._principals.get(token)

    def refusal(self, authorization: str | None) -> Answer | None:
        """Return the refusal of an ``Authorization`` header, or None if it is valid."""
        if not authorization:
            return errors.missing_token()
        token = _bearer_token(authorization)
        with self._lock:
            if token is None or token not in self._principals:
                return errors.invalid_token()
            over = self._ends.get(token, math.inf) <= time.monotonic()
            refuse = self._refusals.get(token, expired if over else None)
        return None if refuse is None else refuse()


def expired() -> Answer:
    """Return the 401 for a token that expired a few seconds ago."""
    now = datetime.now(UTC)
    return errors.expired_token(expiry=_us_time(now - timedelta(seconds=11)), now=_us_time(now), tenant=TENANT_ID)


def encoded_claims(claims: Mapping[str, Any]) -> str:
    """Encode a claims challenge for ``WWW-Authenticate``: base64url without padding."""
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


def _bearer_token(authorization: str | None) -> str | None:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.casefold() == "bearer" else None


def _us_time(moment: datetime) -> str:
    """Format a time as in the message for expired tokens: ``3/4/2026 8:55:46 AM``."""
    hour, half = moment.hour % 12 or 12, "AM" if moment.hour < 12 else "PM"  # noqa: PLR2004
    return f"{moment.month}/{moment.day}/{moment.year} {hour}:{moment:%M:%S} {half}"
