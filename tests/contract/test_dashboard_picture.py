"""The documented dashboard picture is current and small, and states its source."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

import pytest

from demo.dashboard.drawing import MOST, Span, draw, show
from demo.prometheus.server import Series
from tests.contract.monitoring import DASHBOARD
from tests.contract.project import read

PICTURE: Final = read("docs/dashboard.svg")
TITLES: Final = [panel["title"] for panel in DASHBOARD["panels"]]
SPAN: Final = Span(start=0.0, end=300.0)


def texts(svg: str) -> list[str]:
    """Return the text elements of a picture."""
    return [element.text or "" for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_picture_is_of_the_dashboard() -> None:
    """The picture has every panel of the dashboard, in the same order, and states how it was made."""
    written = texts(PICTURE)
    assert [text for text in written if text in TITLES] == TITLES
    assert "drawn by `make dashboard`, not by Grafana" in written[1]
    assert len(PICTURE) < 150_000


def test_hostile_labels_stay_text() -> None:
    """Labels are drawn verbatim, including special characters."""
    panel = next(panel for panel in DASHBOARD["panels"] if panel["type"] == "timeseries")
    odd = "</text><script>&"
    svg = draw("t", ["n"], [(panel, [("{{phase}}", Series({"phase": odd}, [(0.0, 1.0), (3.0, 2.0)]))])], SPAN)
    assert odd in texts(svg)
    assert "<script>" not in svg


def test_missing_samples_leave_gaps() -> None:
    """Missing samples leave gaps in a line, and the picture states how much it omits."""
    panel = next(panel for panel in DASHBOARD["panels"] if panel["title"] == "Memory")
    points = [(0.0, 1.0), (3.0, 1.0), (6.0, float("nan")), (9.0, 1.0), (60.0, 1.0), (63.0, 1.0)]
    svg = draw("t", ["n"], [(panel, [("", Series({}, points))] * (MOST + 2))], SPAN)
    (path, *_) = (line for line in svg.splitlines() if 'stroke-width="1.4"' in line)
    assert path.count("M") == 3
    assert "and 2 more" in texts(svg)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "s", "0 s"),
        (0.0312, "s", "31.2 ms"),
        (59.0, "s", "59 s"),
        (600.0, "s", "10 min"),
        (64 * 2**20, "bytes", "64 MiB"),
        (0.125, "percentunit", "12.5 %"),
        (2.5, "reqps", "2.5/s"),
        (42.0, "short", "42"),
        (float("nan"), "short", "none"),
    ],
)
def test_units(value: float, unit: str, text: str) -> None:
    """Values have the units of the dashboard."""
    assert show(value, unit) == text
