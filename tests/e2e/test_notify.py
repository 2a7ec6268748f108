"""The end of a job starts the next step: a waiting script, a webhook, Flux or Argo CD."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import TYPE_CHECKING, Any, Final

import pytest

from demo.ports import reserved_port
from tests.support.canary import WORD
from tests.support.jobs import name_of
from tests.support.receiver import Receiver, flux_accepts, github_accepts, running_receiver
from tests.support.watches import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.controlplane import Kubectl
    from tests.support.jobs import Jobs
    from tests.support.operator_process import OperatorProcess, Operators
    from tests.support.watches import Watches

KEY: Final = f"signing-key-{WORD}"
BEARER: Final = f"bearer-token-{WORD}"
SETTINGS: Final = {"NOTIFY_HTTP_HOSTS": "127.0.0.1"}
CRDS: Final = {
    "kustomizations.kustomize.toolkit.fluxcd.io": ("Kustomization", "v1"),
    "helmreleases.helm.toolkit.fluxcd.io": ("HelmRelease", "v2"),
    "gitrepositories.source.toolkit.fluxcd.io": ("GitRepository", "v1beta2"),
    "applications.argoproj.io": ("Application", "v1alpha1"),
}
"""Kinds of Flux and Argo CD. Their controllers are not needed: the tests check only annotations."""
NEWER: Final = {"buckets.source.toolkit.fluxcd.io": ("Bucket", "v1")}
"""A kind that makes its API group prefer a version without GitRepository."""
REQUESTED_AT: Final = "reconcile.fluxcd.io/requestedAt"


def crd(name: str, kind: str, version: str) -> dict[str, Any]:
    plural, _, group = name.partition(".")
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    versions = [{"name": version, "served": True, "storage": True, "schema": schema}]
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": versions}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": spec,
    }


@pytest.fixture(scope="module")
def gitops(kubectl: Kubectl) -> Iterator[None]:
    """The CRDs of Flux and Argo CD, or minimal ones if the cluster has none."""
    kinds = CRDS | NEWER
    made = [name for name in kinds if kubectl("get", "crd", name, ok=False).returncode != 0]
    for name in made:
        kubectl("apply", "-f", "-", stdin=json.dumps(crd(name, *kinds[name])))
        kubectl.wait_established(f"crd/{name}")
    yield
    for name in made:
        kubectl("delete", "crd", name, "--wait=false")


def make(kubectl: Kubectl, namespace: str, plural: str, name: str) -> None:
    kind, version = CRDS[plural]
    body = {"apiVersion": f"{plural.partition('.')[2]}/{version}", "kind": kind, "metadata": {"name": name}, "spec": {}}
    until(
        lambda: kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(body), ok=False).returncode == 0,
        f"a {kind}",
    )


def annotated(kubectl: Kubectl, namespace: str, plural: str, name: str) -> dict[str, str]:
    body = json.loads(kubectl("get", plural, name, "-n", namespace, "-o", "json").stdout)
    found: dict[str, str] = body["metadata"].get("annotations", {})
    return found


def put_secret(kubectl: Kubectl, namespace: str, receiver: Receiver) -> dict[str, Any]:
    keys = {"address": receiver.url, "token": KEY, "bearer": BEARER}
    literals = [f"--from-literal={key}={value}" for key, value in keys.items()]
    kubectl("create", "secret", "generic", "backup-hook", *literals, "-n", namespace)
    kubectl("label", "secret", "backup-hook", "azurebackup.dev/notify=true", "-n", namespace)
    return {"name": "hook", "webhook": {"secretName": "backup-hook"}}


def entries(watches: Watches, name: str) -> dict[str, dict[str, Any]]:
    found = watches.get(name).get("status", {}).get("notifications", ())
    return {entry["name"]: entry for entry in found}


def delivered(watches: Watches, name: str) -> list[str]:
    return [name for name, entry in entries(watches, name).items() if entry["state"] == "Delivered"]


def start(operators: Operators, watches: Watches) -> OperatorProcess:
    return operators.start(NAMESPACES=watches.namespace, **SETTINGS).wait_ready()


def test_story(own_operators: Operators, watches: Watches, jobs: Jobs, kubectl: Kubectl, gitops: None) -> None:
    """When the job ends, `kubectl wait` returns, and the operator notifies each receiver once."""
    namespace, job = watches.namespace, jobs.start()
    for plural in CRDS:
        make(kubectl, namespace, plural, "next")
    operator = start(own_operators, watches)
    with running_receiver() as receiver:
        flux = [
            {"name": kind.lower(), "phases": ["Succeeded"], "flux": {"kind": kind, "name": "next"}}
            for kind, _ in CRDS.values()
            if kind != "Application"
        ]
        argocd = {"name": "argocd", "phases": ["Succeeded"], "argocd": {"application": "next"}}
        watches.create("gate", jobResourceId=job, notify=[put_secret(kubectl, namespace, receiver), *flux, argocd])
        watches.until_phase("gate", "Running")
        began = threading.Event()

        def second_step() -> None:
            kubectl("wait", "-n", namespace, "bjw/gate", "--for=condition=complete", "--timeout=60s", timeout=90)
            kubectl("create", "configmap", "second-step", "-n", namespace)
            began.set()

        step = threading.Thread(target=second_step, daemon=True)
        step.start()
        assert not began.wait(1)
        assert receiver.deliveries == []
        jobs.complete(job)
        watches.request("gate", "now")
        assert began.wait(60)
        step.join()
        watches.until("gate", lambda _: len(delivered(watches, "gate")) == 5)
        (delivery,) = receiver.deliveries
    found = entries(watches, "gate")
    assert {entry["state"] for entry in found.values()} == {"Delivered"}
    (key,) = {entry["id"] for entry in found.values()}
    assert flux_accepts(delivery, KEY.encode())
    assert github_accepts(delivery, KEY.encode())
    assert delivery.headers["Authorization"] == f"Bearer {BEARER}"
    assert delivery.id == key
    assert delivery.event.get_type() == "dev.azurebackup.job.succeeded"
    for plural in CRDS:
        expected = {"argocd.argoproj.io/refresh": "hard"} if plural.startswith("app") else {REQUESTED_AT: key}
        assert annotated(kubectl, namespace, plural, "next") == expected
    assert WORD not in operator.log + json.dumps([watches.get("gate"), watches.events("gate")])
    watches.prove_honest("gate", completed={name_of(job)})


@pytest.mark.parametrize("arrived", [False, True], ids=["before it arrived", "before it was acknowledged"])
def test_killed_between_end_and_notification(
    own_operators: Operators, watches: Watches, jobs: Jobs, kubectl: Kubectl, *, arrived: bool
) -> None:
    """If an operator is killed before it has notified, the next operator notifies with the same ID."""
    with reserved_port() as port:
        with running_receiver("hang", port=port) as receiver:
            entry = put_secret(kubectl, watches.namespace, receiver)
            if arrived:
                operator = start(own_operators, watches)
                watches.create("w", jobResourceId=jobs.completed(), notify=[entry])
                until(lambda: receiver.deliveries, "the webhook")
                operator.kill()
        if not arrived:  # the port of the webhook is closed
            operator = start(own_operators, watches)
            watches.create("w", jobResourceId=jobs.completed(), notify=[entry])
            until(lambda: "attempt 1 failed" in operator.log, "an attempt")
            operator.kill()
        watches.until_phase("w", "Succeeded")
        assert not delivered(watches, "w")
        with running_receiver(port=port) as after:
            start(own_operators, watches)
            watches.until("w", lambda _: bool(delivered(watches, "w")))
            ids = [delivery.id for delivery in (*receiver.deliveries, *after.deliveries)]
        assert entries(watches, "w")["hook"]["state"] == "Delivered"
        assert set(ids) == {entries(watches, "w")["hook"]["id"]}
        assert len(ids) == (2 if arrived else 1)


def test_time_to_live(own_operators: Operators, watches: Watches, jobs: Jobs) -> None:
    """The TTL deletes a finished watch after its notifications, unless a controller owns the watch."""
    start(own_operators, watches)
    with running_receiver() as receiver:
        entry = {"name": "hook", "webhook": {"url": receiver.url}}
        watches.create("going", jobResourceId=jobs.completed(), ttlSecondsAfterFinished=0, notify=[entry])
        until(lambda: not watches.exists("going"), "its deletion")
        assert len(receiver.deliveries) == 1
    watches.create("kept", jobResourceId=jobs.completed())
    watches.until_phase("kept", "Succeeded")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "0", "controller": True}
    watches._patch("kept", {"metadata": {"ownerReferences": [owner]}, "spec": {"ttlSecondsAfterFinished": 0}})
    event = watches.until_event("kept", "TTLSkipped")
    assert "ConfigMap c (controller)" in event["message"]
    assert watches.exists("kept")


def test_poll_at_once(operator: OperatorProcess, watches: Watches, jobs: Jobs, kubectl: Kubectl) -> None:
    """`kubectl annotate` triggers a poll, which opens the gate minutes before the next regular poll."""
    job = jobs.start()
    watches.create("w", jobResourceId=job, pollInterval="5m")
    watches.until_phase("w", "Running")
    jobs.complete(job)
    waiting = subprocess.Popen(
        [str(kubectl.path), "wait", "-n", watches.namespace, "bjw/w", "--for=condition=complete", "--timeout=60s"],
        env=kubectl.environment,
        stdout=subprocess.DEVNULL,
    )
    kubectl("annotate", "-n", watches.namespace, "bjw/w", f"{REQUESTED_AT}=now")
    assert waiting.wait(60) == 0
    assert watches.get("w")["status"]["lastHandledReconcileAt"] == "now"
