"""Draw a Grafana dashboard as SVG: the layout of its panels, with the results of its queries."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from demo.prometheus.server import Series

COLUMN, ROW, GAP, HEAD = 50, 22, 6, 58
"""The width of a grid column, and the height of a row, a gap and the header, in pixels."""
COLOURS: Final = ("#3274d9", "#e0752d", "#299c46", "#c4162a", "#8f3bb8", "#b7950b", "#0f8a8a", "#7a7a7a", "#d683ce")
MOST: Final = len(COLOURS)
"""The maximum number of series in a panel. The legend gives the number of the others."""
ROWS: Final = 7
TWO_MINUTES: Final = 120.0
_CHARACTER: Final = 6.3
_HIDDEN: Final = frozenset({"__name__", "instance", "job", "pod"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series of a panel, with its name in the legend."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The time range of the picture, in Unix seconds."""

    start: float
    end: float


def draw(
    title: str,
    note: Sequence[str],
    panels: Sequence[tuple[Mapping[str, Any], Sequence[tuple[str, Series]]]],
    span: Span,
) -> str:
    """Return the picture. *panels* pairs each panel with its series and their legend formats."""
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel, _ in panels)
    width, height = 24 * COLUMN + GAP, HEAD + bottom * ROW + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="10">',
        f'<rect width="{width}" height="{height}" fill="#f4f5f5"/>',
        f'<text x="{GAP}" y="19" font-size="15" font-weight="bold">{escape(title)}</text>',
        *(
            f'<text x="{GAP}" y="{35 + number * 14}" fill="#555">{escape(line)}</text>'
            for number, line in enumerate(note)
        ),
    ]
    for panel, found in panels:
        parts += _panel(panel, found, span)
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Mapping[str, Any], found: Sequence[tuple[str, Series]], span: Span) -> Iterator[str]:
    place = panel["gridPos"]
    width, height = place["w"] * COLUMN - GAP, place["h"] * ROW - GAP
    yield f'<g transform="translate({place["x"] * COLUMN + GAP},{HEAD + place["y"] * ROW})">'
    yield f'<rect width="{width}" height="{height}" rx="2" fill="#fff" stroke="#d8d9da"/>'
    yield f'<text x="8" y="15" font-weight="bold" fill="#333">{escape(panel["title"])}</text>'
    unit = panel["fieldConfig"]["defaults"]["unit"]
    if panel["type"] == "stat":
        value = found[0][1].points[-1][1] if found else math.nan
        yield f'<text x="{width / 2:.0f}" y="{height - 18}" font-size="30" text-anchor="middle">{show(value, unit)}</text>'
    elif panel["type"] == "table":
        yield from _table([series.labels for _, series in found], width)
    else:
        lines = [Line(name=_legend(legend, series.labels), points=series.points) for legend, series in found]
        yield from _graph(lines, unit, width, height, span)
    yield "</g>"


def _graph(lines: Sequence[Line], unit: str, width: int, height: int, span: Span) -> Iterator[str]:
    lines = sorted(lines, key=lambda line: -max(_numbers(line), default=0.0))
    drawn = lines[:MOST]
    left, top, right, bottom = 46, 26, width - 18, height - 42
    highest = _round_up(max((number for line in drawn for number in _numbers(line)), default=0.0))

    def x(at: float) -> float:
        return left + (at - span.start) / (span.end - span.start) * (right - left)

    def y(value: float) -> float:
        return bottom - max(value, 0.0) / highest * (bottom - top)

    for share in (0.0, 0.5, 1.0):
        level = y(highest * share)
        yield f'<path d="M{left} {level:.1f}H{right}" stroke="#e4e5e6"/>'
        yield f'<text x="{left - 5}" y="{level + 3:.1f}" text-anchor="end" fill="#666">{show(highest * share, unit)}</text>'
    for minute in range(int((span.end - span.start) // 60) + 1):
        at = x(span.start + minute * 60)
        yield f'<text x="{at:.0f}" y="{bottom + 12}" text-anchor="middle" fill="#666">{minute} min</text>'
    for colour, line in zip(COLOURS, drawn, strict=False):
        points = [(x(at), None if math.isnan(value) else y(value)) for at, value in line.points]
        if path := _path(points):
            yield f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>'
    yield from _legends([line.name for line in drawn], len(lines) - len(drawn), width, height)


def _path(points: Sequence[tuple[float, float | None]]) -> str:
    """Join the points, except across gaps: a missing value, or a distance above 1.5 steps."""
    step = min((after - before for (before, _), (after, _) in pairwise(points)), default=math.inf)
    path, last = "", -math.inf
    for x, y in points:
        if y is not None:
            path += f"{'L' if x - last < 1.5 * step else 'M'}{x:.0f} {y:.1f}"
            last = x
    return path


def _legends(names: Sequence[str], left_out: int, width: int, height: int) -> Iterator[str]:
    x, y = 10.0, height - 18
    for colour, name in zip(
        (*COLOURS, "#fff"), [*names, *([f"and {left_out} more"] if left_out else [])], strict=False
    ):
        room = 20 + len(name) * _CHARACTER
        if x + room > width and y < height - 6:
            x, y = 10.0, height - 5
        if x + room > width:
            yield f'<text x="{x:.0f}" y="{y}" fill="#444">…</text>'
            return
        yield f'<rect x="{x:.0f}" y="{y - 7}" width="8" height="8" fill="{colour}"/>'
        yield f'<text x="{x + 12:.0f}" y="{y}" fill="#444">{escape(name)}</text>'
        x += room


def _table(rows: Sequence[Mapping[str, str]], width: int) -> Iterator[str]:
    columns = sorted({label for row in rows for label in row} - _HIDDEN)
    wide = (width - 16) / max(len(columns), 1)
    cells = [columns, *([row.get(column, "") for column in columns] for row in rows[:ROWS])]
    for line, row in enumerate(cells):
        for column, text in enumerate(row):
            fill = "#888" if line == 0 else "#333"
            yield f'<text x="{8 + column * wide:.0f}" y="{34 + line * 17}" fill="{fill}">{escape(text)}</text>'
    more = f"and {len(rows) - ROWS} more" if len(rows) > ROWS else "" if rows else "none"
    yield f'<text x="8" y="{34 + len(cells) * 17}" fill="#888">{more}</text>'


def _legend(template: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), template).strip()


def _numbers(line: Line) -> list[float]:
    return [value for _, value in line.points if not math.isnan(value)]


def _round_up(value: float) -> float:
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if value <= step * power)


_UNITS: Final = {"bytes": (2**-20, " MiB"), "percentunit": (100.0, " %"), "reqps": (1.0, "/s"), "wps": (1.0, "/s")}


def show(value: float, unit: str) -> str:
    """Format *value* briefly in one of Grafana's units."""
    if math.isnan(value):
        return "none"
    factor, suffix = _UNITS.get(unit, (1.0, ""))
    if unit == "s":
        factor, suffix = (1000.0, " ms") if 0 < value < 1 else (1 / 60, " min") if value >= TWO_MINUTES else (1.0, " s")
    return f"{value * factor:.3g}{suffix}"
