"""The report: a table for people, the goals beside what was measured, and the plots."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from tests.bench.goals import NOTHING, goals
from tests.bench.measure import WARM_UP
from tests.bench.plots import draw_plots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.bench.result import Result

OPERATORS: Final = {
    "floor": "floor: kopf alone",
    "peer": "peer: one GET and one patch a tick",
    "ours": "BackupJobWatch",
}
HEADER: Final = (
    *("watches", "operator", "CPU s/min", "RSS MB", "Azure reads/min", "of these list pages", "status writes/min"),
    *("status lag p50 s", "p99 s", "start-up s", "event-loop lag p99 s", "1,000 gates s"),
)


def write_report(document: Mapping[str, Any], results: Sequence[Result], folder: Path) -> list[Path]:
    """Write the table and the plots into a folder; return what was written."""
    path = folder / "results.md"
    path.write_text(as_markdown(document, results), encoding="utf-8")
    return [path, *draw_plots(results, folder)]


def as_markdown(document: Mapping[str, Any], results: Sequence[Result]) -> str:
    """Return the table, the goals, and on what machine all that was."""
    machine = document["machine"]
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "kopf", "kubernetes", "aiohttp", "requests"))
    setting = (
        f"Measured {document['date']} by `{document['command']}`: jobs that run, evenly over {document['vaults']} vaults of "
        f"one subscription, polled every {document['interval_seconds']} s; {document['reads_per_second']} reads/s allowed. "
        f"{machine['cores']} cores ({machine['cpu']}), which API server and Azure simulator share; load before: "
        f"{machine['load_before']}; {versions}."
    )
    measured = [result for result in sorted(results, key=_order) if not result.extrapolated]
    lines = [
        setting,
        "",
        _row(HEADER),
        _row(["--:", "---", *["--:"] * (len(HEADER) - 2)]),
        *(_row(_cells(result)) for result in sorted(results, key=_order)),
        "",
        "\\* reckoned along the line through the peer's two smaller runs, not measured.",
        "",
        "Every operator begins with the same objects, none of which has a status: start-up lasts from the start of its process",
        "until each watch has one (the floor: until each timer has fired); modules were compiled before, as in the image, and",
        "the API server's garbage collector is told to spare time (GOGC=800). What is per minute was measured in a window that",
        f"began {WARM_UP:g} s later and lasted {_windows(results)} min, while one job of a hundred, ten at least, ended. Lag is from",
        "the end of such a job to its open gate. Reads are those of exactly so many minutes: a list that is made each 30 s is",
        "made once too often in a window that is a second too long. The event loop's lag is the bound of a histogram's bucket.",
        "In the end, 1,000 jobs (or the number in brackets) ended at one instant: the last column is the time until the last",
        "gate was open.",
        "A status that says nothing new is written again after five minutes; of 10,000 watches after 15 to 30, which no window",
        "reaches: about seven writes a second, on average, are not in their figures.",
        "",
        _row(["goal", "limit", "measured", ""]),
        _row(["---", "--:", "--:", "---"]),
        *(_row([goal.name, goal.limit, goal.measured, goal.verdict]) for goal in goals(results)),
        "",
        "What the servers used of the same cores (front: what stands before the API server), CPU s/min:",
        "",
        *_processes(measured, [result.others for result in measured]),
        "",
        "What start-up took of them in all, CPU s:",
        "",
        *_processes(measured, [result.start_up_cpu for result in measured]),
    ]
    return "\n".join(lines) + "\n"


def _windows(results: Sequence[Result]) -> str:
    minutes = sorted({round(result.minutes, 1) for result in results if not result.extrapolated})
    return " or ".join(f"{each:g}" for each in minutes)


def _cells(result: Result) -> list[str]:
    mark = "\\*" if result.extrapolated else ""
    asks = result.operator != "floor"

    def cell(value: float | None, form: str = ",.0f") -> str:
        return NOTHING if value is None or math.isnan(value) else format(value, form) + mark

    def asked(value: float | None, form: str = ",.0f") -> str:
        return cell(value, form) if asks else NOTHING

    crowd = asked(result.crowd_seconds, ".1f")
    return [
        f"{result.watches:,}",
        OPERATORS[result.operator],
        cell(result.cpu_per_minute, ".2f"),
        cell(result.memory),
        asked(result.reads_per_minute),
        asked(result.list_pages_per_minute),
        asked(result.status_writes_per_minute),
        asked(result.lag_p50, ".1f"),
        asked(result.lag_p99, ".1f") + (f" ({result.changes_unseen} not seen)" if result.changes_unseen else ""),
        cell(result.start_up, ".1f"),
        cell(result.loop_lag_p99, "g"),
        f"{crowd} ({result.crowd})" if result.crowd not in (0, 1000) else crowd,
    ]


def _processes(results: Sequence[Result], costs: Sequence[Mapping[str, float]]) -> list[str]:
    names = list(costs[0]) if costs else []
    return [
        _row(["watches", "operator", *("itself" if name == "operator" else name for name in names)]),
        _row(["--:", "---", *["--:"] * len(names)]),
        *(
            _row([f"{result.watches:,}", OPERATORS[result.operator], *(f"{cost[name]:.1f}" for name in names)])
            for result, cost in zip(results, costs, strict=True)
        ),
    ]


def _order(result: Result) -> tuple[int, int]:
    return result.watches, list(OPERATORS).index(result.operator)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
