"""Render all recorded responses of Azure in a directory, and report problems in the statuses.

``python -m tests.recordings DIR`` prints a table and exits with 1 if a status has a problem.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.recordings.recording import load
from tests.recordings.rendering import Rendered, render

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEADS: Final = ("KIND", "COUNT", "PHASE", "REASON", "PROBLEMS")


def report(results: Iterable[Rendered]) -> tuple[str, int]:
    """Return a table of *results*, with a line for each problem, and the exit code."""
    every = list(results)
    counts = Counter((each.kind, each.phase, each.reason) for each in every)
    problems = Counter((each.kind, each.phase, each.reason) for each in every if each.problems)
    rows = [
        (kind, str(count), phase or "-", reason, str(problems[kind, phase, reason]))
        for (kind, phase, reason), count in sorted(counts.items())
    ]
    widths = [max(map(len, column)) for column in zip(HEADS, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (HEADS, *rows)
    ]
    lines += [f"{each.recording}: {problem}" for each in every for problem in each.problems]
    skipped = sum(each.is_skipped for each in every)
    lines.append(
        f"{len({each.recording for each in every})} files, {sum(each.body is not None for each in every)} statuses, "
        f"{skipped} skipped, {sum(problems.values())} with problems"
    )
    return "\n".join(lines), int(bool(problems))


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, print the report and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.recordings", description=__doc__)
    parser.add_argument("directory", type=Path, help="a directory of recorded answers, with an optional SOURCES.tsv")
    directory = parser.parse_args(arguments).directory
    if not directory.is_dir():
        parser.error(f"{directory} is not a directory")
    results = [each for recording in load(directory) for each in render(recording)]
    if not results:
        parser.error(f"{directory} has no recordings")
    text, code = report(results)
    print(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
