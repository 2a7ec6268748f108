"""Create, change and await the BackupJobWatches of a namespace."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.constants import API_VERSION, CONTROLLER, GROUP, KIND, REQUESTED_AT
from backupjobwatch.domain.api.spec import target_digest
from tests.support.kubernetes_client import KubernetesClient, Moment, Recording, path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Body = dict[str, Any]
THEIRS: Final = "example.com/theirs"
"""A finalizer of another controller."""
PATIENCE: Final = 120.0
"""Seconds to wait for a condition, enough for a busy machine."""
_OK = 400
_NOT_FOUND = 404


def manifest(name: str, spec: Mapping[str, Any]) -> Body:
    """Return a manifest of a watch."""
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": dict(spec)}


def condition(body: Mapping[str, Any], kind: str) -> Body:
    """Return a condition, or an empty dictionary if it is absent."""
    conditions: list[Body] = body.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def phase(body: Mapping[str, Any]) -> str | None:
    """Return the phase of an up-to-date status, or None without one."""
    status = body.get("status", {})
    current = status.get("observedGeneration") == body["metadata"]["generation"]
    return status.get("phase") if current else None


def reason(body: Mapping[str, Any]) -> str | None:
    """Return the reason of an up-to-date status, or None without one."""
    return body["status"].get("reason") if phase(body) else None


def until(found: Callable[[], Any], what: str = "", seconds: float = PATIENCE) -> Any:
    """Wait until *found* returns something, and return that."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what or found}")
        time.sleep(0.1)
    return value


class Watches:
    """The watches of a namespace."""

    def __init__(self, namespace: str, client: KubernetesClient, recording: Recording) -> None:
        self.namespace = namespace
        self._client = client
        self._recording = recording

    def in_namespace(self, namespace: str) -> Watches:
        """Return the watches of another namespace."""
        return Watches(namespace, self._client, self._recording)

    def create(self, name: str, **spec: Any) -> Body:
        """Create a watch with the shortest poll interval unless *spec* sets another."""
        body = manifest(name, {"pollInterval": "10s", **spec})
        return self._done("POST", path_of(self.namespace), body)

    def edit(self, name: str, **spec: Any) -> Body:
        """Change fields of the spec. None removes a field."""
        return self._patch(name, {"spec": spec})

    def request(self, name: str, value: str) -> Body:
        """Request a poll with the annotation."""
        return self._patch(name, {"metadata": {"annotations": {REQUESTED_AT: value}}})

    def poll_now(self, name: str) -> None:
        """Trigger a poll by editing a field outside the target."""
        interval = self.get(name)["spec"]["pollInterval"]
        self.edit(name, pollInterval="30s" if interval == "10s" else "10s")

    def get(self, name: str) -> Body:
        """Return a watch."""
        return self._done("GET", path_of(self.namespace, name))

    def names(self) -> list[str]:
        """Return the names of all watches."""
        return [item["metadata"]["name"] for item in self._done("GET", path_of(self.namespace))["items"]]

    def exists(self, name: str) -> bool:
        """Return whether a watch with this name exists."""
        return self._client("GET", path_of(self.namespace, name)).status != _NOT_FOUND

    def delete(self, name: str) -> None:
        """Delete a watch, and check that no finalizer blocks the deletion."""
        self._done("DELETE", path_of(self.namespace, name))
        assert not self.exists(name)

    def until(self, name: str, seen: Callable[[Body], bool], seconds: float = PATIENCE) -> Body:
        """Wait until a watch satisfies *seen*, and return it. Look after each change, and once a second."""
        deadline = time.monotonic() + seconds
        while True:
            known = len(self._recording.moments(self.namespace, name))
            body = self.get(name)
            if seen(body):
                return body
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} is still {body.get('status')}")
            self._recording.wait_more(self.namespace, name, known, 1.0)

    def until_phase(self, name: str, wanted: str) -> Body:
        """Wait for a phase in the current generation."""
        return self.until(name, lambda body: phase(body) == wanted)

    def until_reason(self, name: str, wanted: str) -> Body:
        """Wait for a reason in the current generation."""
        return self.until(name, lambda body: reason(body) == wanted)

    def events(self, name: str = "", event_reason: str = "") -> list[Body]:
        """Return the Kubernetes Events of a watch or of the namespace, oldest first."""
        path = f"/api/v1/namespaces/{self.namespace}/events"
        about = {"fieldSelector": f"involvedObject.name={name}"} if name else {}
        items = self._done("GET", path, **about)["items"]
        found = [item for item in items if event_reason in ("", item["reason"])]
        return sorted(found, key=lambda item: item["firstTimestamp"])

    def until_event(self, name: str, event_reason: str) -> Body:
        """Wait for the first Event with a reason, which follows the status update."""
        found: list[Body] = until(lambda: self.events(name, event_reason), f"an event {event_reason} of {name}")
        return found[0]

    def history(self, name: str) -> list[Moment]:
        """Return every version so far of all watches that had this name."""
        answer = self._client("GET", path_of(self.namespace, name))
        if answer.status == _NOT_FOUND:
            self._recording.wait(self.namespace, name, lambda moment: moment.type == "DELETED")
        else:
            version = answer.body["metadata"]["resourceVersion"]
            self._recording.wait(
                self.namespace, name, lambda moment: moment.body["metadata"]["resourceVersion"] == version
            )
        return self._recording.moments(self.namespace, name)

    def prove_honest(self, name: str, *, completed: frozenset[str] | set[str] = frozenset()) -> None:
        """Check that a gate was open only for the watch's own target, and only if its job has *completed*.

        A gate of an earlier generation counts as closed, because clients compare observedGeneration. Each new status
        must be about the current generation.
        """
        statuses: dict[str, Body] = {}
        for moment in self.history(name):
            body, status, uid = moment.body, moment.body.get("status", {}), moment.body["metadata"]["uid"]
            changed, statuses[uid] = statuses.get(uid) not in (None, status), status
            generation = body["metadata"]["generation"]
            if changed:
                assert status["observedGeneration"] == generation, moment
                assert status["target"] == target_digest(body["spec"]), moment
            for kind in ("Ready", "Complete", "Succeeded"):
                gate = condition(body, kind)
                if gate.get("status") == "True" and gate["observedGeneration"] == generation:
                    assert status["target"] == target_digest(body["spec"]), moment
                    assert job_of(body) in completed, moment

    def prove_unmarked(self) -> None:
        """Check that the operator wrote only statuses: no finalizers, annotations or labels."""
        for moment in self._recording.moments(self.namespace):
            prove_unmarked(moment)

    def _patch(self, name: str, patch: Body) -> Body:
        return self._done("PATCH", path_of(self.namespace, name), patch, content_type="application/merge-patch+json")

    def _done(self, method: str, path: str, body: Any = None, **options: str) -> Body:
        answer = self._client(method, path, body, **options)
        assert answer.status < _OK, answer
        return answer.body


def job_of(body: Mapping[str, Any]) -> str:
    """Return the name of the job that the spec selects."""
    spec = body["spec"]
    return str(spec.get("jobName") or spec["jobResourceId"].rsplit("/", 1)[1]).lower()


def prove_unmarked(moment: Moment) -> None:
    """Check that a version of a watch has no metadata from the operator."""
    metadata = moment.body["metadata"]
    marks = [*metadata.get("finalizers", ()), *metadata.get("annotations", ()), *metadata.get("labels", ())]
    assert [mark for mark in marks if "kopf" in mark or mark.startswith(GROUP)] == [], moment
    for managed in metadata["managedFields"]:
        assert "kopf" not in managed["manager"], moment
        if managed["manager"] == CONTROLLER:
            assert (set(managed["fieldsV1"]), managed["subresource"]) == ({"f:status"}, "status"), moment
