"""Deliver notifications to receivers in the namespace of the watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backupjobwatch.constants import NOTIFY_LABEL
from backupjobwatch.domain.api.notify_spec import (
    ArgocdTrigger,
    FluxTrigger,
    Unreadable,
    Webhook,
    WebhookFormat,
    is_url,
)
from backupjobwatch.domain.jobs.payloads import mapping
from backupjobwatch.domain.status.webhook_request import webhook_request
from backupjobwatch.errors import DeliveryFailed, DeliveryImpossible, Forbidden, KubeError, ObjectNotFound
from backupjobwatch.kube.client import secret_data
from backupjobwatch.notify.webhook import Endpoint, Webhooks

if TYPE_CHECKING:
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.status.notifications import Notification
    from backupjobwatch.kube.client import KubeClient
    from backupjobwatch.notify.gitops import Triggers


class Receivers:
    """Delivery to all kinds of receivers."""

    def __init__(self, kube: KubeClient, webhooks: Webhooks, triggers: Triggers) -> None:
        self._kube = kube
        self._webhooks = webhooks
        self._triggers = triggers

    async def deliver(self, watch: Watch, notification: Notification) -> None:
        """Make one attempt. Raise DeliveryError unless the receiver confirmed it."""
        receiver = notification.notify.receiver
        match receiver:
            case Webhook():
                endpoint = await self._find(watch.namespace, receiver)
                headers, body = webhook_request(watch, notification, receiver.format, routing_key=endpoint.routing_key)
                await self._webhooks.post(endpoint, headers, body)
            case FluxTrigger():
                await self._triggers.reconcile(watch.namespace, receiver, notification.id)
            case ArgocdTrigger():
                await self._triggers.refresh(watch.namespace, receiver)
            case Unreadable():
                raise DeliveryImpossible(receiver.message)

    async def _find(self, namespace: str, webhook: Webhook) -> Endpoint:
        """Return the address and the keys. A key is sent only to the address in the same Secret."""
        if webhook.secret_name is None:
            return Endpoint(address=webhook.url or "")
        whose = f"Secret {webhook.secret_name}"
        try:
            secret = await self._kube.read_secret(namespace, webhook.secret_name)
        except ObjectNotFound:
            raise DeliveryFailed(f"{whose} does not exist in this namespace.") from None
        except Forbidden:
            raise DeliveryFailed(
                f"The operator is not allowed to read {whose}. Add the Role of manifests/components/notify-secret."
            ) from None
        except KubeError:
            raise DeliveryFailed(f"The API server failed to return {whose}.") from None
        if mapping(mapping(secret.get("metadata")).get("labels")).get(NOTIFY_LABEL) != "true":
            raise DeliveryFailed(f'{whose} has no label {NOTIFY_LABEL}: "true". Add it to allow its use.')
        keys = secret_data(secret)
        address = keys.get("address", b"").decode(errors="replace").strip()
        if not is_url(address):
            raise DeliveryFailed(f"{whose}: address must be https://host/path, in ASCII, without a user or fragment.")
        bearer, routing_key = (
            keys.get(name, b"").decode(errors="replace").strip() for name in ("bearer", "routingKey")
        )
        for name, key in (("bearer", bearer), ("routingKey", routing_key)):
            if not key.isascii() or not key.isprintable():
                raise DeliveryFailed(f"{whose}: {name} must be printable ASCII.")
        if webhook.format is WebhookFormat.PAGERDUTY and not routing_key:
            raise DeliveryFailed(f"{whose} has no routingKey. Add the integration key of the PagerDuty service.")
        return Endpoint(address=address, token=keys.get("token", b""), bearer=bearer, routing_key=routing_key)
