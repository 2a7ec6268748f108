"""The control plane injects a fault at exactly one point, and records all requests."""

from __future__ import annotations

import http.client
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from demo.controlplane import ControlPlane, Fault, Hold, Kubectl
from tests.support.gadgets import Http, gadget
from tests.support.watches import until

if TYPE_CHECKING:
    from demo.controlplane import Faults


class TestFaults:
    """A fault affects exactly one point."""

    @pytest.mark.parametrize(
        ("status", "reason"), [(409, "Conflict"), (422, "Invalid"), (403, "Forbidden"), (500, "InternalError")]
    )
    def test_status(self, http_: Http, gadgets: str, faults: Faults, status: int, reason: str) -> None:
        """A fault replaces the given number of responses, and the object does not change."""
        _, made = http_("POST", gadgets, gadget("one"))
        faults.add(Fault(method="PUT", path=r"/gadgets/[^/]+/status$", status=status, times=2))
        put = "PUT", f"{gadgets}/one/status", {**made, "status": {"a": 1}}
        for _ in range(2):
            answered, body = http_(*put)
            assert (answered, body["kind"], body["reason"]) == (status, "Status", reason)
        assert http_("GET", f"{gadgets}/one")[1] == made
        assert http_(*put)[0] == 200

    def test_agent(self, kubectl: Kubectl, http_: Http, gadgets: str, faults: Faults, namespace: str) -> None:
        """A fault for one client does not affect other clients."""
        faults.add(Fault(path="/gadgets", agent="^operator", status=429, retry_after=7))
        with http_.open("GET", gadgets, agent="operator/1") as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "7")
        kubectl("get", "gadgets", "-n", namespace)

    def test_kubectl_sees_the_reason(self, kubectl: Kubectl, gadgets: str, faults: Faults, namespace: str) -> None:
        """kubectl reports an injected error like an error of the API server."""
        faults.add(Fault(path="/gadgets", verb="list", status=403, message="not for you"))
        assert "(Forbidden): not for you" in kubectl("get", "gadgets", "-n", namespace, ok=False).stderr

    def test_lost_request_and_lost_answer(self, http_: Http, gadgets: str, faults: Faults) -> None:
        """A connection dropped before the write leaves no object. One dropped after it leaves the object."""
        for acted, status in ((False, 404), (True, 200)):
            faults.add(Fault(method="POST", path="/gadgets$", acted=acted, times=1))
            with pytest.raises((http.client.HTTPException, OSError)):
                http_("POST", gadgets, gadget("one"))
            assert http_("GET", f"{gadgets}/one")[0] == status

    def test_hold(self, http_: Http, gadgets: str, faults: Faults) -> None:
        """A held request with a matching body takes effect, and gets its response after the release."""
        with ThreadPoolExecutor(1) as pool, Hold() as hold:
            faults.add(Fault(method="POST", path="/gadgets$", body='"two"', status=500, acted=True, hold=hold))
            assert http_("POST", gadgets, gadget("one"))[0] == 201
            answer = pool.submit(http_, "POST", gadgets, gadget("two"))
            hold.wait_arrived()
            assert http_("GET", f"{gadgets}/two")[0] == 200
            assert not answer.done()
            hold.released.open()
            assert answer.result(60)[0] == 500

    def test_cut_watches(self, http_: Http, gadgets: str, faults: Faults, namespace: str) -> None:
        """Matching watch streams end at once, others continue, and a new stream lists all objects."""
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
        """A watch stream misses the given number of the given events, and no others."""
        faults.swallow_events("/gadgets$", {"DELETED"}, times=1)
        with http_.watching(gadgets) as watching:
            for name in ("one", "two"):
                http_("POST", gadgets, gadget(name))
                http_("DELETE", f"{gadgets}/{name}")
            until(lambda: ("DELETED", "two") in watching.events)
            faults.cut_watches()
        assert watching.events == [("ADDED", "one"), ("ADDED", "two"), ("DELETED", "two")]

    def test_swallow_events_of_one_object(self, http_: Http, namespace: str, faults: Faults) -> None:
        """The missed events can be limited to one object, of built-in kinds too."""
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        faults.swallow_events("/configmaps$", {"ADDED"}, holding='"name":"one"')
        with http_.watching(path) as watching:
            for name in ("one", "two"):
                http_("POST", path, {"metadata": {"name": name}})
            http_("DELETE", f"{path}/one")
            until(lambda: len(watching.events) == 2)
            faults.cut_watches()
        assert watching.events == [("ADDED", "two"), ("DELETED", "one")]

    def test_server_outage(self, kubectl: Kubectl, http_: Http, gadgets: str, faults: Faults, namespace: str) -> None:
        """While the server is gone, only spared clients get answers. Afterwards all clients get them again."""
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
    """The control plane records all requests."""

    def test_verbs(
        self, control_plane: ControlPlane, http_: Http, gadgets: str, faults: Faults, namespace: str
    ) -> None:
        """The record of a request has its RBAC verb and resource, and the status of the response."""
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
        # Ignore the concurrent requests of the shared operator and of the recording.
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
