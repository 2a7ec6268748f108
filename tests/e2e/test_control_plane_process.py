"""The control plane starts and stops, requires a client certificate, and leaves nothing behind."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from demo.controlplane import Binaries, ControlPlane, ControlPlaneUnavailable, Kubectl, running_control_plane
from tests.support.watches import until


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


class TestProcess:
    """The control plane starts and stops, and leaves nothing behind."""

    def test_no_certificate_no_entry(self, control_plane: ControlPlane) -> None:
        """The API server refuses local clients that have no client certificate."""
        context = ssl.create_default_context(cafile=str(control_plane.directory / "ca.pem"))
        connection = http.client.HTTPSConnection(urlsplit(control_plane.url).netloc, context=context, timeout=60)
        try:
            with pytest.raises((OSError, http.client.HTTPException)):  # noqa: PT012  # TLS 1.3 reports it on the first read
                connection.request("GET", "/api")
                connection.getresponse()
        finally:
            connection.close()

    def test_secrets_are_private(self, control_plane: ControlPlane) -> None:
        """Only the owner can read the keys and the kubeconfig."""
        for name in ("kubeconfig", "admin.pem", "server.pem", "service-account.pem"):
            assert (control_plane.directory / name).stat().st_mode & 0o077 == 0

    def test_persistence_and_isolation(self, kubectl: Kubectl, tmp_path: Path) -> None:
        """A directory keeps the objects for the next run. Two control planes share nothing."""
        directory = tmp_path / ("x" * 80)  # longer than the path of a socket may be
        with running_control_plane(directory) as first:
            Kubectl(first)("create", "ns", "kept")
            with (
                pytest.raises(ControlPlaneUnavailable, match="another control plane"),
                running_control_plane(directory),
            ):
                pass
        with running_control_plane(directory) as again:
            assert "kept" in Kubectl(again)("get", "ns").stdout
            assert "kept" not in kubectl("get", "ns").stdout

    async def test_nothing_is_left(self) -> None:
        """After shutdown no process or file remains, and the port is closed."""
        async with ControlPlane() as cluster:
            pids, directory = cluster.processes.pids, cluster.directory
            assert all(alive(pid) for pid in pids.values())
        assert not any(alive(pid) for pid in pids.values())
        assert not directory.exists()
        address = urlsplit(cluster.url)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address.hostname, address.port))

    def test_start_failure_is_reported(self, tmp_path: Path) -> None:
        """The error of an API server that does not start includes its output."""
        for name, script in (("etcd", "exec sleep 9"), ("apiextensions-apiserver", "echo no luck; exit 3")):
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
        binaries = Binaries(etcd=tmp_path / "etcd", apiserver=tmp_path / "apiextensions-apiserver")
        with (
            pytest.raises(ControlPlaneUnavailable, match=r"(?s)status 3.*no luck"),
            running_control_plane(binaries=binaries),
        ):
            pass

    def test_command(self) -> None:
        """The command runs with the cluster's kubeconfig, and its exit status is passed on."""
        script = "kubectl get ns default -o name && exit 7"
        done = subprocess.run(
            [sys.executable, "-m", "demo.controlplane", "--", "sh", "-c", script],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (done.stdout, done.returncode) == ("namespace/default\n", 7)

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_children_end_with_us(self, tmp_path: Path, number: signal.Signals) -> None:
        """etcd and the API server end when their parent process receives SIGTERM or is killed."""
        command = [sys.executable, "-m", "demo.controlplane", "--directory", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"export KUBECONFIG={tmp_path}/kubeconfig\n"
            children = [int(it) for it in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
            assert len(children) == 2
            os.kill(process.pid, number)
        until(lambda: not any(alive(pid) for pid in children))
