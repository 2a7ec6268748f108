"""kubectl-bjw as one file, in a root directory that has the C library and no Python. Needs root; see `make plugin-test`."""

from __future__ import annotations

import os
import platform
import re
import secrets
import shutil
import subprocess
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from demo.controlplane import ControlPlane, Kubectl, find_binaries, kubectl_path, running_control_plane
from tests.support.canary import scan
from tests.support.commands import ROOT
from tests.support.kubernetes_client import WATCHES, KubernetesClient
from tests.support.plugin import PROGRAMS, Written
from tests.support.watches import until

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILT: Final = ROOT / "build" / "plugin" / "kubectl-bjw"
LIBRARIES: Final = (
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "libz.so.1",
)
"""Those of glibc, and zlib. The file has all others in it."""
LOADERS: Final = {"x86_64": "lib64/ld-linux-x86-64.so.2", "aarch64": "lib/ld-linux-aarch64.so.1"}
NOTES: Final = pytest.StashKey[list[str]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop if something is missing, and build the API server before the first test, whose time is limited."""
    if not BUILT.exists():
        pytest.exit(f"{BUILT.relative_to(ROOT)} does not exist. Run: make plugin", 1)
    if os.geteuid() != 0:
        pytest.exit("The tests change the root directory, which needs root. Run: sudo make plugin-test", 1)
    if not session.config.option.collectonly:
        with session.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            kubectl_path()
            find_binaries()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the size and the start time."""
    if lines := config.stash.get(NOTES, []):
        terminalreporter.section("kubectl-bjw as one file")
        terminalreporter.write_line("\n".join(lines))


class BareMachine:
    """A root directory with the plugin, a kubeconfig, glibc and zlib."""

    def __init__(self, root: Path, kubeconfig: Path) -> None:
        self._root = root
        root.chmod(0o755)
        for folder in ("bin", "lib", "lib64", "tmp", "home"):
            (root / folder).mkdir()
        (root / "tmp").chmod(0o1777)
        for library in LIBRARIES:
            shutil.copy(_locate(library), root / "lib" / library)
        loader = LOADERS[platform.machine()]
        shutil.copy(Path("/") / loader, root / loader)
        shutil.copy(BUILT, root / "bin" / PROGRAMS[0])
        (root / "bin" / PROGRAMS[1]).symlink_to(PROGRAMS[0])
        shutil.copyfile(kubeconfig, root / "home" / "kubeconfig")
        (root / "home" / "kubeconfig").chmod(0o644)

    def run(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command as an ordinary user, with nothing else in reach."""
        variables = ("PATH=/bin", "HOME=/home", "KUBECONFIG=/home/kubeconfig", "LC_ALL=C.UTF-8", "COLUMNS=200")
        enter = ("env", "-i", *variables, str(shutil.which("chroot")), "--userspec=65532:65532", str(self._root))
        done = subprocess.run([*enter, *command], input=stdin, capture_output=True, text=True, timeout=120, check=False)
        scan(f"{command[0]} as one file", done.stdout + done.stderr)
        return done


def _locate(library: str) -> str:
    known = subprocess.check_output(["/sbin/ldconfig", "-p"], text=True)
    (first, *_) = re.findall(rf"^\s*{re.escape(library)} \(.*64.*\) => (\S+)$", known, re.MULTILINE)
    return str(first)


@pytest.fixture(scope="session")
def cluster() -> Iterator[ControlPlane]:
    """An API server with the CRD."""
    with running_control_plane() as control_plane:
        kubectl = Kubectl(control_plane)
        kubectl("apply", "--server-side", "-k", str(ROOT / "crds"))
        kubectl.wait_established("crd", "--all")
        yield control_plane


@pytest.fixture(scope="session")
def machine(
    cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> BareMachine:
    """A machine without Python."""
    machine = BareMachine(tmp_path_factory.mktemp("root"), cluster.kubeconfig)
    started = time.monotonic()
    machine.run(PROGRAMS[0], "--version")
    pytestconfig.stash[NOTES] = [
        f"size: {BUILT.stat().st_size / 1e6:.0f} MB",
        f"start: {time.monotonic() - started:.1f} s",
    ]
    return machine


@pytest.fixture
def written(cluster: ControlPlane) -> Iterator[Written]:
    """Watches of a new namespace, whose statuses the test writes."""
    client = KubernetesClient(cluster)
    until(lambda: client("GET", WATCHES).status == HTTPStatus.OK, "the CRD")
    namespace = f"plugin-{secrets.token_hex(4)}"
    assert client("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}).status == HTTPStatus.CREATED
    yield Written(client, namespace)
    client.close()
