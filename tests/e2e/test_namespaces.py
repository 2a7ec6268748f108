"""The namespaces that an operator follows, and those that may use its Azure identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.kubernetes_client import create_namespace, drop_namespace
from tests.support.watches import condition, phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.controlplane import Cluster, ControlPlane, Kubectl
    from tests.support.jobs import Jobs
    from tests.support.kubernetes_client import KubernetesClient
    from tests.support.operator_process import Operators
    from tests.support.watches import Watches

SETTING = "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES"


@pytest.fixture
def other_watches(client: KubernetesClient, cluster: Cluster, watches: Watches) -> Iterator[Watches]:
    """The watches of a second namespace."""
    name = create_namespace(client)
    yield watches.in_namespace(name)
    drop_namespace(client, cluster, name)


def test_identity(
    own_operators: Operators, kubectl: Kubectl, watches: Watches, other_watches: Watches, jobs: Jobs
) -> None:
    """A namespace must be listed to use the operator's identity. Otherwise the status names the setting."""
    own_operators.start(OPERATOR_IDENTITY_NAMESPACES=other_watches.namespace).wait_ready()
    job = jobs.completed()
    watches.create("w", jobResourceId=job)
    other_watches.create("allowed", jobResourceId=jobs.completed())
    other_watches.until_phase("allowed", "Succeeded")
    body = watches.until_reason("w", "IdentityNotAllowed")
    assert phase(body) == "Pending"
    assert "troubleSince" in body["status"]
    assert condition(body, "Ready")["status"] == "Unknown"
    assert not jobs.requests(job)
    described = kubectl("describe", "bjw", "w", "-n", watches.namespace).stdout
    assert SETTING in described
    assert "Warning  IdentityNotAllowed" in described
    own_operators.start(OPERATOR_IDENTITY_NAMESPACES=f"{watches.namespace}, other").wait_ready()
    done = watches.until_phase("w", "Succeeded")["status"]
    assert "troubleSince" not in done
    assert SETTING not in str(done)


def test_identity_never_allowed(own_operators: Operators, watches: Watches, jobs: Jobs) -> None:
    """By default no namespace is listed, and the watch fails after the grace period. An edit restarts it."""
    own_operators.start(OPERATOR_IDENTITY_NAMESPACES="").wait_ready()
    watches.create("w", jobResourceId=jobs.completed(), graceSeconds=0)
    watches.until_reason("w", "IdentityNotAllowed")
    for _ in range(2):  # a watch fails after at least three failed polls
        watches.poll_now("w")
        watches.until("w", lambda body: phase(body) is not None)
    body = watches.until_phase("w", "Failed")
    assert body["status"]["reason"] == "IdentityNotAllowed"
    assert condition(body, "Stalled")["status"] == "True"
    watches.edit("w", graceSeconds=600)
    watches.until_phase("w", "Pending")


def test_namespaced(
    own_operators: Operators, watches: Watches, other_watches: Watches, jobs: Jobs, control_plane: ControlPlane
) -> None:
    """An operator of one namespace does not read the watches of other namespaces."""
    known = len(control_plane.requests)
    own_operators.start(NAMESPACES=watches.namespace).wait_ready()
    ignored = jobs.completed()
    other_watches.create("ignored", jobResourceId=ignored)
    watches.create("followed", jobResourceId=jobs.completed())
    watches.until_phase("followed", "Succeeded")
    assert other_watches.get("ignored")["status"] == {"observedGeneration": -1}
    assert not jobs.requests(ignored)
    paths = {
        request.path
        for request in control_plane.requests.all()[known:]
        if request.agent.startswith(("kopf", "backupjobwatch"))
    }
    assert {path for path in paths if "/backupjobwatches" in path} <= {
        f"/apis/azurebackup.dev/v1alpha1/namespaces/{watches.namespace}/backupjobwatches{rest}"
        for rest in ("", "/followed", "/followed/status")
    }


def test_several_namespaces(own_operators: Operators, watches: Watches, other_watches: Watches, jobs: Jobs) -> None:
    """An operator of several namespaces follows the watches of each."""
    own_operators.start(NAMESPACES=f"{watches.namespace},{other_watches.namespace}").wait_ready()
    for each in (watches, other_watches):
        each.create("w", jobResourceId=jobs.completed())
    for each in (watches, other_watches):
        each.until_phase("w", "Succeeded")
