"""The peer: a simple operator with one GET and one patch at each tick of each watch."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import Any, Final

import kopf
import requests

from tests.bench.pulse import Pulse

AZURE: Final = os.environ.get("BENCH_AZURE", "")
TOKEN: Final = os.environ.get("BENCH_TOKEN", "")
PHASES: Final = {"InProgress": "Running", "Completed": "Succeeded"}
PULSE: Final = Pulse()
BACKGROUND: Final[set[asyncio.Task[None]]] = set()


@kopf.on.startup()
async def begin(**_: Any) -> None:
    BACKGROUND.add(asyncio.create_task(PULSE.beat()))


@kopf.timer("azurebackup.dev", "v1alpha1", "backupjobwatches", interval=30.0)
def poll(uid: str, spec: kopf.Spec, status: kopf.Status, meta: kopf.Meta, patch: kopf.Patch, **_: Any) -> None:
    PULSE.tick(uid)
    if status.get("phase") in ("Succeeded", "Failed"):
        return
    answer = requests.get(
        f"{AZURE}{spec['jobResourceId']}",
        params={"api-version": "2025-02-01"},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=20,
    )
    answer.raise_for_status()
    job = answer.json()["properties"]
    patch.status["phase"] = PHASES.get(job["status"], "Failed")
    patch.status["observedGeneration"] = meta["generation"]
    patch.status["duration"] = job["duration"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch.status["lastPollTime"] = now
    # The CRD refuses a status without this condition.
    ready = "True" if patch.status["phase"] == "Succeeded" else "Unknown"
    words = {"reason": job["status"], "message": "As Azure reports it."}
    patch.status["conditions"] = [{"type": "Ready", "status": ready, "lastTransitionTime": now, **words}]


def main() -> None:
    kopf.run(clusterwide=True, standalone=True)


if __name__ == "__main__":
    main()
