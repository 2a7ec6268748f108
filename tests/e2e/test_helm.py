"""Helm installs, upgrades and uninstalls releases of the operator chart on the API server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.helm import CHART, run_helm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from demo.controlplane import Cluster, Kubectl

    Helm = Callable[..., str]

KINDS: Final = "deploy,sa,role,rolebinding,pdb,clusterrole,clusterrolebinding"
SAMPLE: Final = CHART.parent / "samples" / "backupjobwatch.yaml"


@pytest.fixture
def helm(cluster: Cluster, tmp_path: Path, namespace: str) -> Helm:
    """Run helm in the test's namespace. It must succeed by default."""

    def helm(*args: str, ok: bool = True) -> str:
        done = run_helm(tmp_path, *args, "--namespace", namespace, environment=cluster.environment)
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done.stdout + done.stderr

    return helm


def installed(kubectl: Kubectl, namespace: str, release: str) -> list[str]:
    """Return the objects of a release."""
    labels = ("-l", f"app.kubernetes.io/instance={release},app.kubernetes.io/part-of=backupjobwatch")
    return kubectl("get", KINDS, "-n", namespace, "-o", "name", *labels).stdout.split()


def test_several_releases(kubectl: Kubectl, helm: Helm, namespace: str) -> None:
    """Releases of any name share a namespace and the CRD. Removing one keeps the others, the CRD and all watches."""
    releases = ("backupjobwatch", "shard-a", "b")
    for release in releases:
        helm("install", release, str(CHART), "--set", f"replicaCount=2,watchNamespaces={{team-{release}}}")
    objects = {release: installed(kubectl, namespace, release) for release in releases}
    assert "deployment.apps/b-backupjobwatch" in objects["b"]
    assert len({len(each) for each in objects.values()}) == 1
    assert len(set().union(*objects.values())) == sum(len(each) for each in objects.values()) > 0
    kubectl("apply", "-n", namespace, "-f", str(SAMPLE))
    helm("upgrade", "shard-a", str(CHART), "--set", "image.digest=sha256:" + "a" * 64)
    image = kubectl("get", "deploy", "shard-a-backupjobwatch", "-n", namespace, "-o", "jsonpath={..image}").stdout
    assert image == "backupjobwatch@sha256:" + "a" * 64
    for count, release in enumerate(releases, start=1):
        helm("uninstall", release)
        assert installed(kubectl, namespace, release) == []
        for other in releases[count:]:
            assert len(installed(kubectl, namespace, other)) == len(objects[other]) - 3 * (other == "shard-a")
        kubectl("get", "-n", namespace, "-f", str(SAMPLE))


def test_pods_of_a_release(kubectl: Kubectl, helm: Helm, namespace: str) -> None:
    """The selector of each Deployment finds only the pods of its own release."""
    for release in ("a", "b"):
        helm("install", release, str(CHART), "--set", f"watchNamespaces={{team-{release}}}")
    listed = json.loads(kubectl("get", "deploy", "-n", namespace, "-o", "json").stdout)["items"]
    selectors = [each["spec"]["selector"]["matchLabels"] for each in listed]
    for each in listed:
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert sum(selector.items() <= labels.items() for selector in selectors) == 1
    for release in ("a", "b"):
        helm("uninstall", release)
