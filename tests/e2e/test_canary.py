"""The search for secrets covers the operator's logs, the statuses and the Events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.canary import WORD

if TYPE_CHECKING:
    from tests.support.jobs import Jobs
    from tests.support.operator_process import Operators
    from tests.support.watches import Watches


@pytest.mark.plants("the log of an operator", "the watch stream", "the Events")
def test_scans_logs_statuses_and_events(own_operators: Operators, watches: Watches, jobs: Jobs) -> None:
    """A canary in the name of an item, which is not a secret, appears in logs, statuses and Events."""
    own_operators.start(NAMESPACES=watches.namespace).wait_ready()
    watches.create("planted", jobResourceId=jobs.completed(WORD))
    watches.until_event("planted", "JobCompleted")
    watches.delete("planted")
    assert watches.history("planted")[-1].type == "DELETED"  # nothing is left for the watch stream of later tests
