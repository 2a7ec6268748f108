"""The operator leaves nothing behind, and asks for no more than its ClusterRole grants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.support.kubernetes_client import AGENT
from tests.support.watches import prove_unmarked

if TYPE_CHECKING:
    from demo.controlplane import ControlPlane
    from demo.controlplane.traffic import Request
    from tests.support.jobs import Jobs
    from tests.support.kubernetes_client import Recording
    from tests.support.operator_process import OperatorProcess
    from tests.support.watches import Watches

MANIFESTS = Path(__file__).parents[2] / "manifests"
CLUSTER_ROLE = MANIFESTS / "base" / "clusterrole.yaml"
LEASE_ROLE = MANIFESTS / "overlays" / "ha" / "role.yaml"
TENANTS_ROLES = sorted((MANIFESTS / "components").rglob("role.yaml"))
OURS = r"^(kopf/|backupjobwatch)"
"""The User-Agents of the operator: kopf's, and its own."""
DISCOVERY = r"^/(api|apis|version)(/[^/]+){0,2}/?$"
Permission = tuple[str, str, str]


def live(watches: Watches, jobs: Jobs) -> None:
    """Let watches live through all that can happen to them."""
    job = jobs.start()
    watches.create("w", jobResourceId=job)
    watches.create("failing", jobResourceId=jobs.failed())
    watches.until_phase("w", "Running")
    watches.edit("w", suspend=True)
    watches.until_reason("w", "Suspended")
    watches.edit("w", suspend=False)
    watches.edit("w", jobResourceId=jobs.start())
    watches.until_phase("w", "Running")
    watches.edit("w", jobResourceId=jobs.complete(job))
    watches.until_phase("w", "Succeeded")
    watches.request("w", "now")
    watches.until("w", lambda body: body["status"].get("lastHandledReconcileAt") == "now")
    watches.until_event("failing", "JobFailed")
    watches.delete("w")


def permission(request: Request) -> Permission:
    """What a role must grant for a request."""
    return request.group, request.resource, request.verb


def test_no_marks(operator: OperatorProcess, watches: Watches, jobs: Jobs, recording: Recording) -> None:
    """No version of any watch of this session had a finalizer, an annotation or a label of the operator's."""
    live(watches, jobs)
    moments = recording.moments()
    for moment in moments:
        prove_unmarked(moment)
    assert {"ADDED", "MODIFIED", "DELETED"} == {moment.type for moment in moments}


def test_permissions(operator: OperatorProcess, watches: Watches, jobs: Jobs, control_plane: ControlPlane) -> None:
    """The requests of this session's operators are what the roles grant: nothing more, nothing less."""
    live(watches, jobs)
    asked = control_plane.requests.where(agent=OURS)
    used = {permission(request) for request in asked if request.resource}
    granted = {
        (group, resource, verb)
        for role in (CLUSTER_ROLE, LEASE_ROLE, *TENANTS_ROLES)
        for rule in yaml.safe_load(role.read_text())["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert used == granted


def test_discovery(operator: OperatorProcess, control_plane: ControlPlane) -> None:
    """What else the operators ask of the API server is discovery."""
    others = control_plane.requests.where(agent=OURS, path=DISCOVERY)
    assert all(request.method == "GET" for request in others)
    asked = {request.path for request in control_plane.requests.where(agent=OURS) if not request.resource}
    assert asked <= {request.path for request in others}


def test_writers(operator: OperatorProcess, control_plane: ControlPlane) -> None:
    """Whoever writes the status of a watch says that it is ``backupjobwatch``, as an audit log has it, but for the tests."""
    writers = {request.agent for request in control_plane.requests.where(method="PUT", path="/backupjobwatches/")}
    assert writers - {AGENT} == {"backupjobwatch"}
