"""The control plane breaks its promises on request, at exactly one point, and records what it was asked."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

import pytest

from demo.controlplane import ControlPlane, Fault, Kubectl
from tests.support.gadgets import Http, gadget
from tests.support.watches import until

if TYPE_CHECKING:
    from demo.controlplane import Faults


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
        before = len(control_plane.requests)
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
        # The operator and the recording of other tests may be at work meanwhile.
        ours = [
            it
            for it in control_plane.requests.all()[before:]
            if it.resource != "backupjobwatches" and it.agent != "backupjobwatch"
        ]
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
