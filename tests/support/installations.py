"""Run the documented installation commands, and check the watches that must survive an uninstall."""

from __future__ import annotations

import contextlib
import os
import subprocess
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from demo.controlplane import Kubectl, running_control_plane
from tests.contract import markdown
from tests.support.builders import JOB_ID
from tests.support.helm import helm_path
from tests.support.kubernetes_client import WATCHES, KubernetesClient, path_of
from tests.support.watches import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.controlplane import ControlPlane
    from tests.support.kubernetes_client import Answer

SYSTEM: Final = "backupjobwatch-system"
KEPT: Final = ["w"]
"""The watches that an uninstall keeps."""
CRD: Final = "crd/backupjobwatches.azurebackup.dev"
_CRD: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/backupjobwatches.azurebackup.dev"
_SYSTEM: Final = f"/api/v1/namespaces/{SYSTEM}"
_INSTALLED: Final = (
    "/apis/apps/v1/deployments",
    "/api/v1/serviceaccounts",
    "/apis/rbac.authorization.k8s.io/v1/roles",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "/apis/policy/v1/poddisruptionbudgets",
)
_OF_THE_CLUSTER: Final = tuple(
    f"/apis/rbac.authorization.k8s.io/v1/{plural}" for plural in ("clusterroles", "clusterrolebindings")
)
_OURS: Final = {"labelSelector": "app.kubernetes.io/part-of=backupjobwatch"}
_WATCH: Final[dict[str, Any]] = {
    "apiVersion": "azurebackup.dev/v1alpha1",
    "kind": "BackupJobWatch",
    "metadata": {"name": "w"},
    "spec": {"jobResourceId": JOB_ID, "suspend": True},
}


class Site:
    """A cluster with a namespace *team-a*, and without the CRD."""

    def __init__(self, cluster: ControlPlane) -> None:
        self.kubectl = Kubectl(cluster)
        self.client = KubernetesClient(cluster)
        self.create("/api/v1/namespaces", {"metadata": {"name": "team-a"}})

    def run(self, folder: Path, script: str) -> str:
        """Run documented commands in a user's folder."""
        environment = {
            **self.kubectl.environment,
            "PATH": f"{helm_path().parent}:{self.kubectl.path.parent}:{os.environ['PATH']}",
            "HOME": str(folder),
        }
        command = ["/bin/sh", "-c", script]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        # kubectl deletes the namespace first. On a busy machine, its objects can vanish before kubectl deletes them.
        errors = [line for line in done.stderr.splitlines() if not line.startswith("Error from server (NotFound)")]
        assert done.returncode == 0 or not errors, done.stdout + done.stderr
        return done.stdout

    def create_watch(self) -> None:
        """Create a watch, unless it exists."""
        created = (HTTPStatus.CREATED, HTTPStatus.CONFLICT)
        until(lambda: self._created() in created, "the CRD is served")

    def watches(self) -> list[str]:
        """Return the names of the cluster's watches, or an empty list without a CRD. The CRD must not be in deletion."""
        if not self.has_crd():
            return []
        assert "deletionTimestamp" not in self.crd()["metadata"]
        return self._names(WATCHES)

    def has_crd(self) -> bool:
        """Return whether the CRD exists."""
        return not self._is_gone(_CRD)

    def crd(self) -> dict[str, Any]:
        """Return the CRD."""
        return self.get(_CRD)

    def create(self, path: str, body: Any) -> None:
        """Create an object."""
        answer = self.client("POST", path, body)
        assert answer.status == HTTPStatus.CREATED, answer

    def get(self, path: str) -> dict[str, Any]:
        """Return an object or a list."""
        answer = self.client("GET", path)
        assert answer.status == HTTPStatus.OK, answer
        return answer.body

    def left(self) -> list[str]:
        """Return the remaining objects of an installation, except the CRD."""
        lists = (*((path, {}) for path in _INSTALLED), *((path, _OURS) for path in _OF_THE_CLUSTER))
        return [f"{path.rpartition('/')[2]}/{name}" for path, query in lists for name in self._names(path, **query)]

    def clear(self) -> None:
        """Delete everything that a test created."""
        for path in (_CRD, _SYSTEM):
            self.client("DELETE", path)
        for path in _OF_THE_CLUSTER:
            self.client("DELETE", path, **_OURS)
        for path in (_CRD, _SYSTEM):
            until(partial(self._is_gone, path), f"the deletion of {path}")

    def _is_gone(self, path: str) -> bool:
        return self.client("GET", path).status == HTTPStatus.NOT_FOUND

    def _names(self, path: str, **query: str) -> list[str]:
        def listed() -> Answer | None:
            answer = self.client("GET", path, **query)
            return None if answer.status == HTTPStatus.TOO_MANY_REQUESTS else answer  # after a change of the CRD

        answer = until(listed, path)
        assert answer.status == HTTPStatus.OK, answer
        return [item["metadata"]["name"] for item in answer.body["items"]]

    def _created(self) -> int:
        try:
            return self.client("POST", path_of("team-a"), _WATCH).status
        except ValueError:  # the 404 for an unknown group is not JSON
            return HTTPStatus.NOT_FOUND


@contextlib.contextmanager
def running_site() -> Iterator[Site]:
    """Run a separate control plane, because the tests delete the CRD."""
    with running_control_plane() as cluster:
        site = Site(cluster)
        yield site
        site.client.close()


def block(text: str, word: str) -> str:
    """Return the only shell block of a document that contains *word*."""
    (found,) = (each for each in markdown.blocks(text, "sh") if word in each)
    return found
