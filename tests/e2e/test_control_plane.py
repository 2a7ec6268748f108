"""The embedded control plane, which the other tests use, behaves like a real cluster."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.support.gadgets import GADGET_CRD, Http, gadget
from tests.support.watches import until

if TYPE_CHECKING:
    from demo.controlplane import ControlPlane, Kubectl


class TestCluster:
    """Behavior of any cluster."""

    def test_namespaces(self, kubectl: Kubectl) -> None:
        """A namespace can be created once. Its deletion also deletes its objects."""
        assert "namespace/default" in kubectl("get", "ns", "-o", "name").stdout
        kubectl("create", "ns", "x", "--dry-run=server")
        assert "NotFound" in kubectl("get", "ns", "x", ok=False).stderr
        kubectl("create", "ns", "x")
        assert "AlreadyExists" in kubectl("create", "ns", "x", ok=False).stderr
        kubectl("delete", "ns", "x", "--dry-run=server")
        assert "Active" in kubectl("get", "ns", "x").stdout
        kubectl("create", "sa", "-n", "x", "bot")
        kubectl("delete", "ns", "x", "--timeout=60s")
        assert "NotFound" in kubectl("get", "ns", "x", ok=False).stderr
        assert "bot" not in kubectl("get", "sa", "-A").stdout

    def test_a_terminating_namespace_accepts_no_objects(self, kubectl: Kubectl) -> None:
        """A namespace whose deletion waits for a finalizer accepts no new objects."""
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
        kubectl("wait", "--for=delete", "ns/leaving", "--timeout=60s")

    def test_established(self, kubectl: Kubectl, control_plane: ControlPlane) -> None:
        """Waiting for a CRD tolerates that the CRD does not exist yet."""
        crd = json.dumps(GADGET_CRD).replace("gadget", "doohickey").replace("Gadget", "Doohickey")
        name = json.loads(crd)["metadata"]["name"]
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(kubectl.wait_established, f"crd/{name}")
            until(lambda: control_plane.requests.where(method="GET", path=f"/{name}$"), "a request for the CRD")
            kubectl("create", "-f", "-", stdin=crd)
            waiting.result(90)
        kubectl("delete", "crd", name)

    def test_namespace_goes_with_a_crd(self, kubectl: Kubectl, namespace: str) -> None:
        """A namespace is deleted even if the CRD of its objects is deleted at the same time."""
        crd = json.loads(json.dumps(GADGET_CRD).replace("gadget", "widget").replace("Gadget", "Widget"))
        widget = {"apiVersion": "test.example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
        kubectl("apply", "-f", "-", stdin=json.dumps(crd))
        kubectl.wait_established("crd/widgets.test.example.com")
        create = ("create", "-f", "-")
        until(lambda: not kubectl(*create, "--dry-run=server", stdin=json.dumps(widget), ok=False).returncode)
        for number in range(3):
            name = f"with-widget-{number}"
            kubectl("create", "ns", name)
            kubectl(*create, "-n", name, stdin=json.dumps(widget))
            kubectl("delete", "ns", name, "--wait=false")
        kubectl("delete", "crd/widgets.test.example.com", "--wait=false")
        for number in range(3):
            kubectl("wait", "--for=delete", f"ns/with-widget-{number}", "--timeout=60s")

    def test_stale_version_conflicts(self, kubectl: Kubectl, namespace: str) -> None:
        """An update with an outdated resourceVersion is refused and changes nothing."""
        kubectl("create", "cm", "c", "--from-literal=a=1", "-n", namespace)
        old = kubectl("get", "cm", "c", "-n", namespace, "-o", "json").stdout
        kubectl("patch", "cm", "c", "-n", namespace, "-p", '{"data":{"a":"2"}}')
        assert "Conflict" in kubectl("replace", "-f", "-", stdin=old, ok=False).stderr
        assert kubectl("get", "cm", "c", "-n", namespace, "-o", "jsonpath={.data.a}").stdout == "2"

    def test_foreign_uid_conflicts(self, http_: Http, gadgets: str) -> None:
        """A write or a deletion with the UID of another object is refused."""
        _, created = http_("POST", gadgets, gadget("one"))
        uid = "11111111-1111-4111-8111-111111111111"
        created["metadata"]["uid"] = uid
        assert http_("PUT", f"{gadgets}/one/status", created)[0] == 409
        assert http_("DELETE", f"{gadgets}/one", {"preconditions": {"uid": uid}})[0] == 409
        assert http_("GET", f"{gadgets}/one")[0] == 200

    def test_recreated_object_is_safe_from_a_late_status(self, http_: Http, gadgets: str) -> None:
        """A status write for a deleted object does not change the recreated object."""
        _, old = http_("POST", gadgets, gadget("one"))
        old["status"] = {"phase": "Succeeded"}
        http_("DELETE", f"{gadgets}/one")
        assert http_("PUT", f"{gadgets}/one/status", old)[0] in (404, 409)
        _, new = http_("POST", gadgets, gadget("one"))
        assert http_("PUT", f"{gadgets}/one/status", old)[0] == 409
        assert http_("GET", f"{gadgets}/one")[1] == new

    def test_status_is_apart(self, http_: Http, gadgets: str) -> None:
        """The status changes only through its subresource, which ignores the spec and keeps the generation."""
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
        """The server applies the defaults of the schema and refuses invalid values."""
        assert http_("POST", gadgets, gadget("one"))[1]["spec"]["size"] == 1
        assert http_("POST", gadgets, gadget("two", colour="blue"))[0] == 422

    def test_foreground_delete(self, kubectl: Kubectl, namespace: str) -> None:
        """A foreground deletion completes without a garbage collector."""
        kubectl("create", "cm", "d", "-n", namespace)
        kubectl("delete", "cm", "d", "-n", namespace, "--cascade=foreground", "--timeout=60s")

    def test_generate_name(self, http_: Http, gadgets: str) -> None:
        """Objects with `generateName` get unique names."""
        names = {http_("POST", gadgets, gadget(generateName="g-"))[1]["metadata"]["name"] for _ in range(3)}
        assert len(names) == 3
        assert all(name.startswith("g-") for name in names)

    def test_field_selector(self, kubectl: Kubectl, http_: Http, gadgets: str, namespace: str) -> None:
        """A list with a field selector returns only the matching custom resources."""
        for name, colour in (("one", "red"), ("two", "green")):
            http_("POST", gadgets, gadget(name, colour))
        listed = kubectl(
            "get", "gadgets", "-n", namespace, "--field-selector", "spec.colour=green", "-o", "name"
        ).stdout
        assert listed.split() == ["gadget.test.example.com/two"]

    def test_metadata_only(self, http_: Http, gadgets: str) -> None:
        """A metadata-only list has no spec."""
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
        """Server-side apply reports a conflict between two field managers, for core objects too."""
        cm = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
        for red, field, value in ((gadget("one"), "spec", {"colour": "green"}), (cm, "data", {"a": "2"})):
            apply = ("apply", "--server-side", "-n", namespace, "-f", "-")
            kubectl(*apply, "--field-manager=one", stdin=json.dumps(red))
            other = json.dumps({**red, field: value})
            assert "conflict with" in kubectl(*apply, "--field-manager=two", stdin=other, ok=False).stderr
            kubectl(*apply, "--field-manager=two", "--force-conflicts", stdin=other)

    def test_wait(self, kubectl: Kubectl, http_: Http, gadgets: str, namespace: str) -> None:
        """`kubectl wait` times out while the condition is not met, and returns as soon as it is met."""
        _, made = http_("POST", gadgets, gadget("one"))
        wait = ("wait", "gadget/one", "-n", namespace, "--for=condition=Ready")
        assert "timed out" in kubectl(*wait, "--timeout=1s", ok=False).stderr
        made["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}
        timer = threading.Timer(0.5, http_, ("PUT", f"{gadgets}/one/status", made))
        timer.start()
        kubectl(*wait, "--timeout=60s")
        timer.join()

    def test_describe_shows_events(self, kubectl: Kubectl, http_: Http, gadgets: str, namespace: str) -> None:
        """`kubectl describe` shows the Events of the object only."""
        for name in ("one", "two"):
            _, made = http_("POST", gadgets, gadget(name))
            about = {key: made[key] for key in ("apiVersion", "kind")} | {
                key: made["metadata"][key] for key in ("name", "namespace", "uid")
            }
            event = {
                "metadata": {"generateName": f"{name}-"},  # without apiVersion and kind, like Events of kopf
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
        """The CRDs that implement the built-in kinds are hidden."""
        crds = kubectl("get", "crd", "-o", "name").stdout
        assert "gadgets.test.example.com" in crds
        assert "builtin" not in crds
        assert "leases" not in crds
        assert "builtin" not in kubectl("api-resources").stdout
