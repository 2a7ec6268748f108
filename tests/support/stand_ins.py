"""Stand-in CRDs for Flux, Flux Operator, Argo, Tekton and the Prometheus operator.

They have the fields that our samples and manifests use, as documented by each project. The API server therefore refuses
misspelt or misplaced fields and values of the wrong type. No controller processes the objects.
"""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]
Fields = dict[str, Any]
"""Schemas or nested fields by name. ``!`` marks a required field, ``[what]`` a list, and ``{"*": what}`` a map."""

STRING: Final[Schema] = {"type": "string"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
INTEGER: Final[Schema] = {"type": "integer"}
DURATION: Final[Schema] = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"}
ANYTHING: Final[Schema] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
ANY_VALUE: Final[Schema] = {"x-kubernetes-preserve-unknown-fields": True}

FLUX_KINDS: Final = (
    *("Bucket", "GitRepository", "Kustomization", "HelmRelease", "HelmChart", "HelmRepository", "ImageRepository"),
    *("ImagePolicy", "ImageUpdateAutomation", "OCIRepository", "ArtifactGenerator", "ExternalArtifact"),
)
"""The kinds that a Flux Receiver accepts."""


def one_of(*values: str) -> Schema:
    """Return the schema of an enumeration."""
    return {"type": "string", "enum": list(values)}


def schema_of(fields: Any) -> Schema:
    """Return the OpenAPI schema for the short notation."""
    if isinstance(fields, list):
        return {"type": "array", "items": schema_of(fields[0])}
    if isinstance(fields.get("type"), str) or fields == ANY_VALUE:
        return dict(fields)
    if fields.keys() == {"*"}:
        return {"type": "object", "additionalProperties": schema_of(fields["*"])}
    properties = {name.removesuffix("!"): schema_of(value) for name, value in fields.items()}
    required = [name.removesuffix("!") for name in fields if name.endswith("!")]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def crd(api_version: str, kind: str, spec: Fields) -> Schema:
    """Return a CRD with these fields in ``spec``, and any status."""
    group, version = api_version.split("/")
    plural = f"{kind.lower()}s"
    schema = schema_of({"spec!": spec, "status": ANYTHING})
    served = {"name": version, "served": True, "storage": True, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [{**served, "schema": {"openAPIV3Schema": schema}}],
        },
    }


# ── Flux, Flux Operator ──────────────────────────────────────────────────────────────────────────────────────────────

KUSTOMIZATION: Final[Fields] = {
    "dependsOn": [{"name!": STRING}],
    "sourceRef!": {"kind!": one_of("OCIRepository", "GitRepository", "Bucket", "ExternalArtifact"), "name!": STRING},
    "path": STRING,
    "targetNamespace": STRING,
    "prune!": BOOLEAN,
    "wait": BOOLEAN,
    "postBuild": {"substitute": {"*": STRING}},
    "healthCheckExprs": [
        {"apiVersion!": STRING, "kind": STRING, "inProgress": STRING, "failed": STRING, "current!": STRING}
    ],
    "interval!": DURATION,
    "retryInterval": DURATION,
    "timeout": DURATION,
}
RECEIVER: Final[Fields] = {
    "type!": one_of("generic", "generic-hmac", "github", "gitlab", "bitbucket", "harbor", "cdevents"),
    "secretRef": {"name!": STRING},
    "resources!": [
        {
            "apiVersion": STRING,
            "kind!": one_of(*FLUX_KINDS),
            "name!": STRING,
            "matchLabels": {"*": STRING},
        }
    ],
}
RESOURCE_SET: Final[Fields] = {
    "dependsOn": [
        {
            "apiVersion!": STRING,
            "kind!": STRING,
            "name!": STRING,
            "namespace": STRING,
            "ready": BOOLEAN,
            "readyExpr": STRING,
        }
    ],
    "resources": [ANYTHING],
}

# ── Argo ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

CONTAINER: Final[Fields] = {
    "image!": STRING,
    "command": [STRING],
    "env": [{"name!": STRING, "value": STRING}],
}
PARAMETER: Final[Fields] = {
    "name!": STRING,
    "value": STRING,
    "valueFrom": {"jsonPath": STRING, "default": STRING},
}
WORKFLOW: Final[Fields] = {
    "entrypoint": STRING,
    "serviceAccountName": STRING,
    "podMetadata": {"labels": {"*": STRING}},
    "arguments": {"parameters": [PARAMETER]},
    "templates": [
        {
            "name": STRING,
            "inputs": {"parameters": [PARAMETER]},
            "outputs": {"parameters": [PARAMETER]},
            "activeDeadlineSeconds": INTEGER,
            "container": CONTAINER,
            "script": {**CONTAINER, "source!": STRING},
            # Steps are lists of lists.
            "steps": [[{"name": STRING, "template": STRING, "arguments": {"parameters": [PARAMETER]}}]],
            "resource": {
                "action!": one_of("get", "create", "apply", "delete", "replace", "patch"),
                "manifest": STRING,
                "setOwnerReference": BOOLEAN,
                "successCondition": STRING,
                "failureCondition": STRING,
            },
        }
    ],
}
EVENT_SOURCE: Final[Fields] = {
    "template": {"serviceAccountName": STRING},
    "resource": {
        "*": {
            "namespace": STRING,
            "group": STRING,
            "version": STRING,
            "resource": STRING,
            "eventTypes!": [one_of("ADD", "UPDATE", "DELETE")],
            "filter": {
                "fields": [{"key!": STRING, "operation": one_of("=", "==", "!="), "value!": STRING}],
            },
        }
    },
}
SENSOR: Final[Fields] = {
    "template": {"serviceAccountName": STRING},
    "dependencies!": [
        {
            "name!": STRING,
            "eventSourceName!": STRING,
            "eventName!": STRING,
            "filters": {"exprs": [{"expr!": STRING, "fields!": [{"name!": STRING, "path!": STRING}]}]},
        }
    ],
    "triggers!": [
        {
            "template!": {
                "name!": STRING,
                "k8s": {
                    "operation": one_of("create", "update", "patch", "delete"),
                    "source!": {"resource": ANYTHING},
                    "parameters": [
                        {
                            "src!": {"dependencyName!": STRING, "dataKey": STRING},
                            "dest!": STRING,
                            "operation": one_of("append", "prepend", "overwrite"),
                        }
                    ],
                },
            }
        }
    ],
}

# ── Tekton ───────────────────────────────────────────────────────────────────────────────────────────────────────────

PARAM: Final[Fields] = {"name!": STRING, "value!": STRING}
TYPE: Final = one_of("string", "array", "object")
PARAM_SPEC: Final[Fields] = {"name!": STRING, "type": TYPE, "description": STRING, "default": STRING}
TASK: Final[Fields] = {
    "params": [PARAM_SPEC],
    "results": [{"name!": STRING, "type": TYPE, "description": STRING}],
    "steps!": [{"name": STRING, **CONTAINER, "script": STRING}],
}
TASK_RUN: Final[Fields] = {"taskSpec": TASK}
PIPELINE_RUN: Final[Fields] = {
    "taskRunTemplate": {"serviceAccountName": STRING},
    "timeouts": {"pipeline": DURATION},
    "params": [PARAM],
    "pipelineSpec": {
        "params": [PARAM_SPEC],
        "tasks": [
            {
                "name": STRING,
                "runAfter": [STRING],
                "timeout": DURATION,
                "taskRef": {"name": STRING},
                "taskSpec": TASK,
                "params": [PARAM],
            }
        ],
    },
}
EVENT_LISTENER: Final[Fields] = {
    "serviceAccountName": STRING,
    "triggers": [
        {
            "name": STRING,
            # Each interceptor defines its own parameters.
            "interceptors": [{"ref": {"name": STRING}, "params": [{"name!": STRING, "value!": ANY_VALUE}]}],
            "bindings": [{"name": STRING, "value": STRING}],
            "template!": {"ref": STRING},
        }
    ],
}
TRIGGER_TEMPLATE: Final[Fields] = {
    "params": [{"name!": STRING, "description": STRING, "default": STRING}],
    "resourcetemplates": [ANYTHING],
}

# ── Prometheus operator ──────────────────────────────────────────────────────────────────────────────────────────────

POD_MONITOR: Final[Fields] = {
    "selector!": {"matchLabels": {"*": STRING}},
    "podTargetLabels": [STRING],
    "podMetricsEndpoints": [{"port": STRING, "path": STRING, "interval": DURATION, "honorLabels": BOOLEAN}],
}
SERVICE_MONITOR: Final[Fields] = {
    "selector!": {"matchLabels": {"*": STRING}},
    "podTargetLabels": [STRING],
    "endpoints": POD_MONITOR["podMetricsEndpoints"],
}
PROMETHEUS_RULE: Final[Fields] = {
    "groups": [
        {
            "name!": STRING,
            "rules": [
                {
                    "alert": STRING,
                    "expr!": STRING,
                    "for": DURATION,
                    "keep_firing_for": DURATION,
                    "labels": {"*": STRING},
                    "annotations": {"*": STRING},
                }
            ],
        }
    ]
}

MONITORING: Final = (
    crd("monitoring.coreos.com/v1", "PodMonitor", POD_MONITOR),
    crd("monitoring.coreos.com/v1", "ServiceMonitor", SERVICE_MONITOR),
    crd("monitoring.coreos.com/v1", "PrometheusRule", PROMETHEUS_RULE),
)
STAND_INS: Final = (
    crd("kustomize.toolkit.fluxcd.io/v1", "Kustomization", KUSTOMIZATION),
    crd("notification.toolkit.fluxcd.io/v1", "Receiver", RECEIVER),
    crd("fluxcd.controlplane.io/v1", "ResourceSet", RESOURCE_SET),
    crd("argoproj.io/v1alpha1", "Workflow", WORKFLOW),
    crd("argoproj.io/v1alpha1", "EventSource", EVENT_SOURCE),
    crd("argoproj.io/v1alpha1", "Sensor", SENSOR),
    crd("tekton.dev/v1", "Task", TASK),
    crd("tekton.dev/v1", "TaskRun", TASK_RUN),
    crd("tekton.dev/v1", "PipelineRun", PIPELINE_RUN),
    crd("triggers.tekton.dev/v1beta1", "EventListener", EVENT_LISTENER),
    crd("triggers.tekton.dev/v1beta1", "TriggerTemplate", TRIGGER_TEMPLATE),
)
