"""docs/terminal.md has working examples, correct tables, and tests for the az comparison."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Final

import click
import pytest

from backupjobwatch.cli.watch import watch
from backupjobwatch.terminal import exit_codes
from demo.simulator import ManualClock, running_simulator
from tests.contract.markdown import blocks, code, plain, table
from tests.contract.project import ROOT, read
from tests.support.az import Az
from tests.support.azure import SUBSCRIPTION_ID
from tests.support.builders import job_payload
from tests.support.canary import TOKEN, scan
from tests.support.commands import install
from tests.support.watching import watch_settings

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT: Final = read("docs/terminal.md")
EXAMPLES: Final = blocks(DOCUMENT.partition("## Examples")[2].partition("## Shell completion")[0], "sh")
JOB: Final = "41f3e94b-ae6b-4a20-b422-65abfcaf03e5"
ROWS: Final = table(DOCUMENT, "when")


def test_each_row_beside_az_has_its_test(request: pytest.FixtureRequest) -> None:
    """All cells are filled, each row has a different test, and pytest collects each test."""
    named = [plain(row["test"]) for row in ROWS]
    assert all(cell for row in ROWS for cell in row.values())
    assert len(set(named)) == len(named) > 15
    collected: set[str] = set()
    for file in {name.partition("::")[0] for name in named}:
        module = pytest.Module.from_parent(request.session, path=ROOT / file)
        names = [item.nodeid for item in request.session.genitems(module)]
        collected |= {*names, *(name.partition("[")[0] for name in names)}
    assert set(named) <= collected


def test_exit_codes_are_the_codes() -> None:
    """The table has every exit code."""
    told = {int(number) for row in table(DOCUMENT, "code") for number in re.findall(r"\d+", row["code"])}
    codes = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert told == codes | {143}


def test_options_are_options() -> None:
    """Every option in the text exists, and the documented defaults are the command's."""
    options = {option: param for param in watch.params for option in param.opts}
    text = DOCUMENT.partition("## Comparison")[0]
    named = {
        piece.split()[0] for piece in code(text) if piece.startswith("-") and piece != "-" and "--identity" not in piece
    }
    assert named <= options.keys()
    defaults = {plain(row["option"]): plain(row["default"]) for row in table(DOCUMENT, "option")}
    assert defaults.pop("--timeout") == "one year"
    assert options["--timeout"].default == f"{365 * 24 * 3600}s"
    own = {option: options[option].get_default(click.Context(watch)) for option in defaults}
    assert defaults == {option: default if isinstance(default, str) else "" for option, default in own.items()}


@pytest.mark.parametrize(
    ("status", "example", "told"),
    [
        ("Completed", 0, "The upgrade can start.\n"),
        ("Failed", 0, ""),
        ("Completed", 1, ""),
        ("Completed", 2, "succeeded\n"),
        ("CompletedWithWarnings", 2, "succeeded, with warnings\n"),
        ("Failed", 2, "failed\n"),
        ("Failed", 3, ""),
        ("Completed", 4, ""),
    ],
)
def test_examples_run(tmp_path: Path, status: str, example: int, told: str) -> None:
    """Each example works with a stand-in for az and the simulator."""
    assert len(EXAMPLES) == 5
    home = tmp_path / "bin"
    home.mkdir()
    install("backupjobwatch", home)
    az = Az(home)
    with running_simulator(clock=ManualClock(), tokens={TOKEN: "somebody"}) as sim:
        job = sim.add_vault(SUBSCRIPTION_ID, "rg-backup", "rsv-prod").set_job(JOB, job_payload(status=status))
        az.answer(job)
        environment = watch_settings(sim.url)
        done = subprocess.run(
            ["bash", "-eu", "-c", EXAMPLES[example]],
            cwd=tmp_path,
            env={**environment, "PATH": az.path(environment["PATH"]), "JOB_ID": job, "SUBSCRIPTION": SUBSCRIPTION_ID},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
    scan("an example", done.stdout + done.stderr)
    assert "Usage" not in done.stderr, done.stderr
    assert len(sim.requests) == 1
    assert done.stdout.endswith(told)
    if EXAMPLES[example].count("job.json"):
        assert '"phase": "Failed"' in (tmp_path / "job.json").read_text()
        assert "Failed" in (tmp_path / "progress.log").read_text()
    if example == 0:
        assert ("can start" in done.stdout, done.returncode) == ((True, 0) if status == "Completed" else (False, 1))
