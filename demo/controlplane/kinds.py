"""
The supported built-in kinds of Kubernetes, and the CRDs without a schema that store them.

The group of a CRD must contain a dot. Groups without one (core's "", apps, policy) are therefore stored under
another group name, and the front translates the names (see ``translation``). Most kinds are validated in their
metadata only, and no controller acts on them: a Deployment is stored but runs no pods.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
HIDDEN = "control-plane/builtin"
"""The label of CRDs that are hidden from clients."""

STORED_GROUPS = {"": "core.builtin", "apps": "apps.builtin", "policy": "policy.builtin"}
"""The storage groups of kinds whose own group is invalid for a CRD."""

NAMESPACES = "builtinnamespaces"
"""The stored name of namespaces, because the path /namespaces/NAME has a special meaning to the server."""

Column = tuple[str, str, str]
AGE: Column = ("Age", "date", ".metadata.creationTimestamp")
ROLE: Column = ("Role", "string", ".roleRef.name")
STATUS: dict[str, Any] = {"status": {}}
SCALE = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
EVENT_FIELDS = (
    *(f"involvedObject.{key}" for key in ("apiVersion", "kind", "namespace", "name", "uid")),
    "reason",
    "type",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The names of a kind, its columns in `kubectl get` and its field selectors."""

    group: str = ""
    plural: str
    kind: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    columns: tuple[Column, ...] = (AGE,)
    selectable: tuple[str, ...] = ()
    """The fields for field selectors, at most eight."""
    checked: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Schemas of fields that the API server must validate, because a client relies on it."""
    defaults: dict[str, Any] = field(default_factory=dict)
    subresources: dict[str, Any] = field(default_factory=dict)

    @property
    def stored_group(self) -> str:
        return STORED_GROUPS.get(self.group, self.group)

    @property
    def path(self) -> str:
        """The path of these objects at the API server."""
        return f"/apis/{self.stored_group}/v1/{self.plural}"

    def crd(self) -> dict[str, Any]:
        schema = anything()
        fields = {
            name: {"type": "string"} if isinstance(self.defaults.get(name, ""), str) else anything()
            for name in (*self.selectable, *self.defaults)
        } | self.checked
        for name, field_schema in fields.items():
            *parents, leaf = name.split(".")
            level = schema["properties"]
            for parent in parents:
                level = level.setdefault(parent, anything())["properties"]
            level[leaf] = dict(field_schema)
        for name, value in self.defaults.items():
            *parents, leaf = name.split(".")
            level = schema["properties"]
            for parent in parents:  # a default only applies if its parent exists or has a default too
                level[parent]["default"] = {}
                level = level[parent]["properties"]
            level[leaf]["default"] = value
        version = {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": schema},
            "subresources": self.subresources,
            "additionalPrinterColumns": [
                {"name": name, "type": kind, "jsonPath": path} for name, kind, path in self.columns
            ],
            "selectableFields": [{"jsonPath": f".{name}"} for name in self.selectable],
        }
        names = {
            "plural": self.plural,
            "singular": self.kind.lower(),
            "kind": self.kind,
            "shortNames": list(self.short_names),
        }
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": f"{self.plural}.{self.stored_group}",
                "labels": {HIDDEN: "true"},
                # Required in groups of *.k8s.io.
                "annotations": {"api-approved.kubernetes.io": "unapproved, testing"},
            },
            "spec": {
                "group": self.stored_group,
                "scope": "Namespaced" if self.namespaced else "Cluster",
                "names": names,
                "versions": [version],
            },
        }


def anything() -> dict[str, Any]:
    """Return the schema of an object with arbitrary fields."""
    return {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {}}


MICRO_TIME = {
    "type": "string",
    "nullable": True,
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$",
}
"""The only format that Go's metav1.MicroTime accepts: six fractional digits. A cluster refuses other Leases."""
ADMISSION = "admissionregistration.k8s.io"
MATCH_DEFAULTS: dict[str, Any] = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
RBAC = "rbac.authorization.k8s.io"
KINDS = (
    Kind(
        plural=NAMESPACES,
        kind="Namespace",
        short_names=("ns",),
        namespaced=False,
        columns=(("Status", "string", ".status.phase"), AGE),
        selectable=("status.phase",),
        defaults={"status.phase": "Active"},
    ),
    Kind(plural="configmaps", kind="ConfigMap", short_names=("cm",)),
    Kind(
        plural="events",
        kind="Event",
        short_names=("ev",),
        columns=(
            ("Last Seen", "date", ".lastTimestamp"),
            ("Type", "string", ".type"),
            ("Reason", "string", ".reason"),
            ("Kind", "string", ".involvedObject.kind"),
            ("Object", "string", ".involvedObject.name"),
            ("Message", "string", ".message"),
        ),
        selectable=EVENT_FIELDS,
    ),
    Kind(
        plural="secrets",
        kind="Secret",
        columns=(("Type", "string", ".type"), AGE),
        selectable=("type",),
        defaults={"type": "Opaque"},
    ),
    Kind(plural="serviceaccounts", kind="ServiceAccount", short_names=("sa",)),
    Kind(
        plural="services", kind="Service", short_names=("svc",), subresources=STATUS
    ),  # watched by the API server itself
    Kind(
        group="apps",
        plural="deployments",
        kind="Deployment",
        short_names=("deploy",),
        columns=(("Desired", "integer", ".spec.replicas"), ("Available", "integer", ".status.availableReplicas"), AGE),
        subresources={**STATUS, "scale": SCALE},
    ),
    Kind(group=RBAC, plural="clusterroles", kind="ClusterRole", namespaced=False),
    Kind(group=RBAC, plural="clusterrolebindings", kind="ClusterRoleBinding", namespaced=False, columns=(ROLE, AGE)),
    Kind(group=RBAC, plural="roles", kind="Role"),
    Kind(group=RBAC, plural="rolebindings", kind="RoleBinding", columns=(ROLE, AGE)),
    Kind(
        group="coordination.k8s.io",
        plural="leases",
        kind="Lease",
        columns=(("Holder", "string", ".spec.holderIdentity"), AGE),
        checked={
            "spec.holderIdentity": {"type": "string", "nullable": True},
            "spec.leaseDurationSeconds": {"type": "integer", "format": "int32", "minimum": 1, "nullable": True},
            "spec.leaseTransitions": {"type": "integer", "format": "int32", "minimum": 0, "nullable": True},
            "spec.acquireTime": MICRO_TIME,
            "spec.renewTime": MICRO_TIME,
        },
    ),
    Kind(
        group="policy",
        plural="poddisruptionbudgets",
        kind="PodDisruptionBudget",
        short_names=("pdb",),
        subresources=STATUS,
    ),
    # The API server evaluates these two kinds and requires their defaults.
    Kind(
        group=ADMISSION,
        plural="validatingadmissionpolicies",
        kind="ValidatingAdmissionPolicy",
        namespaced=False,
        defaults={f"spec.matchConstraints.{name}": value for name, value in MATCH_DEFAULTS.items()},
        subresources=STATUS,
    ),
    Kind(
        group=ADMISSION,
        plural="validatingadmissionpolicybindings",
        kind="ValidatingAdmissionPolicyBinding",
        namespaced=False,
        defaults={f"spec.matchResources.{name}": value for name, value in MATCH_DEFAULTS.items()},
    ),
    Kind(group="networking.k8s.io", plural="networkpolicies", kind="NetworkPolicy", short_names=("netpol",)),
)
BY_PATH = {(kind.group, kind.plural): kind for kind in KINDS}
GROUPS = {kind.group: kind.stored_group for kind in KINDS}
