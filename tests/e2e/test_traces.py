"""The operator leaves nothing behind, and asks for no more than its ClusterRole grants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.kubernetes_client import AGENT
from tests.support.rbac import OURS, missing, read_grants
from tests.support.watches import prove_unmarked

if TYPE_CHECKING:
    from demo.controlplane import ControlPlane
    from tests.support.jobs import Jobs
    from tests.support.kubernetes_client import Recording
    from tests.support.operator_process import OperatorProcess
    from tests.support.watches import Watches

DISCOVERY = r"^/(api|apis|version)(/[^/]+){0,2}/?$"


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


def test_no_marks(operator: OperatorProcess, watches: Watches, jobs: Jobs, recording: Recording) -> None:
    """No version of any watch of this session had a finalizer, an annotation or a label of the operator's."""
    live(watches, jobs)
    moments = recording.moments()
    for moment in moments:
        prove_unmarked(moment)
    assert {"ADDED", "MODIFIED", "DELETED"} <= {moment.type for moment in moments}


def test_permissions(operator: OperatorProcess, watches: Watches, jobs: Jobs, control_plane: ControlPlane) -> None:
    """No operator of this session asked for what the roles do not grant. (That all is needed is seen at its end.)"""
    live(watches, jobs)
    asked = control_plane.requests.where(agent=OURS)
    assert {request.verb for request in asked if request.resource} >= {"list", "watch", "update", "create"}
    assert missing(asked, read_grants()) == set()


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
