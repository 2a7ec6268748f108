"""The options of ``kubectl bjw create``, with a client-side dry run that needs no cluster."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from backupjobwatch.kubectl.main import bjw
from tests.support.builders import JOB_ID, VAULT_REF

ITEM = (
    *("--item", "vm-1", "--subscription", VAULT_REF["subscriptionId"]),
    *("--resource-group", VAULT_REF["resourceGroup"], "--vault-name", VAULT_REF["name"]),
)


def create(*arguments: str) -> Result:
    return CliRunner().invoke(bjw, ["create", *arguments, "--dry-run", "client", "--output", "json"])


@pytest.mark.parametrize("source", [(JOB_ID,), ITEM])
def test_revision(source: tuple[str, ...]) -> None:
    """``--revision`` sets the field. The name of the watch does not depend on it."""
    body, other = (json.loads(create(*source, "--revision", revision).output) for revision in ("v1", "v2"))

    assert (body["spec"].pop("revision"), other["spec"].pop("revision")) == ("v1", "v2")
    assert body == other == json.loads(create(*source).output)


def test_completed_within() -> None:
    """``--completed-within`` sets the field of ``latest``, and may be used with ``--revision``."""
    body = json.loads(create(*ITEM, "--completed-within", "24h", "--revision", "v1").output)

    assert body["spec"]["latest"] == {"item": "vm-1", "completedWithin": "24h"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((JOB_ID, "--revision", ""), "--revision must be a string of 1 to 256 characters"),
        ((*ITEM, "--revision", "v1", "--started-after", "2h"), "--started-after must not be set with --revision"),
        ((*ITEM, "--completed-within", "1d"), "--completed-within must be a duration such as 24h"),
        (
            (*ITEM, "--completed-within", "999h"),
            "--completed-within must be at most 624h for a Recovery Services vault",
        ),
        (
            (*ITEM, "--completed-within", "1h", "--started-after", "2h"),
            "--completed-within must not be set with --started-after",
        ),
        ((JOB_ID, "--completed-within", "1h"), "--completed-within require --item"),
    ],
)
def test_invalid_options(arguments: tuple[str, ...], message: str) -> None:
    """Messages name the options instead of the fields of the spec."""
    done = create(*arguments)

    assert done.exit_code != 0
    assert message in " ".join(done.output.split())
    assert done.output.endswith(".\n")
    assert "spec." not in done.output
