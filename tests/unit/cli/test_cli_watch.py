"""``backupjobwatch watch`` without requests: invalid input, help and shell completion."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import click
import pytest
from click.shell_completion import ShellComplete

from backupjobwatch.cli import COMMANDS, main
from tests.support.builders import JOB_ID, JOB_NAME, RESOURCE_GROUP, SUBSCRIPTION, VAULT, VAULT_ID
from tests.support.canary import WORD
from tests.support.command import invoke
from tests.support.commands import Command, install
from tests.support.operator_process import clean_environment

if TYPE_CHECKING:
    from pathlib import Path

OF_VAULT = ("-s", SUBSCRIPTION, "-g", RESOURCE_GROUP, "-v", VAULT)

ON_DEMAND = ("--on-demand", "--item", "vm1", *OF_VAULT)
ITEM_ID = f"{VAULT_ID}/backupFabrics/Azure/protectionContainers/c/protectedItems/i"


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ([], "Name at least one job: a resource ID, a URL, a GUID with the options of its vault, or --item."),
        (["nightly"], "nightly names no job. Use its resource ID, /subscriptions/{UUID}/"),
        ([JOB_NAME], f"{JOB_NAME} does not identify its vault. Add --subscription, --resource-group and --vault-name."),
        (["/subscriptions/x"], "/subscriptions/x names no job."),
        ([f"{JOB_ID}/"[:-3]], "names no job."),
        (["--operation-id", "nightly", *OF_VAULT], "nightly names no operation."),
        ([JOB_NAME, *OF_VAULT[2:]], f"{JOB_NAME} does not identify its vault. Add --subscription."),
        ([JOB_NAME, "-v", VAULT], "does not identify its vault. Add --subscription and --resource-group."),
        (
            [JOB_NAME, *OF_VAULT, "-s", "production"],
            "Invalid value for --subscription: must be the subscription's UUID, got",
        ),
        (
            [JOB_NAME, *OF_VAULT, "-g", "rg."],
            "Invalid value for --resource-group: must be the resource group's name",
        ),
        ([JOB_NAME, *OF_VAULT, "-v", "a/b"], "Invalid value for --vault-name: must be the vault's name"),
        ([JOB_ID, "--vault-kind", "Disk"], "'Disk' is not one of"),
        (["--item", "vm1"], "--item requires --vault-name, --resource-group and --subscription."),
        (["--operation", "Restore", JOB_ID], "require --item. Add --item."),
        (
            ["--item", "vm1", *OF_VAULT, "--started-after", "monday"],
            "must be a time such as 2026-03-04T01:00:00Z, or 2h for two hours ago, got 'monday'",
        ),
        (["--completed-within", "24h", JOB_ID], "--completed-within require --item. Add --item."),
        (["--item", "vm1", *OF_VAULT, "--completed-within", "1d"], "--completed-within must be a duration such as 24h"),
        (["--item", "vm1", *OF_VAULT, "--completed-within", "625h"], "--completed-within must be at most 624h for a"),
        (
            ["--item", "vm1", *OF_VAULT, "--completed-within", "24h", "--started-after", "2026-03-04T01:00:00Z"],
            "--completed-within must not be set with --started-after. Remove one of them.",
        ),
        (
            ["--item", "vm1", *OF_VAULT, "--started-after", "2020-01-01T00:00:00Z"],
            "--started-after must be at most 29 days",
        ),
        (["--item", "", *OF_VAULT], "--item must be the name of a protected item"),
        (["--on-demand", *OF_VAULT], "--on-demand requires an item. Add --item or --protected-item-id."),
        (
            ["--item", "vm1", "--on-demand"],
            "The item vm1 does not identify its vault. Add --subscription, --resource-g",
        ),
        (["--item", "vm1", *OF_VAULT, "--retain-for", "30d"], "--retain-for must not be set without --on-demand. Add"),
        ([*ON_DEMAND, "--operation", "Backup"], "--operation must not be set with --on-demand, which starts a new"),
        ([*ON_DEMAND, "--started-after", "2h"], "--started-after must not be set with --on-demand, which starts a"),
        ([*ON_DEMAND, "--completed-within", "2h"], "--completed-within must not be set with --on-demand, which"),
        ([*ON_DEMAND, "--protected-item-id", ITEM_ID], "both name the item. Remove one of them."),
        (
            ["--on-demand", "--protected-item-id", ITEM_ID, "--container", "c"],
            "--container must not be set with --protected-item-id, which names it. Remove --container.",
        ),
        (
            ["--on-demand", "--protected-item-id", ITEM_ID, "-v", "other"],
            "belongs to --vault-name abdemovault, got other.",
        ),
        (["--on-demand", "--protected-item-id", "vm1"], "vm1 does not identify its vault. Add --subscription,"),
        (["--on-demand", "--protected-item-id", "", *OF_VAULT], "--protected-item-id must be a string of 1 to"),
        (["--on-demand", "--protected-item-id", "vm1", *OF_VAULT], "--protected-item-id must be the resource ID of an"),
        ([*ON_DEMAND, "--retain-for", "1h"], '--retain-for must be 1d to 9999d, such as 30d, got "1h".'),
        ([*ON_DEMAND, "--retain-until", "never"], "--retain-until must be a time such as 2026-12-31T00:00:00Z, got"),
        (
            [*ON_DEMAND, "--retain-for", "1d", "--retain-until", "2026-12-31T00:00:00Z"],
            "--retain-for must not be set with --retain-until. Remove one of them.",
        ),
        (
            [*ON_DEMAND, "--rule-name", "daily"],
            "--rule-name requires --vault-kind BackupVault, got RecoveryServices. Remove it.",
        ),
        (
            [*ON_DEMAND, "--backup-type", "Full", "--vault-kind", "BackupVault"],
            "--backup-type requires --vault-kind RecoveryServices, got BackupVault. Set --rule-name.",
        ),
        ([*ON_DEMAND, "--secondary-region", "westus"], "--on-demand must not be set with --secondary-region, where"),
        ([*ON_DEMAND, "--backup-type", "Weekly"], "'Weekly' is not one of 'Full', 'Differential', 'Log'"),
        (["-", JOB_ID], "Standard input names no job."),
        (["-", *ON_DEMAND], "Standard input names no job."),
        ([JOB_ID, "--accept-warnings", "--warnings-as-errors"], "exclude each other"),
        ([JOB_ID, "--log-interval", "0s"], "must be a duration from 1s to 24h"),
        ([JOB_ID, "--timeout", "3600"], "must be a duration such as 30s, 5m or 1h30m"),
        ([JOB_ID, "--timeout", "0"], "must be a duration from 1s to 8760h"),
        ([JOB_ID, "--timeout", "8761h"], "must be a duration from 1s to 8760h"),
        ([JOB_ID, "--grace", "-5s"], "must be a duration from 0s to 24h"),
        ([JOB_ID, "--interval", "1s"], "'1s' is not one of '10s', '30s', '1m', '2m', '5m'."),
        ([JOB_ID, "--output", "table"], "'table' is not one of 'text', 'json', 'yaml'."),
        ([f"https://management.usgovcloudapi.net{JOB_ID}?s={WORD}"], "Set BACKUPJOBWATCH_CLOUD"),
    ],
)
def test_bad_input(arguments: list[str], advice: str) -> None:
    """Invalid usage is reported on standard error with exit code 3. The message names options."""
    result = invoke("watch", *arguments)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("Usage: ")
    assert advice in result.stderr
    assert "spec." not in result.stderr


def test_help_names_no_field_of_a_spec() -> None:
    """The help describes options, not fields of the custom resource."""
    assert "spec." not in invoke("watch", "--help").output


def test_wrong_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invalid settings are reported by the name of the variable."""
    monkeypatch.setenv("BACKUPJOBWATCH_CLOUD", "moon")
    result = invoke("watch", JOB_ID)
    assert result.exit_code == 3
    assert "BACKUPJOBWATCH_CLOUD: " in result.stderr


def test_every_option_is_explained() -> None:
    """Each command and option has a help text. The help has examples and exit codes."""
    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str()
        assert [each.name for each in command.params if isinstance(each, click.Option) and not each.help] == []
    text = invoke("watch", "--help").output
    assert "\n  Exit codes:\n    0 " in text
    assert "\n  Examples:\n    backupjobwatch watch " in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_comes_as_a_script(shell: str) -> None:
    """The command prints a completion script for each shell."""
    environment = clean_environment(_BACKUPJOBWATCH_COMPLETE=f"{shell}_source")
    process = Command("backupjobwatch", environment=environment)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert f"_BACKUPJOBWATCH_COMPLETE={shell}_complete" in out


def completed(*words: str, incomplete: str = "") -> list[str]:
    """Return what a shell offers after these words."""
    completion = ShellComplete(main, {}, "backupjobwatch", "_BACKUPJOBWATCH_COMPLETE")
    return [each.value for each in completion.get_completions(list(words), incomplete)]


def test_completion_knows_commands_options_and_choices() -> None:
    """Commands, options, and options with a fixed set of values are completed."""
    assert completed() == list(COMMANDS)
    assert completed("watch", incomplete="--vault") == ["--vault-name", "--vault-kind"]
    assert completed("watch", "--interval") == ["10s", "30s", "1m", "2m", "5m"]
    assert completed("watch", "--vault-kind", incomplete="B") == ["BackupVault"]
    assert completed("watch", "-o") == ["text", "json", "yaml"]


def test_bash_completes(tmp_path: Path) -> None:
    """In bash, Tab after `watch --interval 1` offers the values that start with 1."""
    install("backupjobwatch", tmp_path)
    script = (
        "source <(_BACKUPJOBWATCH_COMPLETE=bash_source backupjobwatch); COMP_WORDS=(backupjobwatch watch --interval 1); "
        'COMP_CWORD=3; _backupjobwatch_completion backupjobwatch; echo "${COMPREPLY[@]}"'
    )
    environment = clean_environment(PATH=f"{tmp_path}:{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("10s 1m\n", "")
