"""Commands use the identity of the environment, or else that of ``az login``."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.arm.credentials import personal_tokens
from backupjobwatch.errors import AuthenticationFailed, CredentialsNotFound
from backupjobwatch.settings import Settings
from demo.simulator import EntraSimulator
from tests.support.az import Az
from tests.support.canary import TOKEN, WORD

if TYPE_CHECKING:
    from pathlib import Path

TENANT = "7e4a0000-5e1f-4000-8000-000000000000"
CLIENT = "c11e0000-5e1f-4000-8000-000000000000"


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Az:
    folder = tmp_path / "bin"
    folder.mkdir()
    az = Az(folder)
    monkeypatch.setenv("PATH", az.path(os.environ["PATH"]))
    return az


def answer(az: Az, token: str = TOKEN, *, lifetime: int = 3600) -> None:
    az.answer(json.dumps({"accessToken": token, "expires_on": int(time.time()) + lifetime}))


async def test_az_runs_once(az: Az) -> None:
    """Threads share a valid token of az, so that az runs once."""
    answer(az)
    tokens = personal_tokens(Settings())
    assert set(await asyncio.gather(*(asyncio.to_thread(tokens.get) for _ in range(8)))) == {TOKEN}
    (call,) = az.calls()
    assert call[call.index("--resource") + 1] == "https://management.azure.com"


def test_a_token_that_soon_ends(az: Az) -> None:
    """A token that expires within a few minutes is not reused."""
    answer(az, lifetime=200)
    tokens = personal_tokens(Settings())
    tokens.get()
    answer(az, f"another-{TOKEN}")
    assert tokens.get() == tokens.get() == f"another-{TOKEN}"


def test_a_renewed_token(az: Az) -> None:
    """A renewal runs az again."""
    answer(az)
    tokens = personal_tokens(Settings())
    tokens.get()
    answer(az, f"another-{TOKEN}")
    assert tokens.get(renewed=True) == f"another-{TOKEN}"


def test_az_fails(az: Az) -> None:
    """If az fails, the command reports a refusal without the token output of az."""
    az.answer(status=1)
    with pytest.raises(AuthenticationFailed, match=r"^Entra refused you \(`az login`, or .*AuthorizationFailed"):
        personal_tokens(Settings()).get()


def test_az_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without az and environment, there are no credentials. The command does not try the metadata service."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CredentialsNotFound, match=r"^There are no credentials for you .*Azure CLI not found on path"):
        personal_tokens(Settings()).get()


async def test_a_service_principal_comes_first(az: Az, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the environment configures an identity, as in pipelines, the command does not run az."""
    answer(az)
    async with EntraSimulator() as entra:
        entra.add_application(CLIENT, tenant_id=TENANT).add_secret(WORD)
        authority = tmp_path / "entra.pem"
        authority.write_text(entra.ca_pem)
        for name, value in (("TENANT_ID", TENANT), ("CLIENT_ID", CLIENT), ("CLIENT_SECRET", WORD)):
            monkeypatch.setenv(f"AZURE_{name}", value)
        options: dict[str, Any] = {"azure_authority": entra.url, "azure_authority_ca_file": str(authority)}
        token = await asyncio.to_thread(personal_tokens(Settings(**options)).get)
        assert (len(entra.sign_ins), az.calls()) == (1, [])
        assert token != TOKEN
