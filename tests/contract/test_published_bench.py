"""The documents quote the operator's cost as ``make bench`` measured and published it."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest

from tests.bench.__main__ import PUBLISHED
from tests.support.commands import ROOT

README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
COST: Final = " ".join(README[README.index("## Cost") : README.index("## Troubleshoot")].split())
REPORT: Final = (PUBLISHED / "results.md").read_text(encoding="utf-8")
RESULTS: Final[dict[str, Any]] = json.loads((PUBLISHED / "results.json").read_text(encoding="utf-8"))


def figures(operator: str) -> dict[str, float]:
    """Return the figures of one operator with 10,000 watches."""
    (found,) = (each for each in RESULTS["results"] if (each["operator"], each["watches"]) == (operator, 10_000))
    reads = found["list_pages_per_minute"] + found["job_gets_per_minute"]
    return {"cpu": found["cpu_per_minute"], "memory": found["memory"], "reads": reads}


@pytest.mark.parametrize(
    ("operator", "figure", "sentence"),
    [
        ("ours", "cpu", r"about ([\d,]+) CPU seconds per minute"),
        ("ours", "memory", r"and ([\d,]+) MB of memory"),
        ("ours", "reads", r"about ([\d,]+) requests per minute"),
        ("peer", "reads", r"instead of ([\d,]+) with one GET"),
    ],
)
def test_the_readme_has_the_figures(operator: str, figure: str, sentence: str) -> None:
    """The figures in the README are within 10 % of the report."""
    (told,) = re.findall(sentence, COST)
    assert float(told.replace(",", "")) == pytest.approx(figures(operator)[figure], rel=0.1)


def test_the_report_compares_all_operators() -> None:
    """One run measured the baseline, the peer and the operator at each number of watches, except the peer at 10,000."""
    measured = {(each["operator"], each["watches"]) for each in RESULTS["results"] if not each["extrapolated"]}

    assert measured == {
        *((operator, watches) for operator in ("floor", "ours") for watches in (100, 1000, 10_000)),
        ("peer", 100),
        ("peer", 1000),
    }
    assert f"`{RESULTS['command']}`" in REPORT


def test_the_plots_exist() -> None:
    """The pictures of the report are published with it."""
    shown = re.findall(r"!\[[^]]*\]\((\w+\.svg)\)", REPORT)

    assert shown
    assert {path.name for path in PUBLISHED.glob("*.svg")} >= set(shown)
