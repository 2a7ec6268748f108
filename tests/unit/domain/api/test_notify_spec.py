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
        ({}, "write exactly one of webhook, flux or argocd"),
        ({"webhook": {"url": URL}, "flux": {"kind": "Bucket", "name": "b"}}, "write exactly one of webhook"),
        ({"webhook": {}}, "write exactly one of url or secretName"),
        ({"webhook": {"url": URL, "secretName": "s"}}, "write exactly one of url or secretName"),
        ({"webhook": "x"}, "write exactly one of url or secretName"),
        ({"webhook": {"url": "https://u:p@example.com/"}}, "webhook.url: write https://host/path"),
        ({"webhook": {"url": 5}}, "webhook.url: write https://host/path"),
        ({"webhook": {"secretName": "../x"}}, "webhook.secretName: write the name of a Secret"),
        ({"webhook": {"url": URL, "format": "Batch"}}, "webhook.format: write one of Structured, Binary, Slack"),
        ({"webhook": {"url": URL, "format": ["Slack"]}}, "webhook.format: write one of"),
        ({"webhook": {"url": URL, "format": "PagerDuty"}}, "webhook: PagerDuty needs secretName"),
        (
            {"webhook": {"secretName": "s", "format": "PagerDuty"}, "phases": ["Running", "Failed"]},
            "phases: remove Running",
        ),
        ({"flux": {"kind": "Deployment", "name": "x"}}, "flux: write one of Kustomization"),
        ({"flux": {"kind": ["Kustomization"], "name": "x"}}, "flux: write one of Kustomization"),
        ({"flux": {"kind": "Kustomization", "name": "ns/x"}}, "flux: write one of Kustomization"),
        ({"argocd": {"application": "x", "refresh": "soft"}}, "argocd: write the application's name"),
        ({"argocd": {"application": None}}, "argocd: write the application's name"),
        ({"webhook": {"url": URL}, "phases": ["Done"]}, "phases: write some of Running, Succeeded, Failed"),
        ({"webhook": {"url": URL}, "phases": []}, "phases: write some of"),
        ({"webhook": {"url": URL}, "phases": "Failed"}, "phases: write some of"),
        ({"webhook": {"url": URL}, "phases": [["Failed"]]}, "phases: write some of"),
    ],
    ids=repr,
)
def test_unreadable(fields: dict[str, Any], words: str) -> None:
    """An invalid entry explains what to write. It is due in every phase, so the operator always reports the error."""
    notify = _one(**fields)

    assert isinstance(notify.receiver, Unreadable)
    assert notify.receiver.message.startswith("spec.notify[n].")
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
