"""Which watches follow a job: of thousands, those that are to hear of it are found at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from backupjobwatch.domain.jobs.resource_ids import JobId


class JobIndex:
    """The watches, by uid, of each job."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[JobId, ...]] = {}
        self._uids: dict[JobId, tuple[str, ...]] = {}

    def update(self, uid: str, jobs: tuple[JobId, ...]) -> None:
        """Have a watch follow *jobs*, and none besides."""
        before, jobs = self._jobs.get(uid, ()), tuple(dict.fromkeys(jobs))
        if jobs == before:
            return
        for job in before:
            uids = tuple(each for each in self._uids[job] if each != uid)
            if uids:
                self._uids[job] = uids
            else:
                del self._uids[job]
        for job in jobs:
            self._uids[job] = (*self._uids.get(job, ()), uid)
        if jobs:
            self._jobs[uid] = jobs
        else:
            del self._jobs[uid]

    def watches_of(self, jobs: Iterable[JobId]) -> Iterator[str]:
        """Yield the watches of some of *jobs*, each of them once."""
        yield from dict.fromkeys(uid for job in jobs for uid in self._uids.get(job, ()))
