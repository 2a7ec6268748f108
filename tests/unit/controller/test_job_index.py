"""Who hears of a job: every watch that follows it, once, and none that no longer does."""

from __future__ import annotations

from backupjobwatch.controller.job_index import Followers
from backupjobwatch.domain.jobs.resource_ids import JobId
from tests.support.builders import JOB_ID, JOB_NAME

ONE = JobId.parse(JOB_ID)
OTHER = JobId.parse(JOB_ID.replace(JOB_NAME, "00000000-0000-4000-8000-000000000002"))


def test_every_follower_hears() -> None:
    """Two watches of one job both hear of it, whatever case it is written in, and one of another does not."""
    followers = Followers()
    followers.follow("a", (ONE,))
    followers.follow("b", (ONE, OTHER))
    followers.follow("c", (OTHER,))

    assert list(followers.of([JobId.parse(JOB_ID.upper())])) == ["a", "b"]


def test_nobody_hears_twice() -> None:
    """A watch of several jobs that all changed is told once."""
    followers = Followers()
    followers.follow("a", (ONE, OTHER, ONE))

    assert list(followers.of([ONE, OTHER])) == ["a"]


def test_an_edit_moves_a_watch() -> None:
    """A watch that was edited to follow another job hears of that one only; nothing is kept of what nobody follows."""
    followers = Followers()
    followers.follow("a", (ONE, ONE))
    followers.follow("b", (ONE,))
    followers.follow("a", (OTHER,))

    assert (list(followers.of([ONE])), list(followers.of([OTHER]))) == (["b"], ["a"])

    followers.follow("a", ())
    followers.follow("a", ())
    followers.follow("b", ())

    assert list(followers.of([ONE, OTHER])) == []
    assert not followers._jobs
    assert not followers._uids
