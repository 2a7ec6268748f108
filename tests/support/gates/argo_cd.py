"""Argo CD's rules for the health of an object and for the end of hooks and waves.

https://github.com/argoproj/argo-cd/tree/master/gitops-engine/pkg (health/health.go, sync/sync_context.go), util/lua/lua.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from tests.support.gates import lua

if TYPE_CHECKING:
    from tests.support.gates.kstatus import Body

Phase = Literal["Running", "Succeeded", "Failed"]

HOOK_FINALIZER: Final = "argocd.argoproj.io/hook-finalizer"
_CODES: Final = frozenset({"Healthy", "Progressing", "Suspended", "Degraded", "Missing", "Unknown"})


class Health(NamedTuple):
    """The result of a health check."""

    status: str
    message: str


def health(script: str | None, body: Body, *, scripts_see_deletion: bool = True) -> Health | None:
    """Return the health, or None if Argo CD does not assess the object.

    Before https://github.com/argoproj/argo-cd/pull/27596, scripts did not run for an object under deletion.
    """
    metadata = body["metadata"]
    held_as_hook = HOOK_FINALIZER in metadata.get("finalizers", ())
    if metadata.get("deletionTimestamp") and not scripts_see_deletion and not held_as_hook:
        return Health("Progressing", "Pending deletion")
    if script is None:
        return None
    try:
        returned = lua.run(script, body)
    except lua.LuaFailed as error:
        return Health("Unknown", str(error))
    if returned.get("status") not in _CODES:
        return Health("Unknown", "Lua returned an invalid health status")
    return Health(returned["status"], returned.get("message", ""))


def hook(of: Health | None) -> Phase:
    """Return the phase of a hook. A hook without a health succeeds."""
    if of is None:
        return "Succeeded"
    phases: dict[str, Phase] = {
        "Healthy": "Succeeded",
        "Degraded": "Failed",
        "Unknown": "Failed",
        "Missing": "Succeeded",
    }
    return phases.get(of.status, "Running")


def wave(of: Health | None) -> Phase:
    """Return the phase of an object in a sync wave, which must succeed before the next wave starts."""
    if of is None:
        return "Succeeded"
    phases: dict[str, Phase] = {"Healthy": "Succeeded", "Degraded": "Failed"}
    return phases.get(of.status, "Running")


def discover(script: str, body: Body) -> list[dict[str, Any]]:
    """Return the actions that a discovery script offers, sorted by name."""
    found = lua.run(script, body)
    return [{"name": name, "disabled": bool((found[name] or {}).get("disabled"))} for name in sorted(found)]


def act(script: str, body: Body) -> dict[str, Any]:
    """Return the object after an action's script, and restore tables that Lua cannot represent."""
    after: dict[str, Any] = _with_tables_of(body, lua.run(script, body))
    return after


def _with_tables_of(before: Any, after: Any) -> Any:
    """Restore empty objects, which Lua cannot distinguish from empty lists."""
    if after == [] and isinstance(before, dict):
        return {}
    if isinstance(before, dict) and isinstance(after, dict):
        return {name: _with_tables_of(before.get(name), value) for name, value in after.items()}
    if isinstance(before, list) and isinstance(after, list):
        return [_with_tables_of(one, other) for one, other in zip(before, after, strict=True)]
    return after
