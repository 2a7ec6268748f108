"""``spec.notify``: the receivers of notifications.

It is not part of the target, and nothing in it can fail a watch: only the invalid entry fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from backupjobwatch.domain.jobs.payloads import mapping, mappings
from backupjobwatch.domain.jobs.text import quoted
from backupjobwatch.errors import InvalidSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

FLUX_GROUPS: Final[Mapping[str, str]] = {
    "Kustomization": "kustomize.toolkit.fluxcd.io",
    "HelmRelease": "helm.toolkit.fluxcd.io",
    "GitRepository": "source.toolkit.fluxcd.io",
    "OCIRepository": "source.toolkit.fluxcd.io",
    "HelmRepository": "source.toolkit.fluxcd.io",
    "HelmChart": "source.toolkit.fluxcd.io",
    "Bucket": "source.toolkit.fluxcd.io",
    "ImageRepository": "image.toolkit.fluxcd.io",
    "ImageUpdateAutomation": "image.toolkit.fluxcd.io",
    "ResourceSet": "fluxcd.controlplane.io",
}
"""The kinds that support ``reconcile.fluxcd.io/requestedAt``, with their API groups."""
MAX_ENTRIES: Final = 8
TELLING: Final = ("Running", "Succeeded", "Failed")
"""The phases that have notifications."""

_DEFAULT_PHASES = ("Succeeded", "Failed")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_OBJECT = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_URL = re.compile(r"https?://([-A-Za-z0-9._]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?][\x21\x22\x24-\x7E]*)?")
_LONGEST_URL = 2048


class WebhookFormat(StrEnum):
    """Format of the body of a webhook."""

    STRUCTURED = "Structured"
    """A CloudEvent with its attributes in the body."""
    BINARY = "Binary"
    """A CloudEvent with its attributes in headers."""
    SLACK = "Slack"
    TEAMS = "Teams"
    PAGERDUTY = "PagerDuty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook, whose address is in the spec or in a Secret."""

    channel: ClassVar = "webhook"
    url: str | None
    secret_name: str | None
    format: WebhookFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class FluxTrigger:
    """A Flux object to reconcile."""

    channel: ClassVar = "flux"
    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgocdTrigger:
    """An Argo CD Application to refresh."""

    channel: ClassVar = "argocd"
    application: str
    refresh: Literal["normal", "hard"]


Receiver = Webhook | FluxTrigger | ArgocdTrigger


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An invalid entry that the CRD did not reject."""

    channel: ClassVar = "unreadable"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """One entry."""

    name: str
    phases: frozenset[str]
    receiver: Receiver | Unreadable


def parse_notify(spec: Mapping[str, Any]) -> tuple[Notify, ...]:
    """Parse the entries with a valid name. If a name repeats, only its first entry counts."""
    found: dict[str, Notify] = {}
    for entry in mappings(spec.get("notify")):
        name = entry.get("name")
        if isinstance(name, str) and _NAME.fullmatch(name) and len(found) < MAX_ENTRIES:
            found.setdefault(name, _parse_entry(name, entry))
    return tuple(found.values())


def is_url(text: object) -> bool:
    """Return whether *text* is the URL of a receiver: http or https, without credentials and fragment."""
    return isinstance(text, str) and len(text) <= _LONGEST_URL and _URL.fullmatch(text) is not None


def is_object_name(text: object) -> bool:
    """Return whether *text* is the name of a Kubernetes object."""
    return isinstance(text, str) and _OBJECT.fullmatch(text) is not None


def _parse_entry(name: str, entry: Mapping[str, Any]) -> Notify:
    try:
        receiver = _parse_receiver(entry)
        return Notify(name=name, phases=_parse_phases(entry.get("phases"), receiver), receiver=receiver)
    except InvalidSpec as error:
        return Notify(name=name, phases=frozenset(TELLING), receiver=Unreadable(f"spec.notify[{name}]{error}."))


def _parse_phases(phases: object, receiver: Receiver) -> frozenset[str]:
    if phases is None:
        return frozenset(_DEFAULT_PHASES)
    if not isinstance(phases, list) or not phases or not all(phase in TELLING for phase in phases):
        raise InvalidSpec(f".phases must be a list of {', '.join(TELLING)}, got {quoted(phases)}")
    if "Running" in phases and isinstance(receiver, Webhook) and receiver.format is WebhookFormat.PAGERDUTY:
        raise InvalidSpec(".phases must not contain Running, because PagerDuty has no event for a running job")
    return frozenset(phases)


def _parse_receiver(entry: Mapping[str, Any]) -> Receiver:
    kinds = [kind for kind in ("webhook", "flux", "argocd") if entry.get(kind) is not None]
    if len(kinds) != 1:
        raise InvalidSpec(f" must have exactly one of webhook, flux or argocd, got {', '.join(kinds) or 'none'}")
    fields = mapping(entry[kinds[0]])
    if kinds[0] == "webhook":
        return _parse_webhook(fields)
    if kinds[0] == "flux":
        kind, name = fields.get("kind"), fields.get("name")
        if not isinstance(kind, str) or kind not in FLUX_GROUPS or not is_object_name(name):
            raise InvalidSpec(
                f".flux must have a kind ({', '.join(FLUX_GROUPS)}) and the name of an object in this namespace, "
                f"got {quoted(kind)} and {quoted(name)}"
            )
        return FluxTrigger(kind=kind, name=str(name))
    application, refresh = fields.get("application"), fields.get("refresh") or "hard"
    if not is_object_name(application) or refresh not in ("normal", "hard"):
        raise InvalidSpec(
            ".argocd must have the name of an Application in this namespace, and refresh normal or hard, "
            f"got {quoted(application)} and {quoted(refresh)}"
        )
    return ArgocdTrigger(application=str(application), refresh="normal" if refresh == "normal" else "hard")


def _parse_webhook(fields: Mapping[str, Any]) -> Webhook:
    url, secret_name = fields.get("url"), fields.get("secretName")
    form = fields.get("format") or WebhookFormat.STRUCTURED
    if (url is None) == (secret_name is None):
        raise InvalidSpec(
            f".webhook must have exactly one of url or secretName, got {'none' if url is None else 'both'}"
        )
    if url is not None and not is_url(url):
        # The value may be secret, so the message does not repeat it.
        raise InvalidSpec(".webhook.url must be https://host/path in ASCII, without a user, password or fragment")
    if secret_name is not None and not is_object_name(secret_name):
        raise InvalidSpec(
            f".webhook.secretName must be the name of a Secret in this namespace, got {quoted(secret_name)}"
        )
    if form not in [*WebhookFormat]:
        raise InvalidSpec(f".webhook.format must be one of {', '.join(WebhookFormat)}, got {quoted(form)}")
    if form == WebhookFormat.PAGERDUTY and secret_name is None:
        raise InvalidSpec(
            ".webhook must have secretName with format PagerDuty: a Secret with the keys address and routingKey"
        )
    return Webhook(url=url, secret_name=secret_name, format=WebhookFormat(form))
