"""
The control API of a simulator that runs as a separate process.

Its paths begin with ``/_simulator/``. Requests and responses are JSON, and need no token.

* ``GET /_simulator/``: the clock, vaults, jobs and faults.
* ``POST /_simulator/clock``: ``{"advance": 60}`` or ``{"speed": 600}``.
* ``GET /_simulator/requests``: the recorded requests. DELETE clears them.
* ``GET /_simulator/backups``: the backups that requests started, and how often each item's backup was requested.
* ``POST /_simulator/faults``: ``{"kind": "throttled", "retry_after": 7, "path": "/backupJobs/", "times": 3}``.
* ``DELETE /_simulator/faults``: remove all faults.
* ``POST /_simulator/holds``: ``{"path": "/backupJobs/"}``.
* ``DELETE /_simulator/holds``: release all holds.
* ``POST /_simulator/tokens``: ``{"token": "...", "principal": "..."}``, ``{"expire": "..."}`` or ``{"revoke": "..."}``.
* ``PUT /_simulator/{resource ID of a job}``: ``{"properties": {...}}``, which GETs of the job return from now on.
* ``POST /_simulator/{resource ID of a job}``: restart a job with a timeline.
* ``DELETE /_simulator/{resource ID of a job}``: delete the job.
"""

import inspect
import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from demo.simulator.any_vault import AnyVault
from demo.simulator.faults import Fault
from demo.simulator.messages import Answer, arm_request, json_answer
from demo.simulator.vaults import BackupVault, Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from demo.simulator.server import AzureSimulator

_Body = dict[str, Any]
_KINDS: dict[str, type[AnyVault]] = {kind.TYPE.casefold(): kind for kind in (Vault, BackupVault)}
FAULTS: "Mapping[str, Callable[..., Fault]]" = {
    name: make for name, make in inspect.getmembers(Fault, inspect.ismethod) if not name.startswith("_")
}
"""The class methods that create faults, by name."""
_JOB_ID_LENGTH = 10
"""The number of segments in a job's resource ID."""


class ControlApi:
    """Maps HTTP requests to the simulator's methods."""

    PREFIX: ClassVar[str] = "/_simulator/"

    def __init__(self, simulator: "AzureSimulator") -> None:
        self._simulator = simulator
        self._routes: dict[tuple[str, str], Callable[[_Body], Any]] = {
            ("GET", ""): lambda _body: self._summary(),
            ("POST", "clock"): self._move_clock,
            ("GET", "requests"): lambda _body: [asdict(record) for record in simulator.requests],
            ("DELETE", "requests"): lambda _body: simulator.clear_requests(),
            ("GET", "backups"): lambda _body: self._backups(),
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): lambda _body: simulator.faults.clear(),
            ("POST", "holds"): self._add_hold,
            ("DELETE", "holds"): lambda _body: simulator.release_holds(),
            ("POST", "tokens"): self._change_token,
        }

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        """Execute a request. The response describes any error in it."""
        request = arm_request(method, target.removeprefix(self.PREFIX).lstrip("/"), {}, principal=None)
        try:
            content = _json_object(body or b"{}")
            route = self._routes.get((method, request.path.strip("/")))
            outcome = self._change_job(method, request.segments, content) if route is None else route(content)
        except (AttributeError, TypeError, ValueError, re.error) as error:
            return json_answer(400, {"error": str(error)})
        except KeyError as error:
            return json_answer(404, {"error": f"there is no {error}"})
        if outcome is None:
            return Answer(204)
        return json_answer(200, json.loads(json.dumps(outcome, default=str)))

    def _summary(self) -> _Body:
        simulator = self._simulator
        return {
            "now": simulator.clock.now(),
            "speed": simulator.clock.speed,
            "vaults": {vault.id: vault.job_names() for vault in simulator.directory.vaults()},
            "faults": [
                {"kind": rule.fault.kind, "remaining": rule.remaining, "used": rule.used}
                for rule in simulator.faults.rules()
            ],
        }

    def _backups(self) -> _Body:
        vaults = self._simulator.directory.vaults()
        return {
            "started": [{"vault": vault.id, **asdict(each)} for vault in vaults for each in vault.protection.started()],
            "requests": self._simulator.backup_requests(),
        }

    def _move_clock(self, body: _Body) -> _Body:
        if "speed" in body:
            self._simulator.clock.speed = float(body["speed"])
        self._simulator.clock.advance(float(body.get("advance", 0)))
        return {"now": self._simulator.clock.now(), "speed": self._simulator.clock.speed}

    def _add_fault(self, body: _Body) -> None:
        arguments = dict(body)
        rule = {name: arguments.pop(name) for name in ("path", "principal", "times", "skip") if name in arguments}
        kind = arguments.pop("kind")
        self._simulator.faults.add(FAULTS[kind](**arguments), **rule)

    def _add_hold(self, body: _Body) -> None:
        self._simulator.hold(**body)

    def _change_token(self, body: _Body) -> None:
        tokens = self._simulator.tokens
        if "expire" in body:
            tokens.expire(body["expire"])
        elif "revoke" in body:
            tokens.revoke(body["revoke"], claims=body.get("claims"))
        else:
            tokens.add(body["token"], body["principal"])

    def _change_job(self, method: str, segments: tuple[str, ...], body: _Body) -> _Body | None:
        vault, job_name = self._vault(segments)
        match method:
            case "PUT":
                return {"id": vault.set_job(job_name, body)}
            case "POST":
                vault.restart_job(job_name)
            case "DELETE":
                vault.delete_job(job_name)
            case _:
                raise KeyError(f"{method} here")
        return None

    def _vault(self, segments: tuple[str, ...]) -> tuple[AnyVault, str]:
        names = [segment.casefold() for segment in segments]
        literal = ["subscriptions", "resourcegroups", "providers"]
        kind = _KINDS.get("/".join(names[5:7]))
        if (
            names[:1] + names[2:3] + names[4:5] != literal
            or names[8:9] != ["backupjobs"]
            or len(segments) != _JOB_ID_LENGTH
            or kind is None
        ):
            raise KeyError("/" + "/".join(segments))
        vault = self._simulator.directory.find_vault(kind, segments[1], segments[3], segments[7])
        if vault is None:
            raise KeyError("/" + "/".join(segments[:8]))
        return vault, segments[9]


def _json_object(body: bytes) -> _Body:
    content = json.loads(body)
    if not isinstance(content, dict):
        raise TypeError("a request's body is a JSON object")
    return content
