"""Shell completion of `kubectl bjw`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.plugin import AGENT, Plugin, Written

if TYPE_CHECKING:
    from demo.controlplane import Faults

NO_FILES = ":4"
FILES = ":0"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("",), ["create", "list", "tasks", "wait"]),
        (("w",), ["wait"]),
        (("list", "--al"), ["--all-namespaces"]),
        (("list", "-o", ""), ["json", "yaml", "name"]),
        (("create", "--vault-kind="), ["RecoveryServices", "BackupVault"]),
        (("create", "--dry-run", "s"), ["server"]),
        (("nothing", ""), ["create", "list", "tasks", "wait"]),
    ],
)
def test_words(plugin: Plugin, words: tuple[str, ...], offered: list[str]) -> None:
    """Completion offers commands, options and their values, and no files."""
    assert plugin.complete(*words) == (offered, NO_FILES)


def test_files(plugin: Plugin) -> None:
    """For a file argument, the shell offers its own candidates."""
    assert plugin.complete("list", "--kubeconfig", "") == ([], FILES)


def test_names(plugin: Plugin, written: Written) -> None:
    """Names of watches and namespaces come from the cluster. Names on the line are not offered again."""
    for name in ("daily", "daily-2", "weekly"):
        written.create(name)
    where = ("-n", plugin.namespace)
    assert plugin.complete("wait", *where, "") == (["daily", "daily-2", "weekly"], NO_FILES)
    assert plugin.complete("wait", *where, "bjw/daily", "bjw/d") == (["bjw/daily-2"], NO_FILES)
    assert plugin.complete("wait", *where, "daily", "d") == (["daily-2"], NO_FILES)
    assert plugin.complete("tasks", *where, "w") == (["weekly"], NO_FILES)
    assert plugin.complete(*where, "tasks", "w") == (["weekly"], NO_FILES)
    assert plugin.complete("list", "-n", plugin.namespace[:-1]) == ([plugin.namespace], NO_FILES)
    contexts, directive = plugin.complete("list", "--context", "")
    assert (len(contexts), directive) == (1, NO_FILES)


def test_kubectl_finds_it(plugin: Plugin, written: Written) -> None:
    """kubectl runs `kubectl_complete-bjw` for its completion scripts."""
    written.create("daily")
    assert plugin.complete_by_kubectl("wait", "-n", plugin.namespace, "") == (["daily"], NO_FILES)


@pytest.mark.parametrize("status", [403, None])
def test_silence(plugin: Plugin, written: Written, faults: Faults, status: int | None) -> None:
    """If the cluster refuses or is unreachable, completion offers and prints nothing, within seconds."""
    from demo.controlplane import Fault

    written.create("daily")
    faults.add(Fault(path="/", agent=AGENT, status=status))
    started = time.monotonic()
    assert plugin.complete("wait", "-n", plugin.namespace, "") == ([], NO_FILES)
    assert plugin.complete("list", "-n", "") == ([], NO_FILES)
    assert plugin.complete("wait", "--kubeconfig", "/nowhere", "") == ([], NO_FILES)
    assert plugin.complete("wait", "--context", "nowhere", "--context", "") == plugin.complete("list", "--context", "")
    assert time.monotonic() - started < 40
