"""
A real API server for every test in this folder: our own control plane, or the cluster that E2E_KUBECONFIG names.

Where there is neither, the tests fail and say so; E2E=skip leaves them out, and says that at the end.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.controlplane import (
    ControlPlane,
    ControlPlaneUnavailable,
    Kubectl,
    find_binaries,
    find_existing,
    kubectl_path,
    running_control_plane,
)
from demo.simulator import ManualClock, running_simulator
from tests.support.canary import TOKEN, hear
from tests.support.gadgets import GADGET_CRD, Http
from tests.support.jobs import Jobs
from tests.support.kubernetes_client import WATCHES, KubernetesClient, Recording
from tests.support.operator_process import OperatorProcess, Operators, prove_calm
from tests.support.plugin import Plugin, Written
from tests.support.rbac import OURS, missing, read_grants, unused
from tests.support.session_findings import FINDINGS
from tests.support.watches import Watches, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from demo.controlplane import Cluster, Faults
    from demo.simulator import AzureSimulator

HERE = Path(__file__).parent
CRD = HERE.parents[1] / "crds" / "backupjobwatches.azurebackup.dev.yaml"
DESELECTED = pytest.StashKey[bool]()


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    for item in ours:
        item.add_marker(pytest.mark.e2e)
    if os.environ.get("E2E") == "skip":
        config.stash[FINDINGS].skipped = len(ours)
        for item in ours:
            item.add_marker(pytest.mark.skip(reason="E2E=skip"))


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.config.stash[DESELECTED] = True


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what has to be built before the first test, whose time is limited."""
    config, files = session.config, {item.path for item in session.items}
    findings = config.stash[FINDINGS]
    partial = DESELECTED in config.stash or any("::" in argument for argument in config.args)
    findings.complete = not partial and files.issuperset(HERE.glob("test_*.py"))
    wanted = any(file.is_relative_to(HERE) for file in files)
    if not wanted or config.option.collectonly or findings.skipped:
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():
            kubectl_path()
            if "E2E_KUBECONFIG" not in os.environ:
                find_binaries()
    except ControlPlaneUnavailable as error:
        findings.unavailable = str(error)


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """The API server of this process, with our CRD. Each worker of pytest-xdist has its own."""
    findings = pytestconfig.stash[FINDINGS]
    if findings.unavailable:
        pytest.fail(findings.unavailable, pytrace=False)
    try:
        existing = find_existing()
    except ControlPlaneUnavailable as error:
        findings.unavailable = str(error)
        pytest.fail(findings.unavailable, pytrace=False)
    if existing is not None:
        with existing:
            install_crd(existing)
            yield existing
        return
    with running_control_plane() as control_plane:
        install_crd(control_plane)
        yield control_plane
        requests, grants = control_plane.requests.where(agent=OURS), read_grants()
        findings.ungranted, findings.unused = sorted(missing(requests, grants)), sorted(unused(requests, grants))


def install_crd(cluster: Cluster) -> None:
    kubectl = Kubectl(cluster)
    if CRD.exists():
        kubectl("apply", "--server-side", "-f", str(CRD))
        kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(CRD))


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    """`kubectl(*args, stdin=None, ok=True, timeout=60)`, with .stdout, .stderr and .returncode of what it did."""
    return Kubectl(cluster)


@pytest.fixture
def namespace(client: KubernetesClient) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"e2e-{secrets.token_hex(4)}"
    created = client("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert created.status == HTTPStatus.CREATED, created
    yield name
    client("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def control_plane(cluster: Cluster) -> ControlPlane:
    """The cluster, where it is ours: one that can be made to fail, and tells what it was asked."""
    if not isinstance(cluster, ControlPlane):
        pytest.skip("faults and recorded requests need the embedded control plane: unset E2E_KUBECONFIG")
    return cluster


@pytest.fixture
def faults(control_plane: ControlPlane) -> Iterator[Faults]:
    """Faults of the API server, taken back after the test."""
    yield control_plane.faults
    control_plane.faults.clear()


@pytest.fixture(scope="session")
def azure() -> Iterator[AzureSimulator]:
    """Azure, whose clock goes on only when a test says so."""
    clock = ManualClock(start=datetime.now(UTC) - timedelta(days=1))
    with running_simulator(clock=clock, tokens={TOKEN: "operator"}) as simulator:
        yield simulator


@pytest.fixture
def jobs(azure: AzureSimulator) -> Iterator[Jobs]:
    """Jobs in a vault and a subscription of the test's own."""
    yield Jobs(azure)
    azure.release_holds()
    azure.faults.clear()


@pytest.fixture(scope="session")
def client(cluster: Cluster) -> Iterator[KubernetesClient]:
    """The API server by HTTPS."""
    client = KubernetesClient(cluster)
    until(lambda: client("GET", WATCHES).status == HTTPStatus.OK, "the CRD")  # is established before it is served
    yield client
    client.close()


@pytest.fixture(scope="session")
def recording(cluster: Cluster) -> Iterator[Recording]:
    """Every version of every watch from now on."""
    with Recording(cluster) as recording:
        yield recording


@pytest.fixture(scope="session")
def operators(cluster: Cluster, azure: AzureSimulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    """Operators: the shared one, and those that single tests want."""
    operators = Operators(cluster, azure.url, tmp_path_factory.mktemp("operators"))
    yield operators
    operators.stop()
    operators.hear_logs()


@pytest.fixture
def operator_log(operators: Operators) -> Iterator[None]:
    """Shows what operators said during a test that fails, and looks for what no log may hold."""
    before = operators.logs()
    yield
    after = operators.logs()
    operators.hear_logs()
    said = [log.removeprefix(known) for log, known in zip_longest(after, before, fillvalue="")]
    sys.stdout.write("\n".join(said))
    prove_calm("".join(said))


@pytest.fixture
def operator(operators: Operators, operator_log: None) -> OperatorProcess:
    """The operator that tests have in common: of the whole cluster."""
    return operators.shared()


@pytest.fixture
def own_operators(operators: Operators, operator_log: None) -> Iterator[Operators]:
    """For tests that need operators of their own: none runs before and after."""
    operators.stop()
    yield operators
    operators.stop()


@pytest.fixture
def watches(namespace: str, client: KubernetesClient, recording: Recording) -> Iterator[Watches]:
    """The watches of a namespace of the test's own; none of them ever gets a mark from the operator."""
    watches = Watches(namespace, client, recording)
    yield watches
    watches.prove_unmarked()
    hear("the Events", str(watches.events()))


@pytest.fixture
def plugin(cluster: Cluster, namespace: str, tmp_path: Path) -> Plugin:
    """`kubectl bjw`, in a namespace of the test's own."""
    return Plugin(cluster, kubectl_path(), tmp_path, namespace)


@pytest.fixture
def written(operators: Operators, client: KubernetesClient, namespace: str) -> Written:
    """Watches of that namespace, whose statuses the test writes: no operator runs."""
    operators.stop()
    return Written(client, namespace)


@pytest.fixture
def http_(control_plane: ControlPlane) -> Http:
    return Http(control_plane)


@pytest.fixture(scope="session")
def _gadget_kind(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=json.dumps(GADGET_CRD))
    kubectl("wait", "--for=condition=Established", "crd/gadgets.test.example.com", "--timeout=60s")


@pytest.fixture
def gadgets(_gadget_kind: None, namespace: str) -> str:
    """The path of gadgets in a namespace of the test's own."""
    return f"/apis/test.example.com/v1/namespaces/{namespace}/gadgets"
