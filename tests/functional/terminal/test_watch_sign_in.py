"""``backupjobwatch watch`` and Entra: identities that are refused at first, and assertions that expire in a pipeline."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from demo.simulator import EntraSimulator, ManualClock, running_simulator
from demo.simulator.hosting import running
from demo.simulator.tokens import TENANT_ID
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.support.builders import JOB_NAME, job_payload
from tests.support.canary import TOKEN, WORD
from tests.support.watching import Watching, watch_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.simulator import AzureSimulator, Vault


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_simulator(clock=ManualClock(), tokens={TOKEN: "somebody"}) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    return sim.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)


def test_an_identity_that_is_refused_at_first(sim: AzureSimulator, vault: Vault, tmp_path: Path) -> None:
    """A refused identity is tolerated for --grace from the start, because a new federation takes minutes."""
    job, secret, client_id = vault.set_job(JOB_NAME, job_payload()), f"client-secret-{WORD}", str(uuid.uuid4())
    with running(EntraSimulator(tokens=sim.tokens)) as entra:
        (tmp_path / "ca.pem").write_text(entra.ca_pem)
        environment = {
            **watch_settings(
                sim.url,
                DEVELOPMENT_TOKEN="",
                AZURE_AUTHORITY=entra.url,
                AZURE_AUTHORITY_CA_FILE=str(tmp_path / "ca.pem"),
            ),
            "AZURE_TENANT_ID": TENANT_ID,
            "AZURE_CLIENT_ID": client_id,
            "AZURE_CLIENT_SECRET": secret,
        }
        watching = Watching(environment, job, "--interval", "10s")
        assert watching.process.stdout is not None
        line = watching.process.stdout.readline()
        entra.add_application(client_id).add_secret(secret)
        assert watching.wait().code == 0
    assert "  Pending  Entra refused you" in line
