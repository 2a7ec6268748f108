"""``make bench``: compare the costs of the operator, the floor and a peer in one run on one machine."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import json
import shutil
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.bench.azure import VAULTS
from tests.bench.cluster import make_objects
from tests.bench.costs import machine
from tests.bench.measure import INTERVAL, Plan, log, measure
from tests.bench.operators import OPERATORS, READS_PER_SECOND, Ours, Peer
from tests.bench.report import write_report
from tests.bench.result import Result, as_json, extrapolate
from tests.support.commands import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.operators import Operator

OUTPUT: Final = ROOT / "build" / "bench"
PUBLISHED: Final = ROOT / "docs" / "bench"
SIZES: Final = (100, 1000, 10_000)
SMALLEST: Final = 20
PEER_LIMIT: Final = 1000
"""The maximum number of watches for the peer, which is overloaded above it."""
HEARTBEAT_MINUTES: Final = 5.0
"""The window for our operator: long enough for one heartbeat of each watch, except with many watches."""
OTHER_MINUTES: Final = 2.0


async def run(options: argparse.Namespace, results: list[Result]) -> None:
    """Run the requested measurements, and append each result to *results* even if a later one fails."""
    kinds = [kind for kind in OPERATORS if kind.name in options.only]
    with tempfile.TemporaryDirectory(prefix="backupjobwatch-bench-") as scratch:
        folder = Path(scratch)
        for watches in options.sizes:
            measured = [kind for kind in kinds if kind is not Peer or watches <= PEER_LIMIT]
            objects = folder / f"objects-{watches}"
            took = await make_objects(objects, watches, f"{INTERVAL}s")
            log(f"{watches} watches were made in {took:.0f} s")
            for kind in measured:
                try:
                    results.append(await measure(kind, _plan(kind, watches, folder, objects, options)))
                finally:
                    with contextlib.suppress(FileNotFoundError):
                        shutil.copy(folder / f"{kind.name}.log", OUTPUT / f"{kind.name}-{watches}.log")
            shutil.rmtree(objects)


def _plan(kind: type[Operator], watches: int, folder: Path, objects: Path, options: argparse.Namespace) -> Plan:
    minutes = options.minutes or (HEARTBEAT_MINUTES if kind is Ours else OTHER_MINUTES)
    profile = OUTPUT / f"{kind.name}-{watches}.{options.profile}" if options.profile else None
    return Plan(watches=watches, minutes=minutes, folder=folder, objects=objects, profile=profile)


def _extrapolated(results: Sequence[Result], sizes: Sequence[int]) -> list[Result]:
    """Extrapolate two measurements of the peer to the sizes above its limit."""
    peers = [result for result in results if result.operator == Peer.name]
    if len(peers) < 2:
        return []
    return [extrapolate(peers[-2], peers[-1], size) for size in sizes if size > PEER_LIMIT]


def _sizes(text: str) -> list[int]:
    sizes = sorted(int(size) for size in text.split(","))
    if sizes[0] < SMALLEST:
        raise argparse.ArgumentTypeError(f"write numbers of at least {SMALLEST}")
    return sizes


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - {kind.name for kind in OPERATORS}:
        raise argparse.ArgumentTypeError(f"no such operator: {', '.join(unknown)}")
    return names


def main() -> None:
    """Measure, and write the report."""
    names = [kind.name for kind in OPERATORS]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--sizes", type=_sizes, default=list(SIZES), help="numbers of watches (default: 100,1000,10000)"
    )
    parser.add_argument("--only", type=_names, default=names, help=f"some of {','.join(names)}")
    parser.add_argument("--minutes", type=float, help="of each window (default: 5, and 2 for the floor and the peer)")
    parser.add_argument("--profile", choices=("svg", "txt"), help="have py-spy watch each window; it costs CPU itself")
    parser.add_argument("--publish", action="store_true", help=f"copy the report to {PUBLISHED.relative_to(ROOT)}")
    options = parser.parse_args()
    if importlib.util.find_spec("matplotlib") is None:  # check before the long measurement
        sys.exit("The plots need the dependency group bench, which `make bench` installs.")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    about = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": " ".join(["python -m tests.bench", *sys.argv[1:]]),
        "vaults": VAULTS,
        "interval_seconds": INTERVAL,
        "reads_per_second": READS_PER_SECOND,
        "machine": machine(),
    }
    results: list[Result] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # so that child processes are stopped
    try:
        asyncio.run(run(options, results))
    finally:
        if results:
            results += _extrapolated(results, options.sizes)
            _write(about, results, publish=options.publish)


def _write(about: dict[str, Any], results: list[Result], *, publish: bool) -> None:
    document = {**about, "results": [as_json(result) for result in results]}
    (OUTPUT / "results.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    written = write_report(document, results, OUTPUT)
    if publish:
        PUBLISHED.mkdir(parents=True, exist_ok=True)
        for path in (OUTPUT / "results.json", *written):
            shutil.copy(path, PUBLISHED / path.name)


if __name__ == "__main__":
    main()
