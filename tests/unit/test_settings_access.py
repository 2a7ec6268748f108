"""Which namespaces may use the operator's own identity, and which may request backups."""

from __future__ import annotations

import pytest

from backupjobwatch.settings import Settings


@pytest.mark.parametrize(
    ("allowed", "namespace", "answer"),
    [
        ("", "team-a", False),
        ("team-a", "team-a", True),
        ("team-a", "team", False),
        ("*", "any", True),
        ("x,*", "y", True),
    ],
)
def test_allowed_namespaces(*, allowed: str, namespace: str, answer: bool) -> None:
    """Namespaces are listed by name, or all of them are allowed. The two lists are independent."""
    identity = Settings(operator_identity_namespaces=allowed)  # type: ignore[arg-type]
    assert identity.allows_operator_identity(namespace) is answer
    assert not identity.allows_on_demand(namespace)
    on_demand = Settings(on_demand_namespaces=allowed)  # type: ignore[arg-type]
    assert on_demand.allows_on_demand(namespace) is answer
    assert not on_demand.allows_operator_identity(namespace)
