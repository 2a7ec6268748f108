"""The table in docs/gates.md, including its kubectl column, measured on a real API server.

The statuses come from the operator in ``tests.support.gates``. No operator runs in these tests.
"""

from __future__ import annotations

import copy
import itertools
import re
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
import yaml

from backupjobwatch.constants import GROUP, KIND, PLURAL, VERSION
from tests.contract.project import load
from tests.support.builders import VAULT_REF
from tests.support.gates import verdicts
from tests.support.gates.states import NO_STATUS, all_states
from tests.support.kubernetes_client import create_namespace, drop_namespace, path_of
from tests.support.watches import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from demo.controlplane import Cluster, Kubectl
    from tests.support.gates.kstatus import Body
    from tests.support.kubernetes_client import KubernetesClient
    from tests.support.operator_process import Operators

EXPECTED: Final = verdicts.expected()
CONDITIONS: Final = ("complete", "failed", "finished", "ready", "succeeded")
NOTHING: Final = "\N{EN DASH}"
PART: Final = 9
"""Objects per kubectl process. With more objects, kubectl throttles itself to five requests a second."""
WITHOUT_DEFAULT: Final = f"without-default.{GROUP}"
"""The group of a copy of the CRD that has no default for the status."""
PROMPT: Final = 45.0
"""Seconds within which kubectl returns on a busy machine if it need not wait. It would wait for 60."""


class Run(NamedTuple):
    """What one `kubectl wait` has in common for its objects."""

    group: str
    condition: str
    limit: str

    @classmethod
    def of(cls, row: str, condition: str) -> Run:
        """Return the run for a condition of a row's watches."""
        group = WITHOUT_DEFAULT if row == NO_STATUS else GROUP
        return cls(group, condition, "60s" if is_met(row, condition) else "0")


class Waited(NamedTuple):
    """The result of a `kubectl wait` for one of its objects."""

    status: int
    met: bool
    not_met: bool
    seconds: float


class States:
    """Watches in every state, one for each set of conditions that `kubectl wait` distinguishes."""

    def __init__(self, kubectl: Kubectl, client: KubernetesClient, namespace: str) -> None:
        self._kubectl = kubectl
        self._client = client
        self.namespace = namespace
        self.bodies: dict[str, list[Body]] = {}

    def put(self, row: str, body: Body) -> None:
        """Bring a watch into a state with the same operations: create, edit, write the status, delete."""
        metadata, group = body["metadata"], WITHOUT_DEFAULT if row == NO_STATUS else GROUP
        path = path_of(self.namespace).replace(f"/{GROUP}/", f"/{group}/")
        spec = {**body["spec"], **_valid(body["spec"])}
        deleting = "deletionTimestamp" in metadata
        edits = metadata["generation"] - 1 - deleting
        intervals = [*("1m", "2m")[:edits], spec["pollInterval"]]
        finalizers = metadata["finalizers"] if deleting else []
        applied = {
            "apiVersion": f"{group}/{VERSION}",
            "kind": KIND,
            "metadata": {"name": metadata["name"], "finalizers": finalizers},
            "spec": {**spec, "pollInterval": intervals[0]},
        }
        now = self._done("POST", path, applied)
        path = f"{path}/{metadata['name']}"
        for interval in intervals[1:]:
            now = self._done("PATCH", path, {"spec": {"pollInterval": interval}})
        if body.get("status") != now.get("status"):
            now = self._done("PUT", f"{path}/status", {**now, "status": body["status"]})
        if deleting:
            now = self._done("DELETE", path)
            now = self._done("GET", path)
        assert now.get("status") == body.get("status")
        assert now["metadata"]["generation"] == metadata["generation"]
        assert ("deletionTimestamp" in now["metadata"]) == deleting
        self.bodies.setdefault(row, []).append(now)

    def wait(self, run: Run, names: Sequence[str]) -> list[Waited]:
        """Run one `kubectl wait` for several objects."""
        started = time.monotonic()
        done = self._kubectl(
            *("wait", *(f"{PLURAL}.{run.group}/{name}" for name in names), "-n", self.namespace),
            *(f"--for=condition={run.condition}", f"--timeout={run.limit}"),
            ok=False,
            timeout=90,
        )
        seconds = time.monotonic() - started
        met = set(re.findall(r"/(\S+) condition met$", done.stdout, re.MULTILINE))
        not_met = set(re.findall(r"condition not met for \S+/(\S+)$", done.stderr, re.MULTILINE))
        return [Waited(done.returncode, name in met, name in not_met, seconds) for name in names]

    def clear(self) -> None:
        """Remove the finalizers so that deleted watches disappear."""
        for bodies in self.bodies.values():
            for body in bodies:
                if body["metadata"].get("finalizers"):
                    path = path_of(self.namespace, body["metadata"]["name"])
                    self._done("PATCH", path, {"metadata": {"finalizers": None}})

    def _done(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        answer = self._client(method, path, body, content_type=kind)
        assert answer.status < HTTPStatus.MULTIPLE_CHOICES, answer.body
        return answer.body


def is_met(row: str, condition: str) -> bool:
    """Return whether the watches of a row meet a condition according to the document."""
    return condition in EXPECTED[row][verdicts.KUBECTL].split(", ")


def evaluated(body: Body) -> tuple[tuple[str, str, bool], ...]:
    """Return what `kubectl wait` evaluates: the conditions, and whether each is of this generation."""
    generation = body["metadata"]["generation"]
    conditions = body.get("status", {}).get("conditions", [])
    return tuple((each["type"], each["status"], each.get("observedGeneration") == generation) for each in conditions)


def decides(body: Body, condition: str) -> tuple[object, ...]:
    """Return what decides a `kubectl wait` for one condition."""
    found = [state for state in evaluated(body) if state[0].lower() == condition]
    return ("deletionTimestamp" in body["metadata"], "status" in body, *found)


def _valid(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the vault that the CRD requires beside a job name, which one of the specs lacks."""
    return {"vault": VAULT_REF} if "jobName" in spec else {}


def _is_served(client: KubernetesClient, path: str) -> bool:
    try:
        return client("GET", path).status == HTTPStatus.OK
    except ValueError:  # the 404 for an unknown group is not JSON
        return False


@pytest.fixture(scope="module")
def states(kubectl: Kubectl, client: KubernetesClient, cluster: Cluster, operators: Operators) -> Iterator[States]:
    operators.stop()
    namespace = create_namespace(client)
    (crd,) = load(f"crds/{PLURAL}.{GROUP}.yaml")
    crd["metadata"]["name"] = f"{PLURAL}.{WITHOUT_DEFAULT}"
    crd["spec"]["group"] = WITHOUT_DEFAULT
    crd["spec"]["names"] = {"kind": KIND, "plural": PLURAL}  # the short names belong to the original CRD
    del crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["default"]
    kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(crd))
    served = path_of(namespace).replace(f"/{GROUP}/", f"/{WITHOUT_DEFAULT}/")
    until(lambda: _is_served(client, served))
    states = States(kubectl, client, namespace)
    for row, bodies in all_states().items():
        for name, body in {evaluated(body): (name, body) for name, body in bodies.items()}.values():
            renamed = copy.deepcopy(dict(body))
            renamed["metadata"]["name"] = name
            states.put(row, renamed)
    yield states
    states.clear()
    kubectl("delete", "crd", crd["metadata"]["name"], "--wait=false")
    drop_namespace(client, cluster, namespace)


@pytest.fixture(scope="module")
def waited(states: States) -> dict[tuple[str, str], list[Waited]]:
    """How kubectl exited, by row and condition. The timeout is 60 s for met conditions, otherwise 0.

    Of all watches for which the same decides, only one is waited for.
    """
    groups: dict[Run, dict[tuple[object, ...], str]] = {}
    for row, condition in itertools.product(EXPECTED, CONDITIONS):
        for body in states.bodies[row]:
            names = groups.setdefault(Run.of(row, condition), {})
            names.setdefault(decides(body, condition), body["metadata"]["name"])
    parts = [
        (run, [*names.values()][first : first + PART])
        for run, names in groups.items()
        for first in range(0, len(names), PART)
    ]
    found: dict[tuple[Run, str], Waited] = {}
    with ThreadPoolExecutor(2) as pool:
        for (run, part), ended in zip(parts, pool.map(lambda each: states.wait(*each), parts), strict=True):
            found |= {(run, name): one for name, one in zip(part, ended, strict=True)}
    return {
        (row, condition): [found[run, groups[run][decides(body, condition)]] for body in states.bodies[row]]
        for row, condition in itertools.product(EXPECTED, CONDITIONS)
        for run in [Run.of(row, condition)]
    }


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("row", EXPECTED)
def test_cell(states: States, waited: Mapping[tuple[str, str], list[Waited]], row: str, condition: str) -> None:
    """kubectl exits at once: with 0 if all watches of the row meet the condition, otherwise with 1."""
    runs, met = waited[row, condition], is_met(row, condition)
    assert len(runs) == len(states.bodies[row])
    assert {(run.status, run.met, run.not_met) for run in runs} == {(0, True, False) if met else (1, False, True)}
    assert max(run.seconds for run in runs) < PROMPT


def test_table(states: States, waited: Mapping[tuple[str, str], list[Waited]]) -> None:
    """The table measured on the API server equals the document's table. The test prints it."""
    measured = {}
    for row, bodies in states.bodies.items():
        met = [condition for condition in CONDITIONS if waited[row, condition][0].status == 0]
        (judged,) = {tuple(verdicts.judge(body).items()) for body in bodies}
        measured[row] = {"watch": row, **dict(judged), verdicts.KUBECTL: ", ".join(met) or NOTHING}
    for cells in ([*measured[NO_STATUS]], *(row.values() for row in measured.values())):
        print("|", " | ".join(cells), "|")  # noqa: T201 -- for readers of the test output
    assert measured == EXPECTED


def test_phase_by_jsonpath_opens_too_early(states: States) -> None:
    """After an edit, a wait for the phase returns for the old job. A wait for a condition does not."""
    body = states.bodies["succeeded, and edited since"][0]
    name = f"bjw/{body['metadata']['name']}"
    wait = ("wait", "-n", states.namespace, name, "--timeout=0")
    assert states._kubectl(*wait, "--for=jsonpath={.status.phase}=Succeeded").returncode == 0
    assert states._kubectl(*wait, "--for=condition=complete", ok=False).returncode == 1
