"""`python -m demo.simulator`: serve the jobs of the demo until Ctrl-C."""

import argparse
import asyncio
import signal

from demo.simulator.clock import SimulatedClock
from demo.simulator.jobs import DEMO_JOBS, add_demo_jobs
from demo.simulator.server import AzureSimulator


async def serve(options: argparse.Namespace) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    simulator = AzureSimulator(
        clock=SimulatedClock(speed=options.speed),
        tokens={options.token: "demo-principal"},
        host=options.host,
        port=options.port,
        tls=options.tls,
    )
    vault = add_demo_jobs(simulator, starts=options.starts.replace("-", " "))
    async with simulator:
        print(f"Azure simulator at {simulator.url}, {options.speed:g} times as fast as real time", flush=True)
        for job in DEMO_JOBS:
            print(f"  {vault.job_id(job.name)}", flush=True)
        if simulator.ca_pem:
            print(simulator.ca_pem, flush=True)
        await stopping.wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m demo.simulator", description="A simulator of Azure Backup's jobs.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8081, help="port to listen on, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument("--speed", type=float, default=60.0, help="simulated seconds per second (default: %(default)g)")
    parser.add_argument("--token", default="demo-token", help="bearer token to accept (default: %(default)s)")
    parser.add_argument("--tls", action="store_true", help="serve HTTPS, and print the CA certificate")
    parser.add_argument(
        "--starts",
        choices=("now", "when-asked"),
        default="when-asked",
        help="when each job starts: now, or at the first request for it (default: %(default)s)",
    )
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
