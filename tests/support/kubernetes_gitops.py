"""The Flux and Argo CD objects of a small cluster: their API groups, and patches of their annotations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tests.support.kubernetes_objects import Refused

if TYPE_CHECKING:
    from tests.support.kubernetes_traffic import Request

VERSIONS: Final = {
    "kustomize.toolkit.fluxcd.io": "v1",
    "helm.toolkit.fluxcd.io": "v2",
    "source.toolkit.fluxcd.io": "v1",
    "image.toolkit.fluxcd.io": "v1beta2",
    "fluxcd.controlplane.io": "v1",
    "argoproj.io": "v1alpha1",
}
GROUP: Final = re.compile(r"/apis/(?P<group>[a-z.]+)")
PATCHES: Final = r"^PATCH /apis/(?P<group>[^/]+)/(?P<version>v\w+)/namespaces/(?P<namespace>[^/]+)/(?P<plural>[^/]+)/(?P<name>[^/]+)$"


class GitopsObjects:
    """Those that there are may be annotated, until it is forbidden as without a Role."""

    def __init__(self) -> None:
        self.installed = set(VERSIONS)
        self.annotations: dict[tuple[str, str, str], dict[str, str]] = {}
        """By namespace, plural and group, and name."""
        self.patches: list[tuple[str, str, str]] = []
        self._forbidden: set[tuple[str, str, str]] = set()

    def put(self, plural: str, name: str, *, namespace: str) -> dict[str, str]:
        """Make one; returns its annotations, as they will be. *plural* is ``kustomizations.kustomize.toolkit…``."""
        return self.annotations.setdefault((namespace, plural, name), {})

    def forbid(self, plural: str, name: str, *, namespace: str) -> None:
        """Take the right to patch one from the operator."""
        self._forbidden.add((namespace, plural, name))

    def allow(self, plural: str, name: str, *, namespace: str) -> None:
        """Give that right back."""
        self._forbidden.discard((namespace, plural, name))

    def answer(self, request: Request) -> dict[str, Any] | None:
        """Answer a request for one of them; None where it is for something else."""
        if request.method == "GET" and (match := GROUP.fullmatch(request.path)) and match["group"] in VERSIONS:
            return self._describe(match["group"])
        match = re.match(PATCHES, request.line)
        if match is None or match["group"] not in VERSIONS:
            return None
        key = (match["namespace"], f"{match['plural']}.{match['group']}", match["name"])
        if key in self._forbidden:
            raise Refused(403, "Forbidden", f"User backupjobwatch cannot patch {key}")
        if match["version"] != VERSIONS[match["group"]] or key not in self.annotations:
            raise Refused(404, "NotFound", f"{key} not found")
        assert request.body.keys() == {"metadata"}
        assert request.body["metadata"].keys() == {"annotations"}
        self.annotations[key].update(request.body["metadata"]["annotations"])
        self.patches.append(key)
        return {"metadata": {"name": match["name"], "annotations": self.annotations[key]}}

    def _describe(self, group: str) -> dict[str, Any]:
        if group not in self.installed:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        version = {"groupVersion": f"{group}/{VERSIONS[group]}", "version": VERSIONS[group]}
        return {
            "kind": "APIGroup",
            "apiVersion": "v1",
            "name": group,
            "versions": [version],
            "preferredVersion": version,
        }
