"""
A real API server for every test in this folder: our own control plane, or the cluster that E2E_KUBECONFIG names.

Where there is neither, the tests fail and say so; E2E=skip leaves them out, and says that at the end.
"""

from __future__ import annotations

import os
import secrets
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.controlplane import Cluster, Faults

HERE = Path(__file__).parent
CRD = HERE.parents[1] / "crds" / "backupjobwatches.azurebackup.dev.yaml"
LEFT_OUT = pytest.StashKey[int]()
UNAVAILABLE = pytest.StashKey[ControlPlaneUnavailable]()


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    for item in ours:
        item.add_marker(pytest.mark.e2e)
    if os.environ.get("E2E") == "skip":
        config.stash[LEFT_OUT] = len(ours)
        for item in ours:
            item.add_marker(pytest.mark.skip(reason="E2E=skip"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what has to be built before the first test, whose time is limited."""
    config = session.config
    wanted = any(item.path.is_relative_to(HERE) for item in session.items)
    if not wanted or config.option.collectonly or LEFT_OUT in config.stash:
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():
            kubectl_path()
            if "E2E_KUBECONFIG" not in os.environ:
                find_binaries()
    except ControlPlaneUnavailable as error:
        config.stash[UNAVAILABLE] = error


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if left_out := config.stash.get(LEFT_OUT, 0):
        terminalreporter.section("END-TO-END TESTS DID NOT RUN", red=True, bold=True)
        terminalreporter.line(f"E2E=skip left out all {left_out} tests that need a Kubernetes API server.", red=True)
    elif error := config.stash.get(UNAVAILABLE, None):
        terminalreporter.section("END-TO-END TESTS COULD NOT RUN", red=True, bold=True)
        terminalreporter.line(str(error), red=True)


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """The API server of this session, with our CRD."""
    if UNAVAILABLE in pytestconfig.stash:
        pytest.fail(str(pytestconfig.stash[UNAVAILABLE]), pytrace=False)
    try:
        existing = find_existing()
    except ControlPlaneUnavailable as error:
        pytestconfig.stash[UNAVAILABLE] = error
        pytest.fail(str(error), pytrace=False)
    if existing is not None:
        with existing:
            install_crd(existing)
            yield existing
        return
    with running_control_plane() as control_plane:
        install_crd(control_plane)
        yield control_plane


def install_crd(cluster: Cluster) -> None:
    kubectl = Kubectl(cluster)
    if CRD.exists():
        kubectl("apply", "--server-side", "-f", str(CRD))
        kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRD))


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    """`kubectl(*args, stdin=None, ok=True, timeout=60)`, with .stdout, .stderr and .returncode of what it did."""
    return Kubectl(cluster)


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"e2e-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


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
