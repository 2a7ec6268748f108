"""Hypothesis strategies for BackupJobWatches with valid metadata and an arbitrary spec and status."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from backupjobwatch.domain.api.spec import target_digest
from tests.support.builders import (
    CRD_DEFAULTS,
    JOB_ID,
    JOB_NAME,
    NOW,
    OPERATION,
    VAULT_REF,
    running_payload,
    settle,
    watch_body,
)  # fmt: skip
from tests.support.kubernetes import NAME, NAMESPACE

_WORDS: Final = (
    *("Pending", "Running", "Succeeded", "Failed", "True", "Ready", "Suspended", "JobInProgress", "10s", "5m", "7s"),
    *("2018-05-21T08:35:40Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "", " ", "\x1b[31m", "\u2028", "…"),
)
# JSON in Go: UTF-8 strings, 64-bit integers, finite floats.
_texts = st.one_of(
    st.sampled_from(_WORDS),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.builds(lambda letter, count: letter * count, st.sampled_from("x<資😀"), st.integers(200, 3000)),
)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    _texts,
)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_texts, inner, max_size=4)),
    max_leaves=6,
)


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: st.one_of(values, _values) for name, values in fields.items()})


_notify = st.lists(
    st.one_of(
        _values,
        _some(
            name=st.sampled_from(["hook", "flux"]),
            phases=st.lists(st.sampled_from(_WORDS), max_size=3),
            webhook=_some(url=st.just("https://127.0.0.1/hook"), secretName=st.just("hook"), format=_texts),
            flux=_some(kind=st.just("Kustomization"), name=st.just("next")),
            argocd=_some(application=st.just("next"), refresh=_texts),
        ),
    ),
    max_size=3,
)
_sources = st.sampled_from(
    [
        {"jobResourceId": JOB_ID},
        {"jobName": JOB_NAME, "vault": VAULT_REF},
        {"operationId": OPERATION, "vault": VAULT_REF},
        {"latest": {"item": "uttestvmub1", "startedAfter": "2018-05-21T08:00:00Z"}, "vault": VAULT_REF},
        {"latest": {"item": "uttestvmub1", "completedWithin": "2h"}, "vault": VAULT_REF},
        {},
    ]
)
_fields = _some(
    jobResourceId=st.just(JOB_ID),
    jobName=st.just(JOB_NAME),
    operationId=st.just(OPERATION),
    latest=_some(item=_texts, operation=_texts, container=_texts, startedAfter=_texts, completedWithin=_texts),
    vault=_some(subscriptionId=_texts, resourceGroup=_texts, name=_texts, kind=_texts),
    revision=_texts,
    identity=_some(serviceAccountName=_texts, secretName=_texts),
    activeDeadlineSeconds=st.integers(),
    graceSeconds=st.integers(),
    completedWithWarnings=_texts,
    pollInterval=_texts,
    suspend=st.booleans(),
    ttlSecondsAfterFinished=st.integers(),
    notify=_notify,
)


def _merged(*parts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.items()}


_specs = st.one_of(
    _values,
    st.builds(_merged, st.just(CRD_DEFAULTS), _sources),
    st.builds(_merged, st.just(CRD_DEFAULTS), _sources, _fields),
    st.builds(_merged, st.just(CRD_DEFAULTS), _sources, st.fixed_dictionaries({"notify": _notify})),
)


def _written() -> dict[str, Any]:
    from backupjobwatch.domain.jobs.recovery_services import parse_job

    status: dict[str, Any] = settle(watch_body(), parse_job(running_payload()), NOW)["status"]
    return status


_condition = _some(
    type=st.sampled_from(["Ready", "AzureReachable", "Finished"]),
    status=_texts,
    reason=st.sampled_from(["ProgressingWithRetry", "JobCompleted"]),
    message=_texts,
    lastTransitionTime=_texts,
    observedGeneration=st.integers(),
)
_status_fields = _some(
    observedGeneration=st.integers(-1, 3),
    phase=_texts,
    reason=_texts,
    message=_texts,
    job=_some(name=_texts, status=_texts, resourceId=_texts),
    jobs=st.lists(st.one_of(_values, _some(name=st.just(JOB_NAME), status=_texts, errorCode=_texts)), max_size=3),
    jobsTotal=st.integers(0, 4),
    duration=_texts,
    durationSeconds=st.integers(),
    extendedInfo=_some(progressPercent=st.integers(), tasks=st.lists(_some(taskId=_texts, status=_texts), max_size=3)),
    errors=st.lists(_some(code=_texts, message=_texts), max_size=3),
    warnings=st.lists(_some(code=_texts, message=_texts), max_size=3),
    revision=_texts,
    targetEditTime=_texts,
    watchStartTime=_texts,
    troubleSince=_texts,
    completionTime=_texts,
    lastPollTime=_texts,
    lastHandledReconcileAt=_texts,
    notifications=st.lists(_some(name=st.just("hook"), id=_texts, phase=_texts, state=_texts, time=_texts), max_size=2),
    conditions=st.lists(st.one_of(_values, _condition), max_size=3),
)
_statuses = st.one_of(
    _values,
    st.just({"observedGeneration": -1}),
    _status_fields,
    st.builds(_merged, st.just(_written()), _status_fields),
)


def _body(
    metadata: dict[str, Any], annotations: dict[str, str], spec: Any, status: Any, *, own: bool
) -> dict[str, Any]:
    if own and isinstance(status, dict):
        status = {**status, "target": target_digest(spec if isinstance(spec, dict) else {})}
    body = watch_body()
    fixed = {"namespace": NAMESPACE, "name": NAME, "annotations": annotations}
    return {**body, "metadata": {**body["metadata"], **metadata, **fixed}, "spec": spec, "status": status}


bodies: Final = st.builds(
    _body,
    st.fixed_dictionaries(
        {},
        optional={
            "generation": st.integers(0, 3),
            "labels": st.dictionaries(_texts, _texts, max_size=2),
            "creationTimestamp": st.sampled_from(["2018-05-21T08:35:00Z", "0001-01-01T00:00:00Z", None]),
            "ownerReferences": st.lists(_some(kind=_texts, name=_texts, controller=st.booleans()), max_size=2),
        },
    ),
    st.one_of(st.just({}), st.fixed_dictionaries({"reconcile.fluxcd.io/requestedAt": _texts})),
    _specs,
    _statuses,
    own=st.booleans(),
)
"""Objects with the metadata that an API server guarantees, whatever the schema of the CRD."""
