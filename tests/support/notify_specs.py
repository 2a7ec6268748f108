"""Valid and invalid specs with ``notify`` or a TTL, and the error messages of the invalid ones."""

from __future__ import annotations

from typing import Any, Final

from tests.support.specs import ID, Bad

_HOOK: Final = {"url": "https://hooks.example.com/x"}


def _notify(**entry: Any) -> dict[str, Any]:
    return {"jobResourceId": ID, "notify": [{"name": "n", **entry}]}


BAD: Final = tuple(
    Bad(f"a notification: {name}", spec, path, words, read=False)
    for name, spec, path, words in (
        ("no receiver", _notify(), "spec.notify[0]", "must have exactly one of webhook, flux or argocd"),
        (
            "two receivers",
            _notify(webhook=_HOOK, argocd={"application": "a", "refresh": "hard"}),
            "spec.notify[0]",
            "must have exactly one of webhook, flux or argocd",
        ),
        (
            "a name",
            {**_notify(webhook=_HOOK), "notify": [{"name": "A b", "webhook": _HOOK}]},
            "spec.notify[0].name",
            "lowercase",
        ),
        (
            "one name twice",
            {"jobResourceId": ID, "notify": [{"name": "n", "webhook": _HOOK}] * 2},
            "spec.notify[1]",
            "Duplicate value",
        ),
        (
            "nine",
            {"jobResourceId": ID, "notify": [{"name": f"n{number}", "webhook": _HOOK} for number in range(9)]},
            "spec.notify",
            "at most 8",
        ),
        ("a phase", _notify(webhook=_HOOK, phases=["Done"]), "spec.notify[0].phases[0]", '"Running"'),
        ("no phase", _notify(webhook=_HOOK, phases=[]), "spec.notify[0].phases", "at least 1"),
        ("on, as YAML reads it", _notify(webhook=_HOOK, true=["Failed"]), "spec.notify[0].true", "unknown field"),
        (
            "no address",
            _notify(webhook={}),
            "spec.notify[0].webhook",
            "must have exactly one of url or secretName, got none",
        ),
        (
            "two addresses",
            _notify(webhook={**_HOOK, "secretName": "s"}),
            "spec.notify[0].webhook",
            "exactly one of url",
        ),
        *(
            (f"the URL {url}", _notify(webhook={"url": url}), "spec.notify[0].webhook.url", "must be https://host/path")
            for url in (
                "hooks.example.com/x",
                "ftp://h/x",
                "https://u:p@h/x",
                "https://u@h/x",
                "https://h/#f",
                "https://h/a b",
                "https://",
                "https://h/größe",
                "https://h\\@x/",
                "https://[::1/",
            )
        ),
        (
            "a Secret elsewhere",
            _notify(webhook={"secretName": "b/a"}),
            "spec.notify[0].webhook.secretName",
            "in this namespace",
        ),
        ("a format", _notify(webhook={**_HOOK, "format": "Batch"}), "spec.notify[0].webhook.format", '"Structured"'),
        (
            "PagerDuty without a Secret",
            _notify(webhook={**_HOOK, "format": "PagerDuty"}),
            "spec.notify[0].webhook",
            "must have secretName instead of url with format PagerDuty",
        ),
        (
            "PagerDuty for a running job",
            _notify(webhook={"secretName": "s", "format": "PagerDuty"}, phases=["Running", "Failed"]),
            "spec.notify[0].phases",
            "must not contain Running",
        ),
        ("a kind", _notify(flux={"kind": "Deployment", "name": "x"}), "spec.notify[0].flux.kind", '"Kustomization"'),
        ("no object", _notify(flux={"kind": "Bucket"}), "spec.notify[0].flux.name", "Required"),
        (
            "an object elsewhere",
            _notify(flux={"kind": "Bucket", "name": "a/b"}),
            "spec.notify[0].flux.name",
            "in this namespace",
        ),
        (
            "an application elsewhere",
            _notify(argocd={"application": "a/b"}),
            "spec.notify[0].argocd.application",
            "in this namespace",
        ),
        (
            "a refresh",
            _notify(argocd={"application": "a", "refresh": "soft"}),
            "spec.notify[0].argocd.refresh",
            '"hard"',
        ),
        ("a time to live", {"jobResourceId": ID, "ttlSecondsAfterFinished": -1}, "spec.ttlSecondsAfterFinished", "0"),
    )
)

GOOD: Final[dict[str, dict[str, Any]]] = {
    "an end, and all kinds of receivers": {
        "jobResourceId": ID,
        "ttlSecondsAfterFinished": 0,
        "notify": [
            {"name": "n", "phases": ["Running"], "webhook": {**_HOOK, "format": "Binary"}},
            {"name": "s", "phases": ["Failed"], "webhook": {"secretName": "s", "format": "Structured"}},
            {"name": "c", "webhook": {"secretName": "s", "format": "Slack"}},
            {"name": "t", "phases": ["Running"], "webhook": {"secretName": "s", "format": "Teams"}},
            {"name": "p", "webhook": {"secretName": "s", "format": "PagerDuty"}},
            {"name": "q", "phases": ["Failed"], "webhook": {"secretName": "s", "format": "PagerDuty"}},
            {"name": "f", "phases": ["Failed"], "flux": {"kind": "ResourceSet", "name": "x"}},
            {"name": "a", "phases": ["Failed"], "argocd": {"application": "x", "refresh": "normal"}},
        ],
    },
    **{
        f"a notification to {url[:40]}": _notify(webhook={"url": url, "format": "Structured"}, phases=["Failed"])
        for url in (
            "https://h",
            "http://h:8080/x",
            "https://[fd12::1]:8443/x?a=b&c=%20",
            "https://h/" + "x" * 2038,
            "https://h/!'()*\"",
        )
    },
}
