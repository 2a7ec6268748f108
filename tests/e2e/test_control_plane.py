"""The control plane that the other tests stand on: it keeps a cluster's promises, and breaks them on request."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml

from demo.controlplane import Binaries, ControlPlane, ControlPlaneUnavailable, Fault, Kubectl, running_control_plane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from demo.controlplane import Faults

GADGETS = "/apis/test.example.com/v1/namespaces/{}/gadgets"
GADGET_CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gadgets.test.example.com"},
    "spec": {
        "group": "test.example.com",
        "scope": "Namespaced",
        "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "selectableFields": [{"jsonPath": ".spec.colour"}],
                "additionalPrinterColumns": [{"name": "Colour", "type": "string", "jsonPath": ".spec.colour"}],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "colour": {"type": "string", "enum": ["red", "green"]},
                                    "size": {"type": "integer", "default": 1},
                                },
                            },
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


def gadget(name: str = "", colour: str = "red", **meta: Any) -> dict[str, Any]:
    meta = {"name": name, **meta} if name else meta
    return {"apiVersion": "test.example.com/v1", "kind": "Gadget", "metadata": meta, "spec": {"colour": colour}}


class Http:
    """Plain HTTPS with the admin's certificate, as a client that is not kubectl."""

    def __init__(self, cluster: ControlPlane) -> None:
        self.address = urlsplit(cluster.url).netloc
        self.tls = ssl.create_default_context(cafile=str(cluster.directory / "ca.pem"))
        self.tls.load_cert_chain(cluster.directory / "admin.pem")

    @contextmanager
    def open(
        self, method: str, path: str, body: Any = None, agent: str = "test", **headers: str
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPSConnection(self.address, context=self.tls, timeout=20)
        try:
            data = None if body is None else json.dumps(body)
            content = {"Content-Type": "application/json", "User-Agent": agent}
            connection.request(method, path, data, {**content, **headers})
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        with self.open(method, path, body, **options) as response:
            return response.status, json.load(response)

    @contextmanager
    def watching(self, path: str) -> Iterator[Watching]:
        """Watch from a thread, from the very beginning; at the end, wait until the stream has been cut."""
        watching = Watching()

        def read() -> None:
            try:
                with self.open("GET", f"{path}?watch=true") as response:
                    watching.begun.set()
                    for line in response:
                        event = json.loads(line)
                        watching.events.append((event["type"], event["object"]["metadata"]["name"]))
            finally:
                watching.ended.set()

        thread = threading.Thread(target=read)
        thread.start()
        assert watching.begun.wait(10)
        try:
            yield watching
        finally:
            thread.join(20)
        assert watching.ended.is_set()


class Watching:
    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()
        self.events: list[tuple[str, str]] = []

    def first(self) -> None:
        until(lambda: self.events)


def until(condition: Callable[[], Any], seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return found


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.fixture
def http_(control_plane: ControlPlane) -> Http:
    return Http(control_plane)


@pytest.fixture
def gadgets(kubectl: Kubectl, namespace: str) -> str:
    """The path of gadgets in a namespace of the test's own."""
    kubectl("apply", "-f", "-", stdin=json.dumps(GADGET_CRD))
    kubectl("wait", "--for=condition=Established", "crd/gadgets.test.example.com", "--timeout=10s")
    return GADGETS.format(namespace)


class TestCluster:
    """As in any cluster."""

    def test_namespaces(self, kubectl: Kubectl) -> None:
        """A namespace is created once, holds things, and is gone with all of them after its deletion."""
        assert "namespace/default" in kubectl("get", "ns", "-o", "name").stdout
        kubectl("create", "ns", "x", "--dry-run=server")
        assert "NotFound" in kubectl("get", "ns", "x", ok=False).stderr
        kubectl("create", "ns", "x")
        assert "AlreadyExists" in kubectl("create", "ns", "x", ok=False).stderr
        kubectl("delete", "ns", "x", "--dry-run=server")
        assert "Active" in kubectl("get", "ns", "x").stdout
        kubectl("create", "sa", "-n", "x", "bot")
        kubectl("delete", "ns", "x", "--timeout=10s")
        assert "NotFound" in kubectl("get", "ns", "x", ok=False).stderr
        assert "bot" not in kubectl("get", "sa", "-A").stdout

    def test_nothing_enters_a_namespace_that_is_being_deleted(self, kubectl: Kubectl) -> None:
        """A namespace whose deletion waits for a finalizer takes no new objects."""
        kubectl("create", "ns", "leaving")
        held = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "held", "finalizers": ["test.example.com/x"]},
        }
        kubectl("create", "-n", "leaving", "-f", "-", stdin=json.dumps(held))
        kubectl("delete", "ns", "leaving", "--wait=false")
        refused = until(lambda: kubectl("create", "cm", "late", "-n", "leaving", "--dry-run=server", ok=False).stderr)
        assert "being terminated" in refused
        kubectl("patch", "cm", "held", "-n", "leaving", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        kubectl("wait", "--for=delete", "ns/leaving", "--timeout=10s")

    def test_stale_version_conflicts(self, kubectl: Kubectl, namespace: str) -> None:
        """An update that was made for an older version is refused, and changes nothing."""
        kubectl("create", "cm", "c", "--from-literal=a=1", "-n", namespace)
        old = kubectl("get", "cm", "c", "-n", namespace, "-o", "json").stdout
        kubectl("patch", "cm", "c", "-n", namespace, "-p", '{"data":{"a":"2"}}')
        assert "Conflict" in kubectl("replace", "-f", "-", stdin=old, ok=False).stderr
        assert kubectl("get", "cm", "c", "-n", namespace, "-o", "jsonpath={.data.a}").stdout == "2"

    def test_foreign_uid_conflicts(self, http_: Http, gadgets: str) -> None:
        """A write or a deletion meant for an object of another uid is refused."""
        _, created = http_("POST", gadgets, gadget("one"))
        uid = "11111111-1111-4111-8111-111111111111"
        created["metadata"]["uid"] = uid
        assert http_("PUT", f"{gadgets}/one/status", created)[0] == 409
        assert http_("DELETE", f"{gadgets}/one", {"preconditions": {"uid": uid}})[0] == 409
        assert http_("GET", f"{gadgets}/one")[0] == 200

    def test_recreated_object_is_safe_from_a_late_status(self, http_: Http, gadgets: str) -> None:
        """A status made for an object that was deleted and made again does not reach the new one."""
        _, old = http_("POST", gadgets, gadget("one"))
        old["status"] = {"phase": "Succeeded"}
        http_("DELETE", f"{gadgets}/one")
        assert http_("PUT", f"{gadgets}/one/status", old)[0] in (404, 409)
        _, new = http_("POST", gadgets, gadget("one"))
        assert http_("PUT", f"{gadgets}/one/status", old)[0] == 409
        assert http_("GET", f"{gadgets}/one")[1] == new

    def test_status_is_apart(self, http_: Http, gadgets: str) -> None:
        """Status is written through its subresource only, and spec is not; generation counts changes of spec."""
        _, made = http_("POST", gadgets, {**gadget("one"), "status": {"phase": "Succeeded"}})
        assert "status" not in made
        changed = {**made, "spec": {"colour": "green"}, "status": {"phase": "Running"}}
        _, after = http_("PUT", f"{gadgets}/one/status", changed)
        assert (after["spec"]["colour"], after["status"]["phase"], after["metadata"]["generation"]) == (
            "red",
            "Running",
            1,
        )

    def test_schema(self, kubectl: Kubectl, http_: Http, gadgets: str) -> None:
        """The server fills defaults in and refuses what the schema forbids."""
        assert http_("POST", gadgets, gadget("one"))[1]["spec"]["size"] == 1
        assert http_("POST", gadgets, gadget("two", colour="blue"))[0] == 422

    def test_foreground_delete(self, kubectl: Kubectl, namespace: str) -> None:
        """A foreground deletion ends, though no garbage collector is there to end it."""
        kubectl("create", "cm", "d", "-n", namespace)
        kubectl("delete", "cm", "d", "-n", namespace, "--cascade=foreground", "--timeout=5s")

    def test_generate_name(self, http_: Http, gadgets: str) -> None:
        """Objects that ask for it get names of their own."""
        names = {http_("POST", gadgets, gadget(generateName="g-"))[1]["metadata"]["name"] for _ in range(3)}
        assert len(names) == 3
        assert all(name.startswith("g-") for name in names)

    def test_field_selector(self, kubectl: Kubectl, http_: Http, gadgets: str, namespace: str) -> None:
        """A list by a selectable field of a custom resource has only what matches."""
        for name, colour in (("one", "red"), ("two", "green")):
            http_("POST", gadgets, gadget(name, colour))
        listed = kubectl(
            "get", "gadgets", "-n", namespace, "--field-selector", "spec.colour=green", "-o", "name"
        ).stdout
        assert listed.split() == ["gadget.test.example.com/two"]

    def test_metadata_only(self, http_: Http, gadgets: str) -> None:
        """A list of metadata only has no spec."""
        http_("POST", gadgets, gadget("one", labels={"a": "b"}))
        accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        _, listing = http_("GET", gadgets, Accept=accept)
        assert (listing["kind"], listing["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
        (item,) = listing["items"]
        assert (item["kind"], item["metadata"]["labels"]) == ("PartialObjectMetadata", {"a": "b"})
        assert "spec" not in item

    def test_table(self, kubectl: Kubectl, http_: Http, gadgets: str, namespace: str) -> None:
        """`kubectl get` shows the columns of the CRD."""
        http_("POST", gadgets, gadget("one"))
        assert kubectl("get", "gadgets", "-n", namespace).stdout.split() == ["NAME", "COLOUR", "one", "red"]

    def test_server_side_apply(self, kubectl: Kubectl, gadgets: str, namespace: str) -> None:
        """Two appliers who want different values of one field are told so; core objects are no exception."""
        cm = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
        for red, field, value in ((gadget("one"), "spec", {"colour": "green"}), (cm, "data", {"a": "2"})):
            apply = ("apply", "--server-side", "-n", namespace, "-f", "-")
            kubectl(*apply, "--field-manager=one", stdin=json.dumps(red))
            other = json.dumps({**red, field: value})
            assert "conflict with" in kubectl(*apply, "--field-manager=two", stdin=other, ok=False).stderr
            kubectl(*apply, "--field-manager=two", "--force-conflicts", stdin=other)

    def test_wait(self, kubectl: Kubectl, http_: Http, gadgets: str, namespace: str) -> None:
        """`kubectl wait` is not met before the condition is, and returns once it is."""
        _, made = http_("POST", gadgets, gadget("one"))
        wait = ("wait", "gadget/one", "-n", namespace, "--for=condition=Ready")
        assert "timed out" in kubectl(*wait, "--timeout=1s", ok=False).stderr
        made["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}
        timer = threading.Timer(0.5, http_, ("PUT", f"{gadgets}/one/status", made))
        timer.start()
        kubectl(*wait, "--timeout=10s")
        timer.join()

    def test_describe_shows_events(self, kubectl: Kubectl, http_: Http, gadgets: str, namespace: str) -> None:
        """`kubectl describe` finds the events of the object, and none of another."""
        for name in ("one", "two"):
            _, made = http_("POST", gadgets, gadget(name))
            about = {key: made[key] for key in ("apiVersion", "kind")} | {
                key: made["metadata"][key] for key in ("name", "namespace", "uid")
            }
            event = {
                "metadata": {"generateName": f"{name}-"},  # apiVersion and kind left out, as kopf does
                "involvedObject": about,
                "type": "Normal",
                "reason": f"Seen{name}",
                "message": "hello",
            }
            assert http_("POST", f"/api/v1/namespaces/{namespace}/events", event)[0] == 201
        described = kubectl("describe", "gadget", "one", "-n", namespace).stdout
        assert "Seenone" in described
        assert "Seentwo" not in described

    def test_hidden(self, kubectl: Kubectl, gadgets: str) -> None:
        """The CRDs behind Kubernetes' own kinds are not shown."""
        crds = kubectl("get", "crd", "-o", "name").stdout
        assert "gadgets.test.example.com" in crds
        assert "builtin" not in crds
        assert "leases" not in crds
        assert "builtin" not in kubectl("api-resources").stdout


DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "operator"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "operator"}},
        "template": {
            "metadata": {"labels": {"app": "operator"}},
            "spec": {
                "containers": [
                    {"name": "main", "image": "operator:1", "args": ["run"], "env": [{"name": "A", "value": "1"}]},
                    {"name": "side", "image": "side:1"},
                ]
            },
        },
    },
}


class TestKinds:
    """Kubernetes' own kinds, as far as manifests need them."""

    def test_kustomization(self, kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
        """`kubectl apply -k` applies every kind that manifests hold, twice, and the second time changes nothing."""
        rbac = "rbac.authorization.k8s.io/v1"
        manifests: list[dict[str, Any]] = [
            DEPLOYMENT,
            *(
                {"apiVersion": version, "kind": kind, "metadata": {"name": f"{namespace}-thing"}}
                for version, kind in (
                    ("v1", "Namespace"),
                    ("v1", "ServiceAccount"),
                    ("v1", "Service"),
                    ("v1", "ConfigMap"),
                    ("v1", "Secret"),
                    (rbac, "ClusterRole"),
                    (rbac, "ClusterRoleBinding"),
                    (rbac, "Role"),
                    (rbac, "RoleBinding"),
                    ("policy/v1", "PodDisruptionBudget"),
                    ("networking.k8s.io/v1", "NetworkPolicy"),
                    ("coordination.k8s.io/v1", "Lease"),
                )
            ),
        ]
        (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(manifests))
        (tmp_path / "kustomization.yaml").write_text(f"namespace: {namespace}\nresources: [all.yaml]\n")
        done = kubectl("apply", "-k", str(tmp_path)).stdout.splitlines()
        assert len([line for line in done if line.endswith((" created", " configured"))]) == len(manifests)
        assert kubectl("apply", "-k", str(tmp_path)).stdout.count(" unchanged\n") == len(manifests)
        assert kubectl("diff", "-k", str(tmp_path)).stdout == ""
        assert "operator" in kubectl("get", "deploy", "-n", namespace).stdout
        kubectl("delete", "-k", str(tmp_path), "--timeout=20s", "--wait=false")

    def test_patches_by_key(self, kubectl: Kubectl, namespace: str) -> None:
        """A changed manifest changes one field of one container, and leaves the rest as it is."""
        kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(DEPLOYMENT))
        kubectl("set", "env", "deploy/operator", "-c=main", "B=2", "-n", namespace)
        kubectl("set", "image", "deploy/operator", "side=side:2", "-n", namespace)
        changed = json.loads(json.dumps(DEPLOYMENT))
        changed["spec"]["template"]["spec"]["containers"][0]["image"] = "operator:2"
        kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(changed))
        kubectl("set", "env", "deploy/operator", "-c=main", "A-", "-n", namespace)
        found = json.loads(kubectl("get", "deploy", "operator", "-n", namespace, "-o", "json").stdout)
        main, side = found["spec"]["template"]["spec"]["containers"]
        assert main == {"name": "main", "image": "operator:2", "args": ["run"], "env": [{"name": "B", "value": "2"}]}
        assert side["image"] == "side:1"
        assert (found["apiVersion"], found["kind"]) == ("apps/v1", "Deployment")

    def test_lease(self, http_: Http, namespace: str) -> None:
        """Of two who take a Lease at once, one does."""
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
        _, made = http_("POST", leases, lease)
        taken = [http_("PUT", f"{leases}/l", {**made, "spec": {"holderIdentity": who}}) for who in ("a", "b")]
        assert [status for status, _ in taken] == [200, 409]
        assert http_("GET", f"{leases}/l")[1]["spec"] == {"holderIdentity": "a"}

    @pytest.mark.parametrize(
        ("field", "wrong", "right"),
        [
            ("renewTime", "2026-03-04T01:00:00Z", "2026-03-04T01:00:00.000000Z"),
            ("acquireTime", "2026-03-04T01:00:00.123Z", None),
            ("leaseDurationSeconds", 0, 1),
            ("leaseDurationSeconds", 1.5, 15),
            ("leaseTransitions", -1, 0),
        ],
    )
    def test_fields_of_leases(self, http_: Http, namespace: str, field: str, wrong: object, right: object) -> None:
        """What no cluster takes for a Lease is refused here too."""
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}}
        assert http_("POST", leases, {**lease, "spec": {field: wrong}})[0] == 422
        assert http_("POST", leases, {**lease, "spec": {field: right, "holderIdentity": ""}})[0] == 201

    def test_secret(self, kubectl: Kubectl, namespace: str) -> None:
        """A Secret's stringData is stored as data, from a manifest and from `kubectl create`."""
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}
        kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(secret))
        kubectl("create", "secret", "generic", "t", "--from-literal=a=b", "-n", namespace)
        for name in ("s", "t"):
            found = json.loads(kubectl("get", "secret", name, "-n", namespace, "-o", "json").stdout)
            assert (found["data"], found["type"], "stringData" in found) == ({"a": "Yg=="}, "Opaque", False)

    def test_explain(self, kubectl: Kubectl, gadgets: str) -> None:
        """`kubectl explain` knows custom resources and Kubernetes' own kinds."""
        assert "colour" in kubectl("explain", "gadgets.spec").stdout
        assert "Deployment" in kubectl("explain", "deployments").stdout


class TestFaults:
    """What is broken, is broken at exactly one point."""

    @pytest.mark.parametrize(
        ("status", "reason"), [(409, "Conflict"), (422, "Invalid"), (403, "Forbidden"), (500, "InternalError")]
    )
    def test_status(self, http_: Http, gadgets: str, faults: Faults, status: int, reason: str) -> None:
        """A fault answers for the server, so many times, and the object is not changed."""
        _, made = http_("POST", gadgets, gadget("one"))
        faults.add(Fault(method="PUT", path=r"/gadgets/[^/]+/status$", status=status, times=2))
        put = "PUT", f"{gadgets}/one/status", {**made, "status": {"a": 1}}
        for _ in range(2):
            answered, body = http_(*put)
            assert (answered, body["kind"], body["reason"]) == (status, "Status", reason)
        assert http_("GET", f"{gadgets}/one")[1] == made
        assert http_(*put)[0] == 200

    def test_agent(self, kubectl: Kubectl, http_: Http, gadgets: str, faults: Faults, namespace: str) -> None:
        """A fault for one client leaves the others alone."""
        faults.add(Fault(path="/gadgets", agent="^operator", status=429, retry_after=7))
        with http_.open("GET", gadgets, agent="operator/1") as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "7")
        kubectl("get", "gadgets", "-n", namespace)

    def test_kubectl_sees_the_reason(self, kubectl: Kubectl, gadgets: str, faults: Faults, namespace: str) -> None:
        """kubectl understands the answer as one of the API server."""
        faults.add(Fault(path="/gadgets", verb="list", status=403, message="not for you"))
        assert "(Forbidden): not for you" in kubectl("get", "gadgets", "-n", namespace, ok=False).stderr

    def test_lost_request_and_lost_answer(self, http_: Http, gadgets: str, faults: Faults) -> None:
        """A connection dropped before the request took effect leaves nothing behind; after it, the object is there."""
        for acted, status in ((False, 404), (True, 200)):
            faults.add(Fault(method="POST", path="/gadgets$", acted=acted, times=1))
            with pytest.raises((http.client.HTTPException, OSError)):
                http_("POST", gadgets, gadget("one"))
            assert http_("GET", f"{gadgets}/one")[0] == status

    def test_cut_watches(self, http_: Http, gadgets: str, faults: Faults, namespace: str) -> None:
        """Open watches end at once, others go on, and a new one tells all."""
        http_("POST", gadgets, gadget("one"))
        with http_.watching(f"/api/v1/namespaces/{namespace}/configmaps") as other:
            for _ in range(2):
                with http_.watching(gadgets) as watching:
                    watching.first()
                    assert faults.cut_watches("/no-such-thing") == 0
                    assert faults.cut_watches("/gadgets$") == 1
                assert watching.events == [("ADDED", "one")]
            assert not other.ended.is_set()
            faults.cut_watches()

    def test_swallow_events(self, http_: Http, gadgets: str, faults: Faults) -> None:
        """A watch misses what it is to miss, so many times, and nothing else."""
        faults.swallow_events("/gadgets$", {"DELETED"}, times=1)
        with http_.watching(gadgets) as watching:
            for name in ("one", "two"):
                http_("POST", gadgets, gadget(name))
                http_("DELETE", f"{gadgets}/{name}")
            until(lambda: ("DELETED", "two") in watching.events)
            faults.cut_watches()
        assert watching.events == [("ADDED", "one"), ("ADDED", "two"), ("DELETED", "two")]

    def test_swallow_events_of_one_object(self, http_: Http, namespace: str, faults: Faults) -> None:
        """The events to miss can be those of one object, of Kubernetes' own kinds too."""
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        faults.swallow_events("/configmaps$", {"ADDED"}, holding='"name":"one"')
        with http_.watching(path) as watching:
            for name in ("one", "two"):
                http_("POST", path, {"metadata": {"name": name}})
            http_("DELETE", f"{path}/one")
            until(lambda: len(watching.events) == 2)
            faults.cut_watches()
        assert watching.events == [("ADDED", "two"), ("DELETED", "one")]

    def test_gone_and_back(self, kubectl: Kubectl, http_: Http, gadgets: str, faults: Faults, namespace: str) -> None:
        """Nobody gets an answer while the server is gone, but for those who are spared; then all is as before."""
        http_("POST", gadgets, gadget("one"))
        with http_.watching(gadgets) as watching:
            watching.first()
            faults.gone(spare="^kubectl/")
        with pytest.raises((http.client.HTTPException, OSError)):
            http_("GET", gadgets)
        kubectl("delete", "gadget", "one", "-n", namespace)
        faults.back()
        assert http_("GET", gadgets)[1]["items"] == []
        faults.gone()
        with pytest.raises((http.client.HTTPException, OSError)):
            http_("GET", gadgets, agent="kubectl/1")
        faults.clear()
        kubectl("get", "gadgets", "-n", namespace)


class TestRequests:
    """What was asked is known."""

    def test_verbs(
        self, control_plane: ControlPlane, http_: Http, gadgets: str, faults: Faults, namespace: str
    ) -> None:
        """Every request is recorded in RBAC's words, with its answer's status."""
        one = f"{gadgets}/one"
        control_plane.requests.clear()
        _, made = http_("POST", gadgets, gadget("one"), agent="recorded/1")
        http_("PUT", f"{one}/status", made)
        http_("PATCH", one, {"metadata": {"labels": {"a": "b"}}}, **{"Content-Type": "application/merge-patch+json"})
        http_("GET", one)
        http_("GET", f"{gadgets}?limit=5")
        with http_.watching(gadgets):
            faults.cut_watches()
        http_("DELETE", one)
        http_("DELETE", gadgets)
        http_("GET", f"/api/v1/namespaces/{namespace}")
        faults.add(Fault(path="/api/v1/namespaces$", times=1))
        with pytest.raises((http.client.HTTPException, OSError)):
            http_("GET", "/api/v1/namespaces")
        # An operator of other tests may be at work meanwhile.
        ours = [it for it in control_plane.requests if not it.agent.startswith(("backupjobwatch", "kopf"))]
        told = [(it.verb, it.group, it.resource, it.name, it.status) for it in ours]
        assert told == [
            ("create", "test.example.com", "gadgets", "", 201),
            ("update", "test.example.com", "gadgets/status", "one", 200),
            ("patch", "test.example.com", "gadgets", "one", 200),
            ("get", "test.example.com", "gadgets", "one", 200),
            ("list", "test.example.com", "gadgets", "", 200),
            ("watch", "test.example.com", "gadgets", "", 200),
            ("delete", "test.example.com", "gadgets", "one", 200),
            ("deletecollection", "test.example.com", "gadgets", "", 200),
            ("get", "", "namespaces", namespace, 200),
            ("list", "", "namespaces", "", None),
        ]
        first = ours[0]
        assert (first.method, first.path, first.agent, first.namespace) == ("POST", gadgets, "recorded/1", namespace)
        assert control_plane.requests.where(agent="^recorded/") == [first]
        assert [it.query for it in ours if (it.verb, it.resource) == ("list", "gadgets")] == ["limit=5"]


class TestProcess:
    """It starts, it stops, and leaves nothing behind."""

    def test_no_certificate_no_entry(self, control_plane: ControlPlane) -> None:
        """Without the kubeconfig's certificate, nobody on this machine gets in."""
        context = ssl.create_default_context(cafile=str(control_plane.directory / "ca.pem"))
        connection = http.client.HTTPSConnection(urlsplit(control_plane.url).netloc, context=context, timeout=10)
        try:
            with pytest.raises((OSError, http.client.HTTPException)):  # noqa: PT012  # TLS 1.3 tells at the first read
                connection.request("GET", "/api")
                connection.getresponse()
        finally:
            connection.close()

    def test_secrets_are_private(self, control_plane: ControlPlane) -> None:
        """Keys and kubeconfig are readable by their owner only."""
        for name in ("kubeconfig", "admin.pem", "server.pem", "service-account.pem"):
            assert (control_plane.directory / name).stat().st_mode & 0o077 == 0

    def test_persistence_and_two_at_once(self, kubectl: Kubectl, tmp_path: Path) -> None:
        """A directory keeps the objects for the next run; two control planes know nothing of each other."""
        directory = tmp_path / ("x" * 80)  # too long for the path of a socket
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
        """After the end there is no process and no file, and nobody answers."""
        async with ControlPlane() as cluster:
            pids, directory = cluster.processes.pids, cluster.directory
            assert all(alive(pid) for pid in pids.values())
        assert not any(alive(pid) for pid in pids.values())
        assert not directory.exists()
        address = urlsplit(cluster.url)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address.hostname, address.port))

    def test_start_failure_is_told(self, tmp_path: Path) -> None:
        """An API server that does not start is quoted."""
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
        """A command runs with the cluster's kubeconfig, and its exit status is ours."""
        script = "kubectl get ns default -o name && exit 7"
        done = subprocess.run(
            [sys.executable, "-m", "demo.controlplane", "--", "sh", "-c", script],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (done.stdout, done.returncode) == ("namespace/default\n", 7)

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_children_end_with_us(self, tmp_path: Path, number: signal.Signals) -> None:
        """etcd and the API server end when the process that runs them is told to, and even when it is killed."""
        command = [sys.executable, "-m", "demo.controlplane", "--directory", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"export KUBECONFIG={tmp_path}/kubeconfig\n"
            children = [int(it) for it in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
            assert len(children) == 2
            os.kill(process.pid, number)
        until(lambda: not any(alive(pid) for pid in children))
