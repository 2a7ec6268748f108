"""
Build Kubernetes' apiextensions-apiserver and etcd from Debian's archive, without root or Docker.

Debian sid ships the Kubernetes API machinery as Go source packages. The build unpacks the packages it needs into a
scratch directory and runs no maintainer scripts. It compiles ``k8s.io/apiextensions-apiserver`` with Debian's own
Go, keeps two binaries and deletes everything else. apt verifies the signatures of the archive.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .errors import ControlPlaneUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITE = "sid"
"""As of November 2026, the only suite with golang-k8s-apiextensions-apiserver-dev."""
IMPORT_PATH = "k8s.io/apiextensions-apiserver"
ROOTS = ("golang-k8s-apiextensions-apiserver-dev", "golang-go", "etcd-server")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TOOLS = ("apt-get", "dpkg-deb")
DEFAULT_MIRROR = "https://deb.debian.org/debian"
BUILT = ("apiextensions-apiserver", "etcd")
SCRATCH = "build-"
LARGE_LIBRARY = 4_000_000
"""
Bytes. Libraries above this size are skipped at first: transitive dependencies bring 200 MB that the server never
imports. If the build fails without them, it is repeated with all libraries.
"""
NEEDED_SPACE = 5_000_000_000
LOG_TAIL = 1500


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "backupjobwatch" / "control-plane"


def is_built() -> bool:
    return all((cache() / "bin" / name).exists() for name in BUILT)


def build(mirror: str | None = None) -> Path:
    """
    Return the directory with the two binaries. Build them first if they do not exist, which takes minutes.

    Concurrent calls wait for one build. Raises ControlPlaneUnavailable if this machine cannot build them.
    """
    ready = cache() / "bin"
    if is_built():
        return ready
    check_machine()
    with locked(cache() / "lock"):
        if is_built():  # by the process that held the lock
            return ready
        for leftover in (ready, *cache().glob(f"{SCRATCH}*")):  # files of a build that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        log_path = cache() / "build.log"
        tell(
            f"Building a Kubernetes API server. This happens once and takes 3 to 5 minutes. Errors are written to {log_path}"
        )
        with tempfile.TemporaryDirectory(dir=cache(), prefix=SCRATCH) as scratch, log_path.open("w+") as log:
            try:
                made = make(Path(scratch), mirror or debian_mirror(), log)
            except (subprocess.CalledProcessError, OSError, ControlPlaneUnavailable) as error:
                log.flush()
                raise ControlPlaneUnavailable(
                    f"the API server could not be built from {SUITE} of {mirror or debian_mirror()}: {error}\n"
                    f"The end of {log_path}:\n{log_path.read_text()[-LOG_TAIL:]}\n"
                ) from error
            made.rename(ready)  # atomically, so that no reader sees an incomplete directory
    return ready


def check_machine() -> None:
    """Raise ControlPlaneUnavailable if this machine lacks something that the build needs."""
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        raise ControlPlaneUnavailable(
            f"Building an API server from Debian's archive requires {' and '.join(missing)} on PATH, which only Debian and its derivatives have"
        )
    if not KEYRING.exists():
        raise ControlPlaneUnavailable(
            f"Building an API server from Debian's archive requires {KEYRING}. Install the package debian-archive-keyring"
        )
    cache().mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(cache()).free) < NEEDED_SPACE:
        raise ControlPlaneUnavailable(
            f"Building an API server requires {NEEDED_SPACE / 1e9:.0f} GB of free disk space, but {cache()} has only {free / 1e9:.1f} GB"
        )


def debian_mirror() -> str:
    """Return the Debian mirror in the apt configuration of this machine, or the default mirror."""
    parts = Path("/etc/apt/sources.list.d")
    for source in (Path("/etc/apt/sources.list"), *sorted(parts.glob("*.sources")), *sorted(parts.glob("*.list"))):
        text = source.read_text() if source.exists() else ""
        for uri in re.findall(r"^(?:URIs:|deb\s+(?:\[[^]]*\])?)\s*(\S+/debian)/?(?:\s|$)", text, re.MULTILINE):
            return str(uri)
    return DEFAULT_MIRROR


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on a file. The kernel releases it if this process dies."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(scratch: Path, mirror: str, log: IO[str]) -> Path:
    """Build the binaries, and return a directory that contains nothing else."""
    tree, made = scratch / "tree", scratch / "bin"
    made.mkdir()
    apt = Apt(scratch / "apt", mirror, log)
    closure = apt.closure(*ROOTS)
    libraries = {name for name in closure if re.fullmatch(r"golang-.*-dev", name)}
    large = {name for name in libraries if closure[name][1] > LARGE_LIBRARY}
    toolchain = {name for name in closure if re.fullmatch(r"golang-[\d.]+-(go|src)|etcd-server", name)}
    version = re.sub(r"^0\.([\d.]+).*", r"1.\1", closure[ROOTS[0]][0])  # library 0.36.1 belongs to Kubernetes 1.36.1
    tell(f"Fetching Go, etcd and {len(libraries - large)} libraries")
    apt.unpack(sorted(libraries - large | toolchain), tree)
    serve_crd_schemas(tree)
    tell(f"Compiling {IMPORT_PATH} of Kubernetes {version}")
    try:
        go_build(tree, made / BUILT[0], version, log)
    except subprocess.CalledProcessError:
        tell(f"Trying again with {len(large)} more libraries")
        apt.unpack(sorted(large), tree)
        go_build(tree, made / BUILT[0], version, log)
    shutil.move(tree / "usr/bin/etcd", made / BUILT[1])
    return made


def tell(step: str) -> None:
    print(step, file=sys.stderr, flush=True)


class Apt:
    """apt with its own state in a separate directory, as if no package were installed."""

    def __init__(self, root: Path, mirror: str, log: IO[str], *, suite: str = SUITE) -> None:
        for part in ("state/lists/partial", "cache/archives/partial"):
            (root / part).mkdir(parents=True)
        (root / "status").touch()
        (root / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
        # Check-Valid-Until: accept a mirror that is behind, or a frozen sid.
        (root / "apt.conf").write_text(
            f'Dir::State "{root}/state"; Dir::State::status "{root}/status"; Dir::Cache "{root}/cache";\n'
            f'Dir::Etc::sourcelist "{root}/sources.list"; Dir::Etc::sourceparts "/dev/null";\n'
            'Dir::Etc::preferencesparts "/dev/null"; Debug::NoLocking "1"; APT::Sandbox::User "";\n'
            'APT::Install-Recommends "0"; Acquire::Languages "none"; Acquire::Check-Valid-Until "0";\n'
        )
        self._env = {**os.environ, "APT_CONFIG": str(root / "apt.conf"), "LC_ALL": "C"}
        self._log = log
        self.run("update", "-q")

    def run(self, *args: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ["apt-get", *args], env=self._env, cwd=cwd, check=True, text=True, stdout=subprocess.PIPE, stderr=self._log
        )
        return done.stdout

    def closure(self, *packages: str) -> dict[str, tuple[str, int]]:
        """Return the version and the .deb size of *packages* and all their dependencies."""
        uris = self.run("install", "-q", "-y", "--print-uris", *packages)
        files = re.findall(r"^'\S+' (\S+?)_(\S+)_\w+\.deb (\d+)", uris, re.MULTILINE)
        return {name: (version.replace("%3a", ":"), int(size)) for name, version, size in files}

    def unpack(self, packages: list[str], target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=target.parent) as debs:
            self.run("download", "-q", *packages, cwd=Path(debs))
            for deb in Path(debs).iterdir():
                subprocess.run(["dpkg-deb", "-x", deb, target], check=True, stdout=self._log, stderr=self._log)


def serve_crd_schemas(tree: Path) -> None:
    """Enable OpenAPI v2 in the source: `kubectl apply` needs the CRD schemas that it publishes."""
    source = tree / "usr/share/gocode/src" / IMPORT_PATH / "pkg/cmd/server/options/options.go"
    text = source.read_text()
    v3 = re.search(r"^\s*serverConfig\.OpenAPIV3Config = .*\n", text, re.MULTILINE)
    if not v3:
        raise ControlPlaneUnavailable(f"{source.name} of the API server has changed, see serve_crd_schemas()")
    source.write_text(text.replace(v3[0], v3[0] + v3[0].replace("OpenAPIV3Config", "OpenAPIConfig")))


def go_build(tree: Path, output: Path, version: str, log: IO[str]) -> None:
    goroot = next((tree / "usr/lib").glob("go-1.*"))
    env = {
        **os.environ,
        "GOROOT": str(goroot),
        "GOPATH": str(tree / "usr/share/gocode"),
        "GO111MODULE": "off",
        "GOCACHE": str(tree / "gocache"),
        "GOTMPDIR": str(tree),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-trimpath",
        "CGO_ENABLED": "0",
    }
    ldflags = f"-s -w -X k8s.io/component-base/version.gitVersion=v{version}"
    command = [str(goroot / "bin/go"), "build", "-ldflags", ldflags, "-o", str(output), IMPORT_PATH]
    subprocess.run(command, env=env, check=True, stdout=log, stderr=log)
