"""The operator leaves nothing behind, and makes only requests that its roles grant."""

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
    """Take two watches through edits, suspension, success, failure and deletion."""
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
    """No version of any watch in this session has a finalizer, an annotation or a label of the operator."""
    live(watches, jobs)
    moments = recording.moments()
    for moment in moments:
        prove_unmarked(moment)
    assert {"ADDED", "MODIFIED", "DELETED"} <= {moment.type for moment in moments}


def test_permissions(operator: OperatorProcess, watches: Watches, jobs: Jobs, control_plane: ControlPlane) -> None:
    """The operators make only requests that the roles grant. The end of the session reports unused grants."""
    live(watches, jobs)
    asked = control_plane.requests.where(agent=OURS)
    assert {request.verb for request in asked if request.resource} >= {"list", "watch", "update", "create"}
    assert missing(asked, read_grants()) == set()


def test_discovery(operator: OperatorProcess, control_plane: ControlPlane) -> None:
    """All other requests of the operators are discovery."""
    others = control_plane.requests.where(agent=OURS, path=DISCOVERY)
    assert all(request.method == "GET" for request in others)
    asked = {request.path for request in control_plane.requests.where(agent=OURS) if not request.resource}
    assert asked <= {request.path for request in others}


def test_writers(operator: OperatorProcess, control_plane: ControlPlane) -> None:
    """Apart from the tests, only the user agent ``backupjobwatch`` writes statuses, as an audit log shows."""
    writers = {request.agent for request in control_plane.requests.where(method="PUT", path="/backupjobwatches/")}
    assert writers - {AGENT} == {"backupjobwatch"}
