"""Watches in every state: those that the operator writes, and variants after changes by users."""

from __future__ import annotations

import asyncio
import copy
import fcntl
import functools
import json
from typing import TYPE_CHECKING, Any, Final

from tests.support.gates import argo_cd, scenes
from tests.support.gates.scenes import SCENES, Scene
from tests.support.gates.stage import Stage, open_stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.gates.kstatus import Body

NOT_SEEN: Final = "not yet seen by the operator"
NO_STATUS: Final = "no status at all: a CRD without its default"
EDITED: Final = "and edited since"
BEING_DELETED: Final = "being deleted"
DELETED_AS_HOOK: Final = "deleted while Argo CD's hook finalizer holds it"
FINALIZER: Final = "example.com/finalizer"
_WAS: Final = {scenes.SUCCEEDED: "succeeded", scenes.HAS_FAILED: "failed"}
_HELD: Final = (scenes.PENDING, scenes.IN_PROGRESS, scenes.RETRYING, scenes.SUSPENDED, *_WAS)


_folder: Path | None = None


def share(folder: Path) -> None:
    """Share the operator's results with the other processes of the test run through a file in *folder*."""
    global _folder  # noqa: PLW0603 -- as long-lived as the cache of written()
    _folder = folder


@functools.cache
def written() -> Mapping[str, Body]:
    """Run the operator through all scenes once per test run, and return the objects by scene name.

    ``not-seen`` is a new object that the operator has not observed yet.
    """
    if _folder is None:
        return asyncio.run(_written())
    file = _folder / "gate-states.json"
    with (_folder / "gate-states.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            file.write_text(json.dumps(asyncio.run(_written())), encoding="utf-8")
    found: Mapping[str, Body] = json.loads(file.read_text(encoding="utf-8"))
    return found


@functools.cache
def all_states() -> Mapping[str, Mapping[str, Body]]:
    """Return the objects of each row in docs/gates.md, by the name of the row and the object."""
    not_seen = written()["not-seen"]
    rows: dict[str, dict[str, Body]] = {NOT_SEEN: {"not-seen": not_seen}}
    for scene in SCENES:
        rows.setdefault(scene.watch, {})[scene.name] = written()[scene.name]
    for after, change in ((EDITED, stale), (BEING_DELETED, deleted), (DELETED_AS_HOOK, deleted_hook)):
        for scene in SCENES:
            if scene.watch in _HELD:
                row = f"{_WAS.get(scene.watch, 'unfinished')}, {after}"
                name = f"{scene.name}-{change.__name__.replace('_', '-')}"
                rows.setdefault(row, {})[name] = change(written()[scene.name])
    rows[NO_STATUS] = {"no-status": {name: value for name, value in not_seen.items() if name != "status"}}
    return rows


def stale(body: Body) -> dict[str, Any]:
    """Return the object after an edit that the operator has not observed."""
    after = copy.deepcopy(dict(body))
    after["spec"]["pollInterval"] = "5m"
    after["metadata"]["generation"] += 1
    return after


def deleted(body: Body) -> dict[str, Any]:
    """Return the object while another finalizer blocks its deletion, which incremented the generation."""
    after = copy.deepcopy(dict(body))
    after["metadata"] |= {
        "generation": after["metadata"]["generation"] + 1,
        "deletionTimestamp": after["status"].get("completionTime", after["metadata"]["creationTimestamp"]),
        "deletionGracePeriodSeconds": 0,
        "finalizers": [FINALIZER],
    }
    return after


def deleted_hook(body: Body) -> dict[str, Any]:
    """Return the object as an Argo CD hook after a manual deletion, with only Argo CD's finalizer."""
    after = deleted(body)
    after["metadata"]["finalizers"] = [argo_cd.HOOK_FINALIZER]
    return after


async def _written() -> dict[str, Body]:
    async with open_stage() as stage:
        bodies = await asyncio.gather(*(_play(stage, scene) for scene in SCENES))
        applied = next(change.after for change in stage.api.objects.history if change.name == SCENES[0].name)
    return {"not-seen": applied, **{scene.name: body for scene, body in zip(SCENES, bodies, strict=True)}}


async def _play(stage: Stage, scene: Scene) -> Body:
    watch = stage.watch(scene.name)
    await scene.play(watch)
    return await watch.until(scene.phase, scene.reason, scene.generation)
