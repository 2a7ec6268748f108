"""Bearer tokens: whom they name, and how they are refused."""

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
    """The tokens that were issued, each for a principal; may be changed from any thread."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._principals = dict(tokens)
        self._refusals: dict[str, _Refusal] = {}
        self._ends: dict[str, float] = {}

    def add(self, token: str, principal: str, *, lifetime: float | None = None) -> None:
        """Accept *token* as that of *principal*, also where it was refused before; for *lifetime* seconds."""
        with self._lock:
            self._principals[token] = principal
            self._refusals.pop(token, None)
            self._ends.pop(token, None)
            if lifetime is not None:
                self._ends[token] = time.monotonic() + lifetime

    def remove(self, token: str) -> None:
        """Forget a token: it is as wrong as any other text then."""
        with self._lock:
            del self._principals[token]

    def expire(self, token: str) -> None:
        """Refuse a token from now on because its time is over."""
        with self._lock:
            self._refusals[token] = expired

    def revoke(self, token: str, *, claims: Mapping[str, Any] | None = None) -> None:
        """Refuse a token from now on; with *claims*, challenge for a token that carries them."""
        encoded = None if claims is None else encoded_claims(claims)
        with self._lock:
            self._refusals[token] = (
                errors.invalid_token if encoded is None else lambda: errors.insufficient_claims(encoded)
            )

    def principal(self, authorization: str | None) -> str | None:
        """Name the one whose token the header holds, refused or not."""
        token = _bearer_token(authorization)
        with self._lock:
            return None if token is None else self._principals.get(token)

    def refusal(self, authorization: str | None) -> Answer | None:
        """Answer for a request whose ``Authorization`` header will not do; None when it will."""
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
    """Refuse a token that ended some seconds ago."""
    now = datetime.now(UTC)
    return errors.expired_token(expiry=_us_time(now - timedelta(seconds=11)), now=_us_time(now), tenant=TENANT_ID)


def encoded_claims(claims: Mapping[str, Any]) -> str:
    """Encode a claims challenge as it stands in ``WWW-Authenticate``: base64url, unpadded."""
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


def _bearer_token(authorization: str | None) -> str | None:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.casefold() == "bearer" else None


def _us_time(moment: datetime) -> str:
    """Write a time as the message of an expired token does: ``3/4/2026 8:55:46 AM``."""
    hour, half = moment.hour % 12 or 12, "AM" if moment.hour < 12 else "PM"  # noqa: PLR2004
    return f"{moment.month}/{moment.day}/{moment.year} {hour}:{moment:%M:%S} {half}"
