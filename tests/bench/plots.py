"""Plot the costs against the number of watches, with one SVG for each kind of cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.bench.result import Result

    Figure = Callable[[Result], float | None]

COLOURS: Final = {"floor": "#7a7a7a", "peer": "#e0752d", "ours": "#3274d9"}
NAMES: Final = {"floor": "floor (kopf alone)", "peer": "peer (dashed: extrapolated)", "ours": "BackupJobWatch"}
PLOTS: Final[tuple[tuple[str, str, bool, Figure], ...]] = (
    ("cpu", "CPU seconds per minute", True, lambda result: result.cpu_per_minute),
    ("memory", "Resident memory, MB", True, lambda result: result.memory),
    ("reads", "Azure reads per minute", False, lambda result: result.reads_per_minute),
    ("writes", "Status writes per minute", False, lambda result: result.status_writes_per_minute),
)
"""The file name, the axis label, whether the floor has this cost, and the value."""


def draw_plots(results: Sequence[Result], folder: Path) -> list[Path]:
    """Draw the plots into *folder* and return the files. The output is reproducible."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "backupjobwatch", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})
    return [
        _draw(folder / f"{name}.svg", label, [each for each in results if floor or each.operator != "floor"], figure)
        for name, label, floor, figure in PLOTS
    ]


def _draw(path: Path, label: str, results: Sequence[Result], figure: Figure) -> Path:
    from matplotlib import pyplot as plt

    picture, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for operator in NAMES:
        _line(axes, operator, [each for each in results if each.operator == operator], figure)
    sizes = sorted({result.watches for result in results})
    axes.set(xscale="log", yscale="log", xlabel="Watches", ylabel=label)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.legend()
    picture.savefig(path, metadata={"Date": None})
    plt.close(picture)
    return path


def _line(axes: Any, operator: str, results: Sequence[Result], figure: Figure) -> None:
    points = sorted((each.watches, figure(each), each.extrapolated) for each in results)
    measured = [(watches, value) for watches, value, extrapolated in points if not extrapolated]
    reckoned = [*measured[-1:], *((watches, value) for watches, value, extrapolated in points if extrapolated)]
    colour = COLOURS[operator]
    if measured:
        axes.plot(*zip(*measured, strict=True), marker="o", color=colour, label=NAMES[operator])
    if len(reckoned) > 1:
        style = {"marker": "o", "markerfacecolor": "white", "markevery": slice(1, None), "linestyle": "--"}
        axes.plot(*zip(*reckoned, strict=True), color=colour, **style)
