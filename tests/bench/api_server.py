"""Run the embedded Kubernetes API server for the benchmark, and count its requests."""

from __future__ import annotations

import argparse
import asyncio
import collections
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from demo.controlplane import ControlPlane
from tests.bench.child import answer_questions

if TYPE_CHECKING:
    from demo.controlplane import Traffic

AGENT: Final = "bench"
"""The User-Agent of the benchmark's own requests."""
_STATUS: Final = re.compile(r"/backupjobwatches/[^/]+(/status)?$")


def count(traffic: Traffic) -> dict[str, int]:
    """Count the operator's requests since the last clear: status writes, object writes and others."""
    counts: collections.Counter[str] = collections.Counter()
    for request in traffic:
        if request.agent == AGENT:
            continue
        if request.method in ("PATCH", "PUT") and (found := _STATUS.search(request.path)):
            counts["status_writes" if found[1] else "object_writes"] += 1
        else:
            counts["others"] += 1
    return dict(counts)


async def serve(directory: Path) -> None:
    """Serve the objects in *directory* until standard input ends."""
    async with ControlPlane(directory) as cluster:
        hello = {"url": cluster.url, "environment": cluster.environment, "pids": cluster.processes.pids}
        await answer_questions(hello, {"count": lambda: count(cluster.requests), "clear": cluster.requests.clear})


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.api_server")
    parser.add_argument("directory", type=Path)
    asyncio.run(serve(parser.parse_args().directory))


if __name__ == "__main__":
    main()
