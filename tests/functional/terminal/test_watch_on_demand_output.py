"""Where ``backupjobwatch watch --on-demand`` prints the ID of its request."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.pictures.terminal import PATIENCE
from tests.functional.terminal.backups import BACKUP_OF_VM, add_vault, posts, running_azure, wait_for
from tests.support.commands import Command, full_pipe
from tests.support.watching import WatchTerminal, watch_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.simulator import AzureSimulator, Vault


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_azure() as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    return add_vault(sim)


def test_a_terminal(sim: AzureSimulator, vault: Vault) -> None:
    """The ID of the request stays visible above the live view."""
    with WatchTerminal(watch_settings(sim.url), *BACKUP_OF_VM) as terminal:
        assert terminal.wait() == 0
        (request_id,) = posts(sim)
        assert request_id in "".join(terminal.words.split())
        assert re.search(r"Succeeded +Backup of vm1", terminal.words)


def test_a_terminal_and_a_file(sim: AzureSimulator, vault: Vault, tmp_path: Path) -> None:
    """With a live view, the ID of the request still goes to standard error if that is a file."""
    with WatchTerminal(watch_settings(sim.url), *BACKUP_OF_VM, stderr=tmp_path / "err") as terminal:
        assert terminal.wait() == 0
        (request_id,) = posts(sim)
        assert f"The activity ID of its job is {request_id}.\n" in (tmp_path / "err").read_text()


def test_an_id_that_cannot_be_printed(sim: AzureSimulator, vault: Vault) -> None:
    """If the command cannot print the ID of the request, it requests nothing."""
    with Path("/dev/full").open("w") as full:
        process = Command("backupjobwatch", "watch", *BACKUP_OF_VM, environment=watch_settings(sim.url), errors=full)
    process.communicate(timeout=PATIENCE)
    assert (process.returncode, posts(sim)) == (3, [])


def test_a_full_pipe(sim: AzureSimulator, vault: Vault) -> None:
    """If standard error is a full pipe, the command requests nothing, and a signal still ends it."""
    with full_pipe() as full:
        process = Command("backupjobwatch", "watch", *BACKUP_OF_VM, environment=watch_settings(sim.url), errors=full)
        with process:
            try:
                wait_for(lambda: sim.requests_to("/backupProtectedItems$"))
                for _ in range(3):
                    process.terminate()
                assert process.wait(PATIENCE) == 143
            finally:
                process.kill()
    assert posts(sim) == []
