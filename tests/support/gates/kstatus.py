"""What kstatus makes of an object: Flux (``wait``), flux-operator (``ready``) and Helm 4 (``--wait``) go by it.

https://github.com/fluxcd/cli-utils/tree/main/pkg/kstatus
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Body = Mapping[str, Any]
Verdict = Literal["Current", "InProgress", "Failed", "Terminating"]


def verdict(body: Body) -> Verdict:
    """Judge an object of a kind that kstatus does not know: the first rule that applies decides."""
    metadata, status = body["metadata"], body.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    generation, observed = metadata.get("generation"), status.get("observedGeneration")
    if not all(number is None or type(number) is int for number in (generation, observed)):
        raise TypeError("generations are whole numbers, or kstatus gives up")
    if None not in (generation, observed) and generation != observed:
        return "InProgress"
    conditions = status.get("conditions") or []
    for condition in conditions:  # in the list's order
        if condition["status"] == "True" and condition["type"] == "Reconciling":
            return "InProgress"
        if condition["status"] == "True" and condition["type"] == "Stalled":
            return "Failed"
    for condition in conditions:
        if condition["type"] == "Ready":  # False is no failure
            return "Current" if condition["status"] == "True" else "InProgress"
    return "Current"  # whatever says nothing is taken to be fine
