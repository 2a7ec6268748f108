"""Flux's CEL rules: ``healthCheckExprs`` of a Kustomization and ``dependsOn`` of a ResourceSet.

The variables of an expression are the existing top-level fields of the object.
https://github.com/fluxcd/pkg/blob/main/runtime/cel/status_evaluator.go,
https://github.com/controlplaneio-fluxcd/flux-operator/blob/main/docs/api/v1/resourceset.md#dependency-management
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from cel_expr_python.cel import NewEnv, Type

from tests.support.gates import kstatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.gates.kstatus import Body

_ORDER: Final = (("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current"))
_HAVE_TO_BE_EQUAL: Final = (("metadata", "generation"), ("status", "observedGeneration"))


class CelError(Exception):
    """An expression without a Boolean value, which Flux treats as not ready."""


def health(check: Mapping[str, str], body: Body) -> str:
    """Judge by one entry of ``healthCheckExprs``. Raise CelError if an evaluated expression has no value."""
    generation, observed = ((body.get(part) or {}).get(field) for part, field in _HAVE_TO_BE_EQUAL)
    if observed is not None and generation is not None and observed != generation:
        return "InProgress"
    for name, verdict in _ORDER:
        if name in check and holds(check[name], body):
            return verdict
    return "InProgress"


def ready(dependency: Mapping[str, Any], body: Body) -> bool:
    """Return whether an existing object meets a ResourceSet's entry in ``dependsOn``."""
    if not dependency.get("ready"):
        return True
    if "readyExpr" in dependency:  # instead of kstatus
        return holds(dependency["readyExpr"], body)
    return kstatus.verdict(body) == "Current"


def holds(expression: str, body: Body) -> bool:
    """Evaluate a Boolean expression. Raise CelError if its value is not Boolean."""
    try:
        value = _compiled(expression, frozenset(body)).eval(data=dict(body))
    except RuntimeError as error:
        raise CelError(str(error)) from error
    if value.type() != Type.BOOL:
        raise CelError(str(value.value()))
    return bool(value.value())


@functools.cache
def _compiled(expression: str, variables: frozenset[str]) -> Any:
    environment = NewEnv(variables=dict.fromkeys(variables, Type.DYN))
    return environment.compile(expression)
