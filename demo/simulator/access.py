"""Role assignments: the scopes that each principal may read."""

import threading


class Access:
    """
    A principal without an entry may read everything. A principal with one may read only the granted scopes.

    Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scopes: dict[str, set[str]] = {}

    def grant(self, principal: str, scope: str) -> None:
        """Allow *principal* to read *scope* and below: the ID of a subscription, resource group or vault."""
        with self._lock:
            self._scopes.setdefault(principal, set()).add(_normal(scope))

    def revoke(self, principal: str, scope: str | None = None) -> None:
        """Revoke one grant, or all. Afterwards, *principal* may read only its remaining scopes."""
        with self._lock:
            scopes = self._scopes.setdefault(principal, set())
            if scope is None:
                scopes.clear()
            scopes.discard(_normal(scope or ""))

    def allows(self, principal: str | None, resource_id: str) -> bool:
        """Return whether *principal* may read *resource_id*."""
        with self._lock:
            scopes = self._scopes.get(principal or "")
            return scopes is None or any(_normal(resource_id).startswith(scope) for scope in scopes)


def _normal(scope: str) -> str:
    """Return *scope* in lowercase with one final slash, so that a prefix only matches whole segments."""
    return scope.casefold().rstrip("/") + "/"
