"""``backupjobwatch check`` and ``run`` report whether the settings work."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from demo.simulator import AzureSimulator, EntraSimulator, Fault
from demo.simulator.tokens import TENANT_ID
from tests.functional.tenants import ACCOUNT, SECRET
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload
from tests.support.canary import TOKEN, WORD
from tests.support.command import invoke

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from demo.simulator import Vault
    from tests.functional.tenants import Tenants
    from tests.support.kubernetes import KubernetesApi


pytestmark = pytest.mark.usefixtures("logging_restored")


@pytest.fixture(autouse=True)
def _development(sim: AzureSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUPJOBWATCH_AZURE_ENDPOINT", sim.url)
    monkeypatch.setenv("BACKUPJOBWATCH_DEVELOPMENT", "true")
    monkeypatch.setenv("BACKUPJOBWATCH_DEVELOPMENT_TOKEN", TOKEN)
    monkeypatch.setenv("BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES", "*")
    monkeypatch.setenv("BACKUPJOBWATCH_PROBE_PORT", "0")


async def command(name: str, *options: str) -> Result:
    """Run a command in a thread, because it needs its own event loop."""
    logging.disable(logging.NOTSET)  # `check` disables logging
    return await asyncio.to_thread(invoke, name, *options)


async def test_all_checks_succeed(api: KubernetesApi, sim: AzureSimulator) -> None:
    """If everything works, `check` prints the settings and the results, and exits with 0."""
    result = await command("check")
    assert result.exit_code == 0, result.output
    assert f"BACKUPJOBWATCH_AZURE_ENDPOINT={sim.url}\n" in result.stdout
    assert "BACKUPJOBWATCH_DEVELOPMENT_TOKEN=(hidden)\n" in result.stdout
    assert "Azure: got a token." in result.stdout
    assert "Kubernetes: the watches of all namespaces can be listed." in result.stdout


async def test_the_lease_is_checked(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """With leader election, `check` also reads the Lease and reports its holder."""
    monkeypatch.setenv("BACKUPJOBWATCH_LEADER_ELECTION", "true")
    monkeypatch.setenv("BACKUPJOBWATCH_LEASE_NAMESPACE", "operators")
    result = await command("check")
    assert result.exit_code == 0, result.output
    assert "Kubernetes: the Lease operators/backupjobwatch is not held." in result.stdout
    api.leases.put(("operators", "backupjobwatch"), holderIdentity="somebody")
    assert "is held by somebody." in (await command("check")).stdout
    api.traffic.fail("/leases/", status=403, message="cannot get resource leases")
    result = await command("check")
    assert (result.exit_code, "403 cannot get resource leases" in result.stdout) == (1, True)


@pytest.mark.parametrize("name", ["check", "run"])
async def test_a_lease_needs_a_namespace(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Outside a pod, both commands exit with 2 if the namespace of the Lease is not set."""
    monkeypatch.setenv("BACKUPJOBWATCH_LEADER_ELECTION", "true")
    result = await command(name)
    assert result.exit_code == 2
    assert "BACKUPJOBWATCH_LEASE_NAMESPACE must be set outside a pod" in result.output


async def test_each_namespace_is_checked(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """If namespaces are configured, `check` lists the watches of these namespaces only."""
    monkeypatch.setenv("BACKUPJOBWATCH_NAMESPACES", "team-a,team-b")
    refusal = api.traffic.fail("namespaces/team-b/", status=403, message="cannot list resource")
    result = await command("check")
    assert result.exit_code == 1
    assert "Kubernetes: the watches of namespace team-a can be listed." in result.stdout
    assert "403 cannot list resource" in result.stdout
    assert refusal.used == 1
    assert [request.path.split("/")[5] for request in api.traffic.requests] == ["team-a", "team-b"]


async def test_no_credential(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials, `check` reports the reason and still checks the cluster."""
    monkeypatch.delenv("BACKUPJOBWATCH_DEVELOPMENT_TOKEN")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", "/nowhere")
    result = await command("check")
    assert result.exit_code == 1
    assert "Azure: CredentialsNotFound: There are no credentials for the operator's identity" in result.stdout
    assert "can be listed" in result.stdout


async def test_no_crd(api: KubernetesApi) -> None:
    """If the CRD is missing, `check` prints the command that installs it."""
    api.crd_installed = False
    result = await command("check")
    assert result.exit_code == 1
    assert (
        "Kubernetes: the CRD backupjobwatches.azurebackup.dev is not installed. Run: kubectl apply --server-side -k crds"
        in result.stdout
    )


async def test_an_answer_that_is_no_list(api: KubernetesApi) -> None:
    """`check` reports an unexpected response of the API server."""
    api.traffic.fail("backupjobwatches", status=418, message="a teapot")
    result = await command("check")
    assert (result.exit_code, "418 a teapot" in result.stdout) == (1, True)


async def test_a_server_that_is_gone(api: KubernetesApi) -> None:
    """`check` reports an unreachable API server."""
    await api.go_away()
    result = await command("check")
    assert result.exit_code == 1
    assert "Kubernetes: GET /apis/azurebackup.dev/v1alpha1/backupjobwatches: Client" in result.stdout


async def test_no_cluster() -> None:
    """Without a kubeconfig and a ServiceAccount, both commands explain the fix and exit with 1."""
    for name in ("check", "run"):
        result = await command(name)
        assert result.exit_code == 1
        (line,) = [line for line in result.output.splitlines() if "no access to a Kubernetes API server" in line]
        assert "does not exist. Set KUBECONFIG, or run the command in the operator's pod." in line
        assert result.exception is None or isinstance(result.exception, SystemExit)


async def test_azure_is_queried(api: KubernetesApi, sim: AzureSimulator, vault: Vault) -> None:
    """`check` sends Azure a request that needs no permission. With --job, it reads that job."""
    result = await command("check")
    assert (result.exit_code, [request.path for request in sim.requests]) == (0, ["/subscriptions"])
    assert f"Azure: {sim.url} accepts the token." in result.stdout
    result = await command("check", "--job", vault.set_job(JOB_NAME, job_payload()))
    assert result.exit_code == 0
    assert f"Azure: read the job {JOB_NAME}. Its status is Completed." in result.stdout
    result = await command("check", "--job", vault.job_id(OTHER_JOB_NAME))
    assert (result.exit_code, "Azure: JobNotVisible:" in result.stdout) == (1, True)
    result = await command("check", "--job", "nightly")
    assert (result.exit_code, "not of the form" in result.output) == (2, True)


@pytest.mark.parametrize("fault", [Fault.html(status=200), Fault.html(status=404), Fault.unauthorized(), Fault.reset()])
async def test_azure_does_not_answer(api: KubernetesApi, sim: AzureSimulator, fault: Fault) -> None:
    """A proxy's page, a refused token and a failed connection all fail the check."""
    sim.faults.add(fault, times=None)
    result = await command("check")
    assert result.exit_code == 1
    assert "accepts the token" not in result.stdout
    assert "can be listed" in result.stdout


async def test_a_private_ca(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`check` detects an untrusted certificate and an invalid CA file. A valid CA file fixes both."""
    async with AzureSimulator(tls=True, tokens={TOKEN: "demo-principal"}) as private:
        monkeypatch.setenv("BACKUPJOBWATCH_AZURE_ENDPOINT", private.url)
        result = await command("check")
        assert (result.exit_code, "TLS certificate or handshake was rejected" in result.stdout) == (1, True)
        ca_file = tmp_path / "ca.pem"
        monkeypatch.setenv("BACKUPJOBWATCH_AZURE_CA_FILE", str(ca_file))
        for text in (None, "no certificate"):
            if text is not None:
                ca_file.write_text(text)
            result = await command("check")
            assert result.exit_code == 2
            assert (
                f"BACKUPJOBWATCH_AZURE_CA_FILE must be a PEM file of CA certificates, got '{ca_file}'" in result.output
            )
        ca_file.write_text(private.ca_pem)
        result = await command("check")
        assert result.exit_code == 0, result.output


async def test_a_private_ca_of_entra(
    api: KubernetesApi, sim: AzureSimulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The CA file also applies to Entra."""
    async with EntraSimulator(tokens=sim.tokens) as entra:
        client_id, secret = "c11e0000-5e1f-4000-8000-000000000000", f"client-secret-{WORD}"
        entra.add_application(client_id).add_secret(secret)
        monkeypatch.delenv("BACKUPJOBWATCH_DEVELOPMENT_TOKEN")
        monkeypatch.setenv("AZURE_TENANT_ID", TENANT_ID)
        monkeypatch.setenv("AZURE_CLIENT_ID", client_id)
        monkeypatch.setenv("AZURE_CLIENT_SECRET", secret)
        monkeypatch.setenv("BACKUPJOBWATCH_AZURE_AUTHORITY", entra.url)
        result = await command("check")
        assert (result.exit_code, "Azure: AzureUnavailable" in result.stdout) == (1, True)
        (tmp_path / "ca.pem").write_text(entra.ca_pem)
        monkeypatch.setenv("BACKUPJOBWATCH_AZURE_CA_FILE", str(tmp_path / "ca.pem"))
        result = await command("check")
        assert result.exit_code == 0, result.output


async def test_an_identity_that_no_namespace_may_use(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` skips the operator's identity if no namespace may use it, except with --job."""
    monkeypatch.delenv("BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES")
    result = await command("check")
    assert (result.exit_code, sim.requests) == (0, ())
    assert "Azure: skipped. No namespace may use the operator's identity" in result.stdout
    result = await command("check", "--job", vault.set_job(JOB_NAME, job_payload()))
    assert (result.exit_code, f"Azure: read the job {JOB_NAME}." in result.stdout) == (0, True)
    assert "so no watch may use the identity that is checked here" in result.stdout
    result = await command("check", "--namespace", "team-a")
    assert (result.exit_code, "Azure: IdentityNotAllowed: Namespace team-a" in result.stdout) == (1, True)


@pytest.mark.parametrize("kind", ["serviceaccount", "secret"])
async def test_an_identity_of_a_namespace(
    tenants: Tenants, vault: Vault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    """With --namespace and --identity, `check` reads the job with the identity of that namespace."""
    monkeypatch.delenv("BACKUPJOBWATCH_DEVELOPMENT_TOKEN")
    monkeypatch.setenv("BACKUPJOBWATCH_AZURE_AUTHORITY", tenants.entra.url)
    monkeypatch.setenv("BACKUPJOBWATCH_AZURE_AUTHORITY_CA_FILE", str(tmp_path / "ca.pem"))
    (tmp_path / "ca.pem").write_text(tenants.entra.ca_pem)
    field, name = {
        "serviceaccount": ("serviceAccountName", ACCOUNT),
        "secret": ("secretName", SECRET),
    }[kind]
    job = vault.set_job(JOB_NAME, job_payload())
    tenants.api.create({"jobResourceId": job, "identity": {field: name}}, "nightly", namespace="team-a")
    identity = ("--namespace", "team-a", "--identity", f"{kind}/{name}", "--job", job)
    result = await command("check", *identity)
    assert (result.exit_code, "Azure: CredentialsNotFound: " in result.stdout) == (1, True)
    assert f"{name} does not exist. Create it, or correct --identity." in result.stdout
    tenant = tenants.add()
    tenant.put_client_secret()
    result = await command("check", *identity)
    assert (result.exit_code, f"Azure: read the job {JOB_NAME}." in result.stdout) == (0, True), result.stdout
    assert {request.principal for request in tenants.sim.requests} == {tenant.client_id}


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (("--identity", "secret/backup"), "--identity requires --namespace"),
        (("--namespace", "team-a", "--identity", "backup"), "must be serviceaccount/NAME or secret/NAME, got 'backup'"),
        (("--namespace", "team-a", "--identity", "secret/A_B"), "must be serviceaccount/NAME or secret/NAME"),
    ],
)
async def test_wrong_options(options: tuple[str, ...], advice: str) -> None:
    """Wrong options are reported before anything is checked, with code 2."""
    result = await command("check", *options)
    assert (result.exit_code, result.stdout, advice in result.stderr) == (2, "", True)


async def test_an_invalid_kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file that is not a kubeconfig is reported in one line, with its path."""
    for number, text in enumerate(("a: [b", "just text", "contexts: []")):
        (tmp_path / str(number)).write_text(text)
        monkeypatch.setattr("backupjobwatch.kube.client.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / str(number)))
        monkeypatch.setattr(
            "kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / str(number))
        )
        result = await command("check")
        (line,) = [line for line in result.stdout.splitlines() if "no access" in line]
        assert f"the kubeconfig {tmp_path / str(number)} is not usable (" in line
        assert result.exit_code == 1
