"""The health of an Argo CD hook that is being deleted, computed by our health check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.support.gates import argo_cd
from tests.support.gates.verdicts import HEALTH_SCRIPT
from tests.support.kubernetes_client import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.kubernetes_client import KubernetesClient
    from tests.support.plugin import Written

MERGE: Final = "application/merge-patch+json"


@pytest.fixture
def hook(client: KubernetesClient, written: Written) -> Iterator[Written]:
    """A watch with the finalizer that Argo CD sets on its hooks."""
    written.create("w")
    path = path_of(written.namespace, "w")
    client("PATCH", path, {"metadata": {"finalizers": [argo_cd.HOOK_FINALIZER]}}, content_type=MERGE)
    yield written
    client("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)


def health_after_deletion(hook: Written) -> str:
    """Delete the hook and return its health."""
    hook.delete("w")
    body = hook.get("w")
    assert body["metadata"]["deletionTimestamp"]
    health = argo_cd.health(HEALTH_SCRIPT, body)
    assert health is not None
    return health.status


@pytest.mark.parametrize(
    ("example", "status"),
    [
        ("job-iaasvm-completed", "Healthy"),
        ("job-iaasvm-failed", "Degraded"),
        ("job-iaasvm-inprogress", "Progressing"),
    ],
)
def test_deleted(hook: Written, example: str, status: str) -> None:
    """A deleted hook keeps its verdict if it had finished, and is still progressing otherwise."""
    hook.become("w", example)
    assert health_after_deletion(hook) == status


def test_edited_and_deleted(hook: Written) -> None:
    """An edit that the operator has not processed closes the gate, even if the hook is then deleted."""
    hook.become("w", "job-iaasvm-completed")
    hook.edit("w", pollInterval="5m")
    assert health_after_deletion(hook) == "Progressing"


def test_edited_after_deletion(hook: Written) -> None:
    """An edit after the deletion also closes the gate."""
    hook.become("w", "job-iaasvm-completed")
    assert health_after_deletion(hook) == "Healthy"
    body = hook.edit("w", pollInterval="5m")
    health = argo_cd.health(HEALTH_SCRIPT, body)
    assert health is not None
    assert health.status == "Progressing"
