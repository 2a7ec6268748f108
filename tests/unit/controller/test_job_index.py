"""Who hears of a job: every watch that follows it, once, and none that no longer does."""

from __future__ import annotations

from backupjobwatch.controller.job_index import JobIndex
from backupjobwatch.domain.jobs.resource_ids import JobId
from tests.support.builders import JOB_ID, JOB_NAME

ONE = JobId.parse(JOB_ID)
OTHER = JobId.parse(JOB_ID.replace(JOB_NAME, "00000000-0000-4000-8000-000000000002"))


def test_every_follower_hears() -> None:
    """Two watches of one job both hear of it, whatever case it is written in, and one of another does not."""
    job_index = JobIndex()
    job_index.update("a", (ONE,))
    job_index.update("b", (ONE, OTHER))
    job_index.update("c", (OTHER,))

    assert list(job_index.watches_of([JobId.parse(JOB_ID.upper())])) == ["a", "b"]


def test_nobody_hears_twice() -> None:
    """A watch of several jobs that all changed is told once."""
    job_index = JobIndex()
    job_index.update("a", (ONE, OTHER, ONE))

    assert list(job_index.watches_of([ONE, OTHER])) == ["a"]


def test_an_edit_moves_a_watch() -> None:
    """A watch that was edited to follow another job hears of that one only; nothing is kept of what nobody follows."""
    job_index = JobIndex()
    job_index.update("a", (ONE, ONE))
    job_index.update("b", (ONE,))
    job_index.update("a", (OTHER,))

    assert (list(job_index.watches_of([ONE])), list(job_index.watches_of([OTHER]))) == (["b"], ["a"])

    job_index.update("a", ())
    job_index.update("a", ())
    job_index.update("b", ())

    assert list(job_index.watches_of([ONE, OTHER])) == []
    assert not job_index._jobs
    assert not job_index._uids
