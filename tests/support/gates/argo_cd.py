"""What Argo CD makes of an object, with a health script or without one: its health, and so a hook's or a wave's end.

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
    """Health as a health check gives it."""

    status: str
    message: str


def health(script: str | None, body: Body, *, scripts_see_deletion: bool = True) -> Health | None:
    """Judge the health; None where Argo CD has no opinion.

    Until https://github.com/argoproj/argo-cd/pull/27596 no script was asked about an object that is being deleted.
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
    """Tell what has become of a hook: one that nobody has an opinion on has succeeded."""
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
    """Tell what has become of an object that is no hook, whose wave has to end before the next begins."""
    if of is None:
        return "Succeeded"
    phases: dict[str, Phase] = {"Healthy": "Succeeded", "Degraded": "Failed"}
    return phases.get(of.status, "Running")


def discover(script: str, body: Body) -> list[dict[str, Any]]:
    """List the actions that a discovery script offers, by name."""
    found = lua.run(script, body)
    return [{"name": name, "disabled": bool((found[name] or {}).get("disabled"))} for name in sorted(found)]


def act(script: str, body: Body) -> dict[str, Any]:
    """Return the object as an action's script wants it; a table that was emptied by nobody stays what it was."""
    after: dict[str, Any] = _with_tables_of(body, lua.run(script, body))
    return after


def _with_tables_of(before: Any, after: Any) -> Any:
    """Lua does not tell an empty object from an empty list, and forgets null."""
    if after == [] and isinstance(before, dict):
        return {}
    if isinstance(before, dict) and isinstance(after, dict):
        return {name: _with_tables_of(before.get(name), value) for name, value in after.items()}
    if isinstance(before, list) and isinstance(after, list):
        return [_with_tables_of(one, other) for one, other in zip(before, after, strict=True)]
    return after
