"""Fixtures: a simulator with a vault and a job, uv, and the image's software bill of materials."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.controlplane.build import locked
from demo.simulator import AzureSimulator, ManualClock, Vault, running_simulator
from tests.contract.project import ENVIRONMENT, ROOT, read
from tests.contract.simulator_client import JOB, TOKEN, Get
from tests.support import azure


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_simulator(clock=ManualClock()) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    vault = sim.add_vault(azure.SUBSCRIPTION_ID, azure.RESOURCE_GROUP, azure.VAULT)
    vault.set_job(JOB, azure.payload("job-iaasvm-completed"))
    return vault


@pytest.fixture
def get(sim: AzureSimulator, vault: Vault) -> Iterator[Get]:
    """Send a valid GET request, by default for the job."""
    with requests.Session() as session:
        session.trust_env = False

        def send(
            path: str = vault.job_id(JOB), *, version: str | None = "2025-02-01", **options: Any
        ) -> requests.Response:
            asked: dict[str, Any] = {
                "method": "GET",
                "headers": TOKEN,
                "timeout": 60.0,
                "allow_redirects": False,
            } | options
            return session.request(url=sim.url + path, params={"api-version": version} if version else None, **asked)

        yield send


@pytest.fixture(scope="session")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The uv version that the Makefile pins, from ``make setup`` or a temporary installation."""
    (version,) = re.findall(r"^UV_VERSION := (\S+)$", read("Makefile"), re.MULTILINE)
    made = ROOT / "build" / "uv" / "bin" / "uv"
    if made.exists() and subprocess.check_output([made, "--version"], text=True).split()[1] == version:
        return made
    folder = tmp_path_factory.mktemp("uv")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", f"uv=={version}"], check=True)
    return folder / "bin" / "uv"


@pytest.fixture(scope="session")
def sbom(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Path:
    """The output folder of ``make sbom``, built once for all pytest-xdist workers."""
    done = tmp_path_factory.getbasetemp().parent / f"sbom-{testrun_uid}"
    with locked(done.with_suffix(".lock")):
        if not done.exists():
            made = subprocess.run(
                ["make", "sbom"], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False
            )
            assert made.returncode == 0, made.stderr
            done.touch()
    return ROOT / "build" / "sbom"
