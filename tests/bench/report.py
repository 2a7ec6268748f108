"""Write the report: the table of measurements, the goals and the plots."""

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
    """Write the table and the plots into *folder*, and return their paths."""
    path = folder / "results.md"
    path.write_text(as_markdown(document, results), encoding="utf-8")
    return [path, *draw_plots(results, folder)]


def as_markdown(document: Mapping[str, Any], results: Sequence[Result]) -> str:
    """Return the page with the setup, the table, the goals and the costs of the servers."""
    machine = document["machine"]
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "kopf", "kubernetes", "aiohttp", "requests"))
    setting = (
        f"`{document['command']}` measured these figures on {document['date']}. The jobs run in {document['vaults']} vaults of one "
        f"subscription, and each watch is polled every {document['interval_seconds']} s. The read budget is "
        f"{document['reads_per_second']} reads/s. The API server and the Azure simulator share the {machine['cores']} cores "
        f"({machine['cpu']}) with the operator. Load before the run: {machine['load_before']}. Versions: {versions}."
    )
    measured = [result for result in sorted(results, key=_order) if not result.extrapolated]
    lines = [
        "# Benchmark",
        "",
        "This page compares the cost of the operator with that of two others. The *floor* is kopf alone, whose timers do nothing. The",
        "*peer* is a plain operator with one GET and one patch per watch and tick.",
        "",
        setting,
        "",
        _row(HEADER),
        _row(["--:", "---", *["--:"] * (len(HEADER) - 2)]),
        *(_row(_cells(result)) for result in sorted(results, key=_order)),
        "",
        "\\* extrapolated from the two smaller runs of the peer, not measured.",
        "",
        "![CPU seconds per minute, by the number of watches](cpu.svg)",
        "",
        "- Every operator starts with the same objects, without a status. Modules are already compiled, as in the image. The API",
        "  server runs with GOGC=800, which reduces garbage collection.",
        "- *Start-up* is the time until each watch has a status. For the floor, it is the time until each timer has fired.",
        f"- Figures per minute are from a window that starts {WARM_UP:g} s later and lasts {_windows(results)} min. In this",
        "  window, one percent of the jobs end, but at least ten.",
        "- *Status lag* is the time from the end of such a job until its gate is open.",
        "- *Event-loop lag* is the upper bound of a histogram bucket.",
        "- *1,000 gates*: at the end of the run, 1,000 jobs (or the number in brackets) end at the same time. The column shows the time until the",
        "  last gate is open.",
        "- Heartbeats are missing in the windows for 10,000 watches. They come after 15 to 30 minutes, and add about seven writes per",
        "  second.",
        "",
        _row(["goal", "limit", "measured", ""]),
        _row(["---", "--:", "--:", "---"]),
        *(_row([goal.name, goal.limit, goal.measured, goal.verdict]) for goal in goals(results)),
        "",
        "CPU s/min of the servers on the same cores (*front* is the proxy before the API server):",
        "",
        *_processes(measured, [result.others for result in measured]),
        "",
        "CPU s of the whole start-up:",
        "",
        *_processes(measured, [result.start_up_cpu for result in measured]),
    ]
    return "\n".join(lines) + "\n"


def _windows(results: Sequence[Result]) -> str:
    minutes = sorted({round(result.minutes, 1) for result in results if not result.extrapolated})
    return " or ".join(f"{each:g}" for each in minutes)


def _cells(result: Result) -> list[str]:
    mark = "\\*" if result.extrapolated else ""
    polls = result.operator != "floor"

    def cell(value: float | None, form: str = ",.0f") -> str:
        return NOTHING if value is None or math.isnan(value) else format(value, form) + mark

    def if_polling(value: float | None, form: str = ",.0f") -> str:
        return cell(value, form) if polls else NOTHING

    crowd = if_polling(result.crowd_seconds, ".1f")
    return [
        f"{result.watches:,}",
        OPERATORS[result.operator],
        cell(result.cpu_per_minute, ".2f"),
        cell(result.memory),
        if_polling(result.reads_per_minute),
        if_polling(result.list_pages_per_minute),
        if_polling(result.status_writes_per_minute),
        if_polling(result.lag_p50, ".1f"),
        if_polling(result.lag_p99, ".1f") + (f" ({result.changes_unseen} not seen)" if result.changes_unseen else ""),
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
