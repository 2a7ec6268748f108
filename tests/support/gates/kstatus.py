"""The kstatus rules, which Flux (``wait``), flux-operator (``ready``) and Helm 4 (``--wait``) apply.

https://github.com/fluxcd/cli-utils/tree/main/pkg/kstatus
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Body = Mapping[str, Any]
Verdict = Literal["Current", "InProgress", "Failed", "Terminating"]


def verdict(body: Body) -> Verdict:
    """Judge an object of a kind unknown to kstatus. The first matching rule decides."""
    metadata, status = body["metadata"], body.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    generation, observed = metadata.get("generation"), status.get("observedGeneration")
    if not all(number is None or type(number) is int for number in (generation, observed)):
        raise TypeError("generations are whole numbers, or kstatus gives up")
    if None not in (generation, observed) and generation != observed:
        return "InProgress"
    conditions = status.get("conditions") or []
    for condition in conditions:  # in the order of the list
        if condition["status"] == "True" and condition["type"] == "Reconciling":
            return "InProgress"
        if condition["status"] == "True" and condition["type"] == "Stalled":
            return "Failed"
    for condition in conditions:
        if condition["type"] == "Ready":  # False is not a failure
            return "Current" if condition["status"] == "True" else "InProgress"
    return "Current"  # the default without a matching condition
