"""Parsing of ``spec.notify``: valid entries, invalid entries and limits."""

from __future__ import annotations

from typing import Any

import pytest

from backupjobwatch.domain.api.notify_spec import (
    FLUX_GROUPS,
    ArgocdTrigger,
    FluxTrigger,
    Unreadable,
    Webhook,
    WebhookFormat,
    parse_notify,
)

URL = "https://hooks.example.com/backups?team=a"


def _one(**fields: Any) -> Any:
    (notify,) = parse_notify({"notify": [{"name": "n", **fields}]})
    return notify


@pytest.mark.parametrize(
    ("fields", "receiver"),
    [
        ({"webhook": {"url": URL}}, Webhook(url=URL, secret_name=None, format=WebhookFormat.STRUCTURED)),
        *(
            (
                {"webhook": {"secretName": "s", "format": form.value}},
                Webhook(url=None, secret_name="s", format=form),
            )
            for form in WebhookFormat
        ),
        ({"flux": {"kind": "Kustomization", "name": "apps"}}, FluxTrigger(kind="Kustomization", name="apps")),
        ({"argocd": {"application": "apps"}}, ArgocdTrigger(application="apps", refresh="hard")),
        (
            {"argocd": {"application": "apps", "refresh": "normal"}},
            ArgocdTrigger(application="apps", refresh="normal"),
        ),
    ],
    ids=repr,
)
def test_receivers(fields: dict[str, Any], receiver: object) -> None:
    """Every kind of receiver is parsed, with its defaults filled in."""
    assert _one(**fields).receiver == receiver
    assert _one(**fields).phases == {"Succeeded", "Failed"}


@pytest.mark.parametrize("kind", FLUX_GROUPS)
def test_kinds(kind: str) -> None:
    """Every supported Flux kind has an API group."""
    assert _one(flux={"kind": kind, "name": "x"}).receiver == FluxTrigger(kind=kind, name="x")
    assert FLUX_GROUPS[kind].endswith((".fluxcd.io", ".controlplane.io"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "must have exactly one of webhook, flux or argocd, got none"),
        (
            {"webhook": {"url": URL}, "flux": {"kind": "Bucket", "name": "b"}},
            "must have exactly one of webhook, flux or argocd, got webhook, flux",
        ),
        ({"webhook": {}}, "webhook must have exactly one of url or secretName, got"),
        ({"webhook": {"url": URL, "secretName": "s"}}, "webhook must have exactly one of url or secretName, got"),
        ({"webhook": "x"}, "webhook must have exactly one of url or secretName, got"),
        ({"webhook": {"url": "https://u:p@example.com/"}}, "webhook.url must be https://host/path"),
        ({"webhook": {"url": 5}}, "webhook.url must be https://host/path"),
        ({"webhook": {"secretName": "../x"}}, "webhook.secretName must be the name of a Secret"),
        ({"webhook": {"url": URL, "format": "Batch"}}, "webhook.format must be one of Structured, Binary, Slack"),
        ({"webhook": {"url": URL, "format": ["Slack"]}}, "webhook.format must be one of"),
        ({"webhook": {"url": URL, "format": "PagerDuty"}}, "webhook must have secretName with format PagerDuty"),
        (
            {"webhook": {"secretName": "s", "format": "PagerDuty"}, "phases": ["Running", "Failed"]},
            "phases must not contain Running",
        ),
        ({"flux": {"kind": "Deployment", "name": "x"}}, "flux must have a kind (Kustomization"),
        ({"flux": {"kind": ["Kustomization"], "name": "x"}}, "flux must have a kind (Kustomization"),
        ({"flux": {"kind": "Kustomization", "name": "ns/x"}}, "flux must have a kind (Kustomization"),
        ({"argocd": {"application": "x", "refresh": "soft"}}, "argocd must have the name of an Application"),
        ({"argocd": {"application": None}}, "argocd must have the name of an Application"),
        ({"webhook": {"url": URL}, "phases": ["Done"]}, "phases must be a list of Running, Succeeded, Failed, got"),
        ({"webhook": {"url": URL}, "phases": []}, "phases must be a list of"),
        ({"webhook": {"url": URL}, "phases": "Failed"}, "phases must be a list of"),
        ({"webhook": {"url": URL}, "phases": [["Failed"]]}, "phases must be a list of"),
    ],
    ids=repr,
)
def test_unreadable(fields: dict[str, Any], words: str) -> None:
    """An invalid entry explains what to write. It is due in every phase, so the operator always reports the error."""
    notify = _one(**fields)

    assert isinstance(notify.receiver, Unreadable)
    assert notify.receiver.message.startswith("spec.notify[n]")
    assert words in notify.receiver.message
    assert notify.phases == {"Running", "Succeeded", "Failed"}


@pytest.mark.parametrize("value", [None, "x", 5, {}, [None, "x", {}, {"name": ""}, {"name": 5}, {"name": "A"}]])
def test_nothing(value: object) -> None:
    """An entry without a valid name is ignored, because the status could not report on it."""
    assert parse_notify({"notify": value}) == ()


def test_bounded() -> None:
    """The first entry of each name counts, up to eight names. The status has room for eight."""
    entries = [{"name": f"n{number % 10}", "webhook": {"url": f"{URL}&{number}"}} for number in range(20)]
    found = parse_notify({"notify": entries})

    assert [notify.name for notify in found] == [f"n{number}" for number in range(8)]
    assert [notify.receiver.url for notify in found if isinstance(notify.receiver, Webhook)] == [
        f"{URL}&{number}" for number in range(8)
    ]
