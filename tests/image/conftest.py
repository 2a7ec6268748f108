"""The image, built from the Dockerfile on a base image of Debian packages. Needs root; see `make image-test`."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from demo.controlplane import ControlPlane, Kubectl, find_binaries, kubectl_path, running_control_plane
from demo.simulator import AzureSimulator, ManualClock, running_simulator
from tests.image import base_image
from tests.image.buildah import Buildah
from tests.image.container import Container
from tests.support.canary import TOKEN
from tests.support.commands import ROOT
from tests.support.jobs import Jobs
from tests.support.kubernetes_client import WATCHES, KubernetesClient, Recording
from tests.support.watches import Watches, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.image.buildah import Layer

FOLDER: Final = ROOT / "build" / "image"
TAG: Final = "backupjobwatch:test"
TOOLS: Final = {"buildah": "buildah", "debootstrap": "debootstrap", "setpriv": "util-linux", "unshare": "util-linux"}
"""The Debian package of each program that the tests need."""
CERTIFICATES: Final = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
SIZES: Final = pytest.StashKey[list[str]]()


def pytest_sessionstart() -> None:
    """Let SIGTERM and SIGHUP end the session as Ctrl-C does, so that no mounts remain."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Exit if a tool is missing, and build the API server before the first test, whose time is limited."""
    config = session.config
    missing = {package for program, package in TOOLS.items() if shutil.which(program) is None}
    if missing:
        install = f"apt-get install --no-install-recommends {' '.join(sorted(missing))}"
        pytest.exit(
            f"The image cannot be built: {', '.join(sorted(missing))} missing. Install: {install}", returncode=1
        )
    if os.geteuid() != 0:
        pytest.exit("The image cannot be built: buildah and debootstrap need root. Run: sudo make image-test", 1)
    if not config.option.collectonly:
        with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            kubectl_path()
            find_binaries()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the size of the image."""
    if lines := config.stash.get(SIZES, []):
        terminalreporter.section("image size")
        terminalreporter.write_line("\n".join(lines))


@pytest.fixture(scope="session")
def base() -> base_image.BaseImage:
    """The base image in the Dockerfile."""
    return base_image.parse((ROOT / "Dockerfile").read_text("utf-8"))


@pytest.fixture(scope="session")
def buildah(base: base_image.BaseImage) -> Iterator[Buildah]:
    """Buildah, with the image in its storage."""
    buildah = Buildah(FOLDER)
    buildah.clean()  # an earlier run may have been killed
    try:
        base_image.make(base, FOLDER / "base", buildah, CERTIFICATES)
        buildah.build(ROOT, TAG)
        yield buildah
    finally:
        buildah.clean()


@pytest.fixture(scope="session")
def config(buildah: Buildah) -> dict[str, Any]:
    """The runtime configuration of the image."""
    return buildah.config(TAG)


@pytest.fixture(scope="session")
def layers(buildah: Buildah, pytestconfig: pytest.Config) -> list[Layer]:
    """The layers of the image, the base first."""
    layers = buildah.layers(TAG)
    names = ["base image (stand-in)", *["added by the Dockerfile"] * (len(layers) - 1)]
    pytestconfig.stash[SIZES] = [
        f"{name}: {layer.compressed / 1e6:.0f} MB compressed, {layer.unpacked / 1e6:.0f} MB unpacked"
        for name, layer in zip(names, layers, strict=True)
    ]
    return layers


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is mounted as ``FILES`` in containers."""
    folder = tmp_path_factory.mktemp("files")
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def container(buildah: Buildah, config: dict[str, Any], files: Path) -> Iterator[Container]:
    """The image, run with the restrictions of the pod."""
    with buildah.mounted(TAG) as root:
        yield Container(root, config, files)


@pytest.fixture(scope="session")
def cluster(files: Path) -> Iterator[ControlPlane]:
    """An API server with the CRD, and a kubeconfig that containers can read."""
    with running_control_plane() as control_plane:
        kubectl = Kubectl(control_plane)
        kubectl("apply", "--server-side", "-k", str(ROOT / "crds"))
        kubectl.wait_established("crd", "--all")
        shutil.copyfile(control_plane.kubeconfig, files / "kubeconfig")
        (files / "kubeconfig").chmod(0o644)
        yield control_plane


@pytest.fixture
def azure() -> Iterator[AzureSimulator]:
    """The Azure simulator, with a stopped clock."""
    clock = ManualClock(start=datetime.now(UTC) - timedelta(days=1))
    with running_simulator(clock=clock, tokens={TOKEN: "operator"}) as simulator:
        yield simulator


@pytest.fixture
def jobs(azure: AzureSimulator) -> Jobs:
    """Backup jobs of one vault."""
    return Jobs(azure)


@pytest.fixture
def watches(cluster: ControlPlane) -> Iterator[Watches]:
    """The watches of a new namespace."""
    client = KubernetesClient(cluster)
    until(lambda: client("GET", WATCHES).status == HTTPStatus.OK, "the CRD")
    namespace = f"image-{secrets.token_hex(4)}"
    assert client("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}).status == HTTPStatus.CREATED
    with Recording(cluster) as recording:
        yield Watches(namespace, client, recording)
    client.close()
