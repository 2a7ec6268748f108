"""
Convert strategic merge patches, which kubectl sends for built-in kinds, to JSON merge patches.

Strategic merge patches merge some lists by a key of their elements, and have directives that begin with $.
"""

from __future__ import annotations

from typing import Any

MERGE_KEYS = {
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "ports": ("containerPort", "port"),  # of a container and of a Service
    "secrets": ("name",),
    "topologySpreadConstraints": ("topologyKey",),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
"""Lists that are merged, from the patchMergeKey tags in k8s.io/api. All other lists are replaced."""

SETS = frozenset({"finalizers"})
"""Lists of plain values that are merged."""

Object = dict[str, Any]


def merge_patch(live: Any, patch: Object) -> Object:
    """Return the JSON merge patch with the effect of the strategic merge patch *patch* on *live*."""
    old: Object = live if isinstance(live, dict) else {}
    result: Object = dict.fromkeys(old) if patch.get("$patch") == "replace" else {}
    for name, value in patch.items():
        if name == "$retainKeys":
            result.update(dict.fromkeys(old.keys() - set(value)))
        elif name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            kept = result.get(field, old.get(field)) or []
            result[field] = [element for element in kept if element not in value]
        elif name.startswith("$"):
            continue
        elif isinstance(value, dict):
            result[name] = None if value.get("$patch") == "delete" else merge_patch(old.get(name), value)
        elif isinstance(value, list) and name in MERGE_KEYS:
            result[name] = merged_list(old.get(name) or [], value, MERGE_KEYS[name])
        elif isinstance(value, list) and name in SETS:
            result[name] = list(dict.fromkeys([*(old.get(name) or []), *value]))
        else:
            result[name] = value
    return result


def merged_list(old: list[Any], patch: list[Any], keys: tuple[str, ...]) -> list[Any]:
    """Merge *patch* into *old*. Elements match by the first of *keys* that they have."""
    if any(not isinstance(element, dict) for element in (*old, *patch)):
        return patch

    def identity(element: Object) -> tuple[str, Any]:
        return next(((key, element[key]) for key in keys if key in element), ("", None))

    replace = any(element.get("$patch") == "replace" for element in patch)
    result: dict[tuple[str, Any], Object] = {} if replace else {identity(element): element for element in old}
    for element in patch:
        match element.get("$patch"):
            case "delete":
                result.pop(identity(element), None)
            case "replace":
                continue
            case _:
                before = result.get(identity(element), {})
                result[identity(element)] = applied(before, merge_patch(before, element))
    return list(result.values())


def applied(old: Any, patch: Any) -> Any:
    """Return *old* after a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result: Object = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = applied(result.get(name), value)
    return result
