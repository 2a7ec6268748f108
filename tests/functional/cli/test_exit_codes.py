"""Exit codes of ``backupjobwatch check`` and ``render`` as processes."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from demo.simulator import Fault
from tests.support.builders import JOB_ID, job_payload
from tests.support.canary import TOKEN, scan
from tests.support.commands import Command, Done
from tests.support.operator_process import clean_environment

if TYPE_CHECKING:
    from pathlib import Path

    from demo.simulator import AzureSimulator
    from tests.support.kubernetes import KubernetesApi

WATCH = {"apiVersion": "azurebackup.dev/v1alpha1", "kind": "BackupJobWatch", "spec": {"jobResourceId": JOB_ID}}


async def run(*arguments: str, **variables: str) -> Done:
    """Run the command to its end."""

    def wait() -> Done:
        with Command("backupjobwatch", *arguments, environment=clean_environment(**variables)) as process:
            out, err = process.communicate(timeout=100)
        scan(f"backupjobwatch {arguments[0]}", out + err)
        return Done(process.wait(), out, err)

    return await asyncio.to_thread(wait)


def settings(sim: AzureSimulator, **more: str) -> dict[str, str]:
    names = {"AZURE_ENDPOINT": sim.url, "DEVELOPMENT": "true", "DEVELOPMENT_TOKEN": TOKEN, **more}
    names.setdefault("OPERATOR_IDENTITY_NAMESPACES", "*")
    prefixed = {f"BACKUPJOBWATCH_{name}": value for name, value in names.items()}
    return {**prefixed, "KUBECONFIG": os.environ["KUBECONFIG"]}


async def test_all_checks_pass(api: KubernetesApi, sim: AzureSimulator) -> None:
    """`check` exits with 0 if everything works."""
    done = await run("check", **settings(sim))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


async def test_a_check_fails(api: KubernetesApi, sim: AzureSimulator) -> None:
    """`check` exits with 1 if Azure or the cluster refuses a request."""
    sim.faults.add(Fault.unauthorized(), times=None)
    assert (await run("check", **settings(sim))).returncode == 1
    sim.faults.clear()
    api.crd_installed = False
    assert (await run("check", **settings(sim))).returncode == 1


async def test_a_kubeconfig_is_missing(sim: AzureSimulator, tmp_path: Path) -> None:
    """Without a kubeconfig, `check` says in one line what to do, still checks Azure, and exits with 1."""
    done = await run("check", **{**settings(sim), "KUBECONFIG": str(tmp_path / "none")})
    assert done.returncode == 1
    assert (
        f"Kubernetes: no access to a Kubernetes API server: the kubeconfig {tmp_path / 'none'} does not exist. "
        "Set KUBECONFIG, or run the command in the operator's pod."
    ) in done.stdout.splitlines()
    assert f"Azure: {sim.url} accepts the token." in done.stdout.splitlines()
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (("--job", "nightly"), {}),
        (("--identity", "secret/credential"), {}),
        (("--nonsense",), {}),
        ((), {"HEARTBEET": "5m"}),
    ],
)
async def test_a_setting_or_an_option_is_wrong(
    sim: AzureSimulator, arguments: tuple[str, ...], variables: dict[str, str]
) -> None:
    """`check` exits with 2 if an option or a setting is wrong, before any request."""
    done = await run("check", *arguments, **settings(sim, **variables))
    assert (done.returncode, done.stdout, sim.requests) == (2, "", ())


@pytest.mark.parametrize(
    ("objects", "options", "code"),
    [([WATCH], (), 0), ([WATCH, WATCH], (), 1), ([WATCH], ("--now", "soon"), 2), ([WATCH], ("--nonsense",), 2)],
)
async def test_render(tmp_path: Path, objects: list[Any], options: tuple[str, ...], code: int) -> None:
    """`render` exits with 0 on success, 1 for an unusable file, and 2 for a wrong option."""
    (tmp_path / "watch.yaml").write_text(yaml.safe_dump_all(objects))
    (tmp_path / "job.json").write_text(json.dumps(job_payload()))
    files = ("--watch", str(tmp_path / "watch.yaml"), "--response", str(tmp_path / "job.json"))
    done = await run("render", *files, *options)
    assert (done.returncode, bool(done.stdout), bool(done.stderr)) == (code, code == 0, code != 0)
