"""Compare the permissions of the shipped roles with the operator's requests to an API server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from demo.controlplane.traffic import Request

MANIFESTS: Final = Path(__file__).parents[2] / "manifests"
SERVICE_ACCOUNT: Final = "backupjobwatch"
OURS: Final = r"^(kopf/|backupjobwatch)"
"""The User-Agents of the operator and of kopf."""
_SHIPPED: Final = ("base", "components", "overlays")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Permission for one verb on one resource, from a rule of a role that is bound to the operator."""

    role: str
    group: str
    resource: str
    verb: str
    everywhere: bool
    """In all namespaces, including lists across namespaces."""
    named: bool
    """Only for objects with the names in the rule, which each user of the role adapts."""

    def covers(self, request: Request) -> bool:
        """Return whether the grant allows *request*."""
        asked = (request.group, request.resource, request.verb)
        if asked != (self.group, self.resource, self.verb):
            return False
        return (self.everywhere or bool(request.namespace)) and (not self.named or bool(request.name))

    def __str__(self) -> str:
        return f"{self.verb} {'.'.join(filter(None, (self.resource, self.group)))} ({self.role})"


def read_grants(manifests: Path = MANIFESTS) -> list[Grant]:
    """Read the grants of the operator's ServiceAccount, without roles for other subjects."""
    objects = [each for folder in _SHIPPED for each in _objects(manifests / folder)]
    bound = {
        (binding["roleRef"]["kind"], binding["roleRef"]["name"]): binding["kind"] == "ClusterRoleBinding"
        for binding in objects
        if binding["kind"] in ("RoleBinding", "ClusterRoleBinding")
        and any(subject["name"] == SERVICE_ACCOUNT for subject in binding["subjects"])
    }
    return [
        Grant(
            role=role["metadata"]["name"],
            group=group,
            resource=resource,
            verb=verb,
            everywhere=bound[role["kind"], role["metadata"]["name"]],
            named="resourceNames" in rule,
        )
        for role in objects
        if (role["kind"], role["metadata"]["name"]) in bound
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


def missing(requests: Iterable[Request], grants: Iterable[Grant]) -> set[str]:
    """Return the requests that no grant allows, except discovery."""
    grants = list(grants)
    return {
        f"{request.verb} {'.'.join(filter(None, (request.resource, request.group)))}"
        f" {'in a namespace' if request.namespace else 'in the cluster'}"
        for request in requests
        if request.resource and not any(grant.covers(request) for grant in grants)
    }


def unused(requests: Iterable[Request], grants: Iterable[Grant]) -> set[str]:
    """Return the grants that no request used."""
    requests = list(requests)
    return {str(grant) for grant in grants if not any(grant.covers(request) for request in requests)}


def _objects(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.rglob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if isinstance(each, dict) and "metadata" in each:
                yield each
