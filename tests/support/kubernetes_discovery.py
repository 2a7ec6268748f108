"""Discovery responses of the small cluster."""

from typing import Any

from backupjobwatch.constants import API_VERSION, GROUP, KIND, PLURAL, VERSION

_ALL_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def discovery(*, crd_installed: bool) -> dict[str, dict[str, Any]]:
    """Return the response of each discovery path."""
    groups = {"apiextensions.k8s.io": "v1"} | ({GROUP: VERSION} if crd_installed else {})
    answers: dict[str, dict[str, Any]] = {
        "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": _resources(
            "v1", _resource("namespaces", "Namespace", namespaced=False), _resource("events", "Event")
        ),
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*each) for each in groups.items()]},
        "/apis/apiextensions.k8s.io/v1": _resources(
            "apiextensions.k8s.io/v1",
            _resource("customresourcedefinitions", "CustomResourceDefinition", namespaced=False),
        ),
    }
    if crd_installed:
        status = _resource(f"{PLURAL}/status", KIND)
        answers[f"/apis/{API_VERSION}"] = _resources(API_VERSION, _resource(PLURAL, KIND), status)
    return answers


def _group(name: str, version: str) -> dict[str, Any]:
    served = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [served], "preferredVersion": served}


def _resource(plural: str, kind: str, *, namespaced: bool = True) -> dict[str, Any]:
    return {"name": plural, "kind": kind, "namespaced": namespaced, "singularName": "", "verbs": _ALL_VERBS}


def _resources(group_version: str, *resources: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "APIResourceList", "groupVersion": group_version, "resources": list(resources)}
