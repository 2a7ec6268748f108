"""What the documents say of the operator's cost is what ``make bench`` has measured and published, and nothing else."""

from __future__ import annotations

import json
import re
from typing import Final

from tests.bench.__main__ import PUBLISHED
from tests.support.commands import ROOT

README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
COSTS: Final = README[README.index("## What it costs") : README.index("## Where to look when it fails")]


def test_the_readme_quotes_the_report() -> None:
    """Each line of the README's table is one of the report's."""
    rows = [line for line in COSTS.splitlines() if line.startswith("|")]
    report = (PUBLISHED / "results.md").read_text(encoding="utf-8").splitlines()

    assert len(rows) >= 5
    assert [row for row in rows if row not in report] == []


def test_the_report_is_of_all_operators_side_by_side() -> None:
    """One run measured the floor, the peer and ours at each number of watches, but for the peer at that which drowns it."""
    published = json.loads((PUBLISHED / "results.json").read_text(encoding="utf-8"))
    measured = {(each["operator"], each["watches"]) for each in published["results"] if not each["extrapolated"]}

    assert measured == {
        *((operator, watches) for operator in ("floor", "ours") for watches in (100, 1000, 10_000)),
        ("peer", 100),
        ("peer", 1000),
    }
    assert published["command"].replace("python -m tests.bench ", "make bench ARGS=") in COSTS


def test_the_plots_are_there() -> None:
    """The pictures that the README and the report show were published with them."""
    shown = re.findall(r"!\[[^]]*\]\(docs/bench/(\w+\.svg)\)", COSTS)

    assert shown
    assert {path.name for path in PUBLISHED.glob("*.svg")} >= set(shown)
