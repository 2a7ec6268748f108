"""
Provide a real API server to the tests in this folder: the embedded control plane, or the cluster of E2E_KUBECONFIG.

Without either, the tests fail with the reason. E2E=skip skips them, and the session summary says so.
"""

from __future__ import annotations

import json
import os
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
from tests.support.canary import TOKEN, scan
from tests.support.gadgets import GADGET_CRD, Http
from tests.support.jobs import Jobs
from tests.support.kubernetes_client import (
    WATCHES,
    KubernetesClient,
    Recording,
    create_namespace,
    drop_namespace,
)
from tests.support.operator_process import OperatorProcess, Operators, prove_no_traceback
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
SLOWEST = (
    "on_demand",
    "uninstall",
    "helm_crds",
    "high_availability",
    "trouble_cluster",
    "demo",
    "plugin_wait",
    "plugin_list",
    "plugin_create",
    "plugin_selection",
    "sample_gates",
    "kubectl_wait",
    "apply_overlays",
    "sample_on_demand",
    "control_plane",
    "control_plane_process",
    "manifests",
    "command_line",
    "notify",
    "identities",
    "kills",
)
"""The files that take longest. They come first, so that no process works alone at the end."""


@pytest.hookimpl(tryfirst=True)  # add the marker before -m deselects tests
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    ranks = {f"test_{name}": rank for rank, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))
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
    """Build the binaries before the first test, whose timeout would be too short for the build."""
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
    """The API server of this process, with the CRD installed. Each pytest-xdist worker has its own."""
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
        kubectl.wait_established("-f", str(CRD))


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    """Call as `kubectl(*args, stdin=None, ok=True, timeout=60)`. The result has stdout, stderr and returncode."""
    return Kubectl(cluster)


@pytest.fixture
def namespace(client: KubernetesClient, cluster: Cluster) -> Iterator[str]:
    """A namespace for a single test."""
    name = create_namespace(client)
    yield name
    drop_namespace(client, cluster, name)


@pytest.fixture(scope="session")
def control_plane(cluster: Cluster) -> ControlPlane:
    """The embedded control plane, which can inject faults and records requests. Skip the test without it."""
    if not isinstance(cluster, ControlPlane):
        pytest.skip("faults and recorded requests need the embedded control plane: unset E2E_KUBECONFIG")
    return cluster


@pytest.fixture
def faults(control_plane: ControlPlane) -> Iterator[Faults]:
    """Faults of the API server. They are cleared after the test."""
    yield control_plane.faults
    control_plane.faults.clear()


@pytest.fixture(scope="session")
def azure() -> Iterator[AzureSimulator]:
    """The Azure simulator, with a clock that only tests advance."""
    clock = ManualClock(start=datetime.now(UTC) - timedelta(days=1))
    with running_simulator(clock=clock, tokens={TOKEN: "operator"}) as simulator:
        yield simulator


@pytest.fixture
def jobs(azure: AzureSimulator) -> Iterator[Jobs]:
    """Jobs in a vault and a subscription for a single test."""
    yield Jobs(azure)
    azure.release_holds()
    azure.faults.clear()


@pytest.fixture(scope="session")
def client(cluster: Cluster) -> Iterator[KubernetesClient]:
    """An HTTPS client of the API server."""
    client = KubernetesClient(cluster)
    until(lambda: client("GET", WATCHES).status == HTTPStatus.OK, "the CRD")  # a CRD is Established before it is served
    yield client
    client.close()


@pytest.fixture(scope="session")
def recording(cluster: Cluster) -> Iterator[Recording]:
    """A recording of every version of every watch from now on."""
    with Recording(cluster) as recording:
        yield recording


@pytest.fixture(scope="session")
def operators(cluster: Cluster, azure: AzureSimulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    """The shared operator, and the operators that individual tests start."""
    operators = Operators(cluster, azure.url, tmp_path_factory.mktemp("operators"))
    yield operators
    operators.stop()
    operators.scan_logs()


@pytest.fixture
def operator_log(operators: Operators) -> Iterator[None]:
    """Print the logs of the test, search them for secrets, and fail if they contain a traceback."""
    before = operators.logs()
    yield
    after = operators.logs()
    operators.scan_logs()
    said = [log.removeprefix(known) for log, known in zip_longest(after, before, fillvalue="")]
    sys.stdout.write("\n".join(said))
    prove_no_traceback("".join(said))


@pytest.fixture
def operator(operators: Operators, operator_log: None) -> OperatorProcess:
    """The shared operator, which follows the watches of the whole cluster."""
    return operators.shared()


@pytest.fixture
def own_operators(operators: Operators, operator_log: None) -> Iterator[Operators]:
    """Operators of a single test. No operator runs before or after it."""
    operators.stop()
    yield operators
    operators.stop()


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    """A simulator with the current time, because the operator computes the start of job lists from its own clock."""
    with running_simulator(clock=ManualClock(start=datetime.now(UTC)), tokens={TOKEN: "operator"}) as simulator:
        yield simulator


@pytest.fixture
def starters(own_operators: Operators, cluster: Cluster, sim: AzureSimulator, tmp_path: Path) -> Iterator[Operators]:
    """Operators that use this simulator."""
    operators = Operators(cluster, sim.url, tmp_path)
    yield operators
    operators.stop()
    operators.scan_logs()


@pytest.fixture
def watches(namespace: str, client: KubernetesClient, recording: Recording) -> Iterator[Watches]:
    """The watches of the test's namespace. The operator must never add metadata to them."""
    watches = Watches(namespace, client, recording)
    yield watches
    watches.prove_unmarked()
    scan("the Events", str(watches.events()))


@pytest.fixture
def plugin(cluster: Cluster, namespace: str, tmp_path: Path) -> Plugin:
    """`kubectl bjw` in the test's namespace."""
    return Plugin(cluster, kubectl_path(), tmp_path, namespace)


@pytest.fixture
def written(operators: Operators, client: KubernetesClient, namespace: str) -> Written:
    """Watches of the same namespace. The test writes their statuses, and no operator runs."""
    operators.stop()
    return Written(client, namespace)


@pytest.fixture
def http_(control_plane: ControlPlane) -> Http:
    return Http(control_plane)


@pytest.fixture(scope="session")
def _gadget_kind(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=json.dumps(GADGET_CRD))
    kubectl.wait_established("crd/gadgets.test.example.com")


@pytest.fixture
def gadgets(_gadget_kind: None, namespace: str) -> str:
    """The API path of gadgets in the test's namespace."""
    return f"/apis/test.example.com/v1/namespaces/{namespace}/gadgets"
