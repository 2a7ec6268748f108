"""Which namespaces may use the operator's own identity."""

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
def test_who_may_use_the_operators_identity(*, allowed: str, namespace: str, answer: bool) -> None:
    """Namespaces are listed by name, or all of them are allowed."""
    settings = Settings(operator_identity_namespaces=allowed)  # type: ignore[arg-type]
    assert settings.allows_operator_identity(namespace) is answer
