"""Who may read what: role assignments, each of a principal and a scope."""

import threading


class Access:
    """
    At first everybody may read everything; whoever is named here may read what was granted to them, and no more.

    May be changed from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scopes: dict[str, set[str]] = {}

    def grant(self, principal: str, scope: str) -> None:
        """Let *principal* read what lies at or below *scope*: a subscription, a resource group or a vault by its ID."""
        with self._lock:
            self._scopes.setdefault(principal, set()).add(_normal(scope))

    def revoke(self, principal: str, scope: str | None = None) -> None:
        """Take back one grant, or all; *principal* may read only what is left, at first nothing."""
        with self._lock:
            scopes = self._scopes.setdefault(principal, set())
            if scope is None:
                scopes.clear()
            scopes.discard(_normal(scope or ""))

    def allows(self, principal: str | None, resource_id: str) -> bool:
        """Tell whether *principal* may read *resource_id*."""
        with self._lock:
            scopes = self._scopes.get(principal or "")
            return scopes is None or any(_normal(resource_id).startswith(scope) for scope in scopes)


def _normal(scope: str) -> str:
    """Letter case does not count, and a name is not the beginning of a longer one."""
    return scope.casefold().rstrip("/") + "/"
