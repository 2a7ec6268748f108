"""The image contains only what it needs, and follows a job to its end with the restrictions of the pod."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from backupjobwatch import __version__
from demo.ports import reserved_port
from tests.contract.kustomizations import pod_of
from tests.contract.project import ENVIRONMENT, ROOT, kustomize
from tests.image.buildah import Buildah
from tests.image.container import FILES
from tests.support.canary import TOKEN

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator
    from tests.image.base_image import BaseImage
    from tests.image.buildah import Layer
    from tests.image.container import Container
    from tests.support.jobs import Jobs
    from tests.support.watches import Watches

pytestmark = pytest.mark.timeout(1800)  # the first test waits for debootstrap and for the build

LIST: Final = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
FIND: Final = "import importlib.util as u, sys; print(*(name for name in sys.argv[1:] if u.find_spec(name)))"
FOREIGN: Final = (
    "tests",
    "demo",
    "pytest",
    "hypothesis",
    "coverage",
    "ruff",
    "mypy",
    "pip",
    "setuptools",
    "wheel",
    "uv",
)


def test_nothing_is_left(tmp_path: Path) -> None:
    """The cleanup removes containers, their mounts, and images that a newer one has replaced."""
    buildah = Buildah(tmp_path)
    for _ in range(2):
        container = buildah("from", "scratch")
        buildah("config", f"--label=container={container}", container)
        buildah("commit", "--quiet", container, "test:image")
    mounted = buildah("mount", buildah("from", "--pull-never", "test:image"))
    assert mounted.startswith(str(tmp_path))
    (tmp_path / "oci").mkdir()
    buildah.clean()
    assert buildah("containers", "--quiet") == ""
    assert len(buildah("images", "--all", "--quiet").split()) == 1
    assert str(tmp_path) not in Path("/proc/mounts").read_text("utf-8")
    assert not (tmp_path / "oci").exists()


# ── content ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_platform(container: Container, base: BaseImage) -> None:
    """The image has the Python and Debian versions in the name of its base image."""
    shown = container.run("python", "--version").stdout
    assert shown.startswith(f"Python {base.python}.")
    assert f"VERSION_CODENAME={base.suite}\n" in container.run("cat", "/etc/os-release").stdout


def test_configuration(config: dict[str, Any]) -> None:
    """The image runs the operator as a non-root user, and its ports are those of the Deployment."""
    (pod,) = pod_of(kustomize(ROOT / "manifests" / "base"))["containers"]
    assert config["User"] == "65532:65532"
    assert (config["Entrypoint"], config["Cmd"]) == (["backupjobwatch"], pod["args"])
    assert config["ExposedPorts"].keys() == {f"{port['containerPort']}/tcp" for port in pod["ports"]}


def test_only_locked_packages(container: Container) -> None:
    """The installed packages and versions are exactly those of the lock file."""
    listed = {
        canonical(name): version for name, version in json.loads(container.run("python", "-c", LIST).stdout).items()
    }
    assert listed.pop("backupjobwatch") == __version__
    uv = ROOT / "build" / "uv" / "bin" / "uv"
    export = ("export", "--frozen", "--no-default-groups", "--no-emit-project", "--no-hashes", "--no-header")
    locked = subprocess.check_output([uv, *export], cwd=ROOT, env=ENVIRONMENT, text=True)
    pins = re.findall(r"^([\w.-]+)==([\w.]+)(?: ; (.*))?$", locked, re.MULTILINE)
    assert {(name, version) for name, version, marker in pins if not marker} <= listed.items()
    assert listed.items() <= {(name, version) for name, version, _ in pins}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_nothing_of_tests_or_demo(container: Container) -> None:
    """The image contains no tests, demo, development tools, installers or compilers."""
    assert container.run("python", "-c", FIND, "backupjobwatch", *FOREIGN).stdout == "backupjobwatch\n"
    for program in ("pip", "uv", "git", "gcc", "make", "curl", "wget", "kubectl"):
        assert container.run("sh", "-c", f"command -v {program}").stdout == ""


def test_adds_one_folder(layers: list[Layer]) -> None:
    """The Dockerfile adds /app to the base image, removes pip, and changes nothing else."""
    _, *added = layers
    paths = {path for layer in added for path in layer.paths}
    kept = {path for path in paths if not re.search(r"(^|/)\.wh\.", path)}
    assert {path for path in kept if not path.startswith("app/")} == set()
    assert {path for path in paths - kept if "pip" not in path} == set()


def test_bytecode_is_complete(layers: list[Layer]) -> None:
    """Every module is compiled, because the running image cannot store bytecode."""
    *_, added = layers
    modules = {path for path in added.paths if path.startswith("app/lib/") and path.endswith(".py")}
    compiled = {re.sub(r"__pycache__/(.*)\.cpython-\d+\.pyc$", r"\1.py", path) for path in added.paths}
    assert {path for path in modules - compiled if "/backupjobwatch/" in path} == set()
    assert len(modules & compiled) / len(modules) > 0.99


# ── behavior ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("program", "name"), [("backupjobwatch", "backupjobwatch"), ("kubectl-bjw", "kubectl bjw")])
def test_programs_start(container: Container, program: str, name: str) -> None:
    """Each program starts on a read-only file system."""
    done = container.run(program, "--version")
    assert (done.stdout, done.stderr) == (f"{name}, version {__version__}\n", "")


def test_root_file_system_is_read_only(container: Container) -> None:
    """Only /tmp is writable, as in the pod."""
    done = container.run("sh", "-c", "for path in / /app /etc /tmp /mnt; do touch $path/new && echo $path; done")
    assert done.stdout == "/tmp\n"
    assert done.stderr.count("Read-only file system") == 4


def operator_environment(azure: AzureSimulator, namespace: str, port: int) -> dict[str, str]:
    """Return the environment of the Deployment, with settings for the simulator and the API server."""
    (pod,) = pod_of(kustomize(ROOT / "manifests" / "base"))["containers"]
    return {
        **{each["name"]: each["value"] for each in pod["env"]},
        "KUBECONFIG": f"{FILES}/kubeconfig",
        "BACKUPJOBWATCH_AZURE_ENDPOINT": azure.url,
        "BACKUPJOBWATCH_DEVELOPMENT": "true",
        "BACKUPJOBWATCH_DEVELOPMENT_TOKEN": TOKEN,
        "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES": namespace,
        "BACKUPJOBWATCH_PROBE_PORT": str(port),
        "BACKUPJOBWATCH_METRICS_PORT": "0",
    }


def test_follows_a_watch_to_its_end(
    container: Container, azure: AzureSimulator, jobs: Jobs, watches: Watches, tmp_path: Path
) -> None:
    """As unprivileged process 1, the entry point follows jobs to success and failure, and exits on SIGTERM."""
    with (
        reserved_port() as port,
        container.running(operator_environment(azure, watches.namespace, port), tmp_path / "log") as operator,
    ):
        operator.wait_ready(port)
        status = operator.status()
        assert status["Uid"].split() == status["Gid"].split() == ["65532"] * 4
        assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
        assert (status["NoNewPrivs"], status["NSpid"].split()[-1], status["Groups"]) == ("1", "1", "")
        good, bad = jobs.start(), jobs.start()
        watches.create("good", jobResourceId=good)
        watches.create("bad", jobResourceId=bad)
        watches.until_phase("good", "Running")
        jobs.complete(good)
        jobs.fail(bad)
        watches.until_phase("good", "Succeeded")
        watches.until_phase("bad", "Failed")
        watches.until_event("good", "JobCompleted")
        assert operator.terminate() == 0, operator.log
        lines = [json.loads(line) for line in operator.log.splitlines()]
        assert {line["level"] for line in lines} <= {"INFO", "WARNING"}, operator.log


def test_follows_a_job_without_a_cluster(container: Container, azure: AzureSimulator, jobs: Jobs) -> None:
    """``backupjobwatch watch`` in the image exits with the job's outcome, for use as a pipeline step."""
    settings = {"AZURE_ENDPOINT": azure.url, "DEVELOPMENT": "true", "DEVELOPMENT_TOKEN": TOKEN}
    environment = {f"BACKUPJOBWATCH_{name}": value for name, value in settings.items()}
    for job, code in ((jobs.completed(), 0), (jobs.failed(), 1)):
        done = container.run("backupjobwatch", "watch", job, environment=environment)
        assert done.returncode == code, done.stderr
