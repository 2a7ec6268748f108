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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((JOB_ID, "--revision", ""), "--revision must be a string of 1 to 256 characters"),
        ((*ITEM, "--revision", "v1", "--started-after", "2h"), "--started-after must not be set with --revision"),
    ],
)
def test_invalid_revision(arguments: tuple[str, ...], message: str) -> None:
    """Messages name the options instead of the fields of the spec."""
    done = create(*arguments)

    assert done.exit_code != 0
    assert message in " ".join(done.output.split())
    assert done.output.endswith(".\n")
    assert "spec." not in done.output
