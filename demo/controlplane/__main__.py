"""`python -m demo.controlplane`: run a Kubernetes API server until Ctrl-C, or while a command runs."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from .binaries import find_binaries
from .build import build, cache
from .cluster import ControlPlane
from .errors import ControlPlaneUnavailable


async def run(directory: Path | None, command: list[str]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with ControlPlane(directory) as cluster:
        if command:
            process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **cluster.environment})
            loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C also reaches the command: wait for its exit
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, process.terminate)
            return await process.wait()
        print(*(f"export {name}={value}" for name, value in cluster.environment.items()), sep="\n", flush=True)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        await stop.wait()
        return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo.controlplane", description=__doc__)
    parser.add_argument("--directory", type=Path, help="directory that keeps the objects (default: a temporary one)")
    parser.add_argument(
        "--build-only", action="store_true", help=f"build the programs in {cache()} if necessary, and exit"
    )
    parser.add_argument("--mirror", help="Debian mirror to build from (default: that of /etc/apt)")
    parser.add_argument("command", nargs="*", help="command to run with KUBECONFIG set (default: none, until Ctrl-C)")
    options = parser.parse_args()
    try:
        if options.mirror:
            build(options.mirror)
        if options.build_only:
            print(find_binaries().apiserver.parent)
            return 0
        return asyncio.run(run(options.directory, options.command))
    except ControlPlaneUnavailable as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
