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
_PLURALS: Final = (
    *("kustomizations.kustomize.toolkit.fluxcd.io", "helmreleases.helm.toolkit.fluxcd.io"),
    *("gitrepositories.source.toolkit.fluxcd.io", "ocirepositories.source.toolkit.fluxcd.io"),
    *("helmrepositories.source.toolkit.fluxcd.io", "helmcharts.source.toolkit.fluxcd.io"),
    *("buckets.source.toolkit.fluxcd.io", "imagerepositories.image.toolkit.fluxcd.io"),
    *("imageupdateautomations.image.toolkit.fluxcd.io", "resourcesets.fluxcd.controlplane.io"),
    "applications.argoproj.io",
)
GROUP: Final = re.compile(r"/apis/(?P<group>[a-z.]+)(/(?P<version>v\w+))?")
PATCHES: Final = r"^PATCH /apis/(?P<group>[^/]+)/(?P<version>v\w+)/namespaces/(?P<namespace>[^/]+)/(?P<plural>[^/]+)/(?P<name>[^/]+)$"


class GitopsObjects:
    """Existing objects accept annotations unless a test forbids it, like a missing Role."""

    def __init__(self) -> None:
        self.installed = set(VERSIONS)
        self.plurals = list(_PLURALS)
        """The kinds that the cluster serves."""
        self.versions: dict[str, str] = {}
        """Kinds such as ``ocirepositories.source.toolkit…`` that only a version other than the preferred one serves."""
        self.annotations: dict[tuple[str, str, str], dict[str, str]] = {}
        """Keys are the namespace, the plural with its group, and the name."""
        self.patches: list[tuple[str, str, str]] = []
        self._forbidden: set[tuple[str, str, str]] = set()

    def put(self, plural: str, name: str, *, namespace: str) -> dict[str, str]:
        """Create an object such as ``kustomizations.kustomize.toolkit…``, and return its live annotations."""
        return self.annotations.setdefault((namespace, plural, name), {})

    def forbid(self, plural: str, name: str, *, namespace: str) -> None:
        """Revoke the operator's permission to patch an object."""
        self._forbidden.add((namespace, plural, name))

    def allow(self, plural: str, name: str, *, namespace: str) -> None:
        """Restore that permission."""
        self._forbidden.discard((namespace, plural, name))

    def answer(self, request: Request) -> dict[str, Any] | None:
        """Answer a request for a GitOps object, or return None for any other request."""
        if request.method == "GET" and (match := GROUP.fullmatch(request.path)) and match["group"] in VERSIONS:
            return self._describe(match["group"], match["version"])
        match = re.match(PATCHES, request.line)
        if match is None or match["group"] not in VERSIONS:
            return None
        key = (match["namespace"], f"{match['plural']}.{match['group']}", match["name"])
        if key in self._forbidden:
            raise Refused(403, "Forbidden", f"User backupjobwatch cannot patch {key}")
        if match["version"] != self._version(key[1]) or key not in self.annotations:
            raise Refused(404, "NotFound", f"{key} not found")
        assert request.body.keys() == {"metadata"}
        assert request.body["metadata"].keys() == {"annotations"}
        self.annotations[key].update(request.body["metadata"]["annotations"])
        self.patches.append(key)
        return {"metadata": {"name": match["name"], "annotations": self.annotations[key]}}

    def _version(self, plural: str) -> str:
        return self.versions.get(plural) or VERSIONS[plural.partition(".")[2]]

    def _describe(self, group: str, version: str | None) -> dict[str, Any]:
        kinds = [each for each in self.plurals if each.partition(".")[2] == group]
        names = list(dict.fromkeys([VERSIONS[group], *map(self._version, kinds)]))
        if group not in self.installed or version not in (None, *names):
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        if version is not None:
            resources = [
                {"name": name, "namespaced": True}
                for kind in kinds
                for name in (kind.partition(".")[0], f"{kind.partition('.')[0]}/status")
                if self._version(kind) == version
            ]
            return {"kind": "APIResourceList", "groupVersion": f"{group}/{version}", "resources": resources}
        versions = [{"groupVersion": f"{group}/{name}", "version": name} for name in names]
        return {
            "kind": "APIGroup",
            "apiVersion": "v1",
            "name": group,
            "versions": versions,
            "preferredVersion": versions[0],
        }
