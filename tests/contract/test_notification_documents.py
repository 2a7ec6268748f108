"""docs/notifications.md and the components match the code."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from jsonschema import Draft202012Validator

from backupjobwatch.domain.api.notify_spec import FLUX_GROUPS, TELLING, Unreadable, WebhookFormat, parse_notify
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.status.cloud_event import cloud_event
from backupjobwatch.domain.status.notifications import due
from backupjobwatch.notify.dispatcher import AT_ONCE, AT_ONCE_EACH
from backupjobwatch.notify.webhook import LONGEST_WAIT, TIMEOUT
from tests.contract.markdown import blocks
from tests.contract.project import ROOT, Manifest, kustomize, load, pick, read
from tests.property.oracles import object_schema
from tests.support.builders import JOB_ID, NOW, job, settle, watch_body

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT: Final = read("docs/notifications.md")
COMPONENTS: Final = ("notify-secret", "flux-triggers", "argocd-triggers")


def example(key: str) -> Any:
    """Return the example in the document that starts with that key."""
    (found,) = (value[key] for block in blocks(DOCUMENT, "yaml") if key in (value := yaml.safe_load(block)))
    return found


def test_example_is_valid() -> None:
    """The CRD's schema and the code accept the entries of the document."""
    schema = object_schema()["properties"]["spec"]["properties"]["notify"]
    entries = example("notify")
    Draft202012Validator(schema).validate(entries)
    found = parse_notify({"notify": entries})
    assert len(found) == len(entries)
    assert not any(isinstance(notify.receiver, Unreadable) for notify in found)


def test_status_is_valid() -> None:
    """The CRD accepts the documented status."""
    schema = object_schema()["properties"]["status"]["properties"]["notifications"]
    Draft202012Validator(schema).validate(example("status")["notifications"])


def test_event_is_what_is_sent() -> None:
    """The documented event matches the event of an example watch, field by field."""
    notify = [{"name": "chat", "webhook": {"url": "https://hooks.example.com/backups"}}]
    watch = Watch.from_body(settle(watch_body({"jobResourceId": JOB_ID, "notify": notify}), job(), NOW))
    (notice,) = due(watch)
    (shown,) = blocks(DOCUMENT, "json")
    assert json.loads(shown) == json.loads(cloud_event(watch, notice).structured()[1])


def test_lists_all_kinds_and_limits() -> None:
    """The document lists each kind, each event type and the limits."""
    prose = " ".join(DOCUMENT.split())
    for word in (
        *FLUX_GROUPS,
        *(f"`{form}`" for form in WebhookFormat),
        *(f"dev.azurebackup.job.{phase.lower()}" for phase in TELLING),
        *COMPONENTS,
    ):
        assert word in prose
    assert timedelta(minutes=15) == LONGEST_WAIT
    assert (TIMEOUT, AT_ONCE, AT_ONCE_EACH) == (10, 32, 4)


@pytest.fixture(params=COMPONENTS)
def built(request: pytest.FixtureRequest, tmp_path: Path) -> list[Manifest]:
    """The objects that a tenant's kustomization with a component builds."""
    component = ROOT / "manifests" / "components" / request.param
    (tmp_path / "c").symlink_to(component)
    text = f"kind: Kustomization\nnamespace: team-a\ncomponents: [{component.relative_to('/')}]\n"
    (tmp_path / "kustomization.yaml").write_text(text.replace(str(component.relative_to("/")), "c"), encoding="utf-8")
    return kustomize(tmp_path)


def test_components_grant_little(built: list[Manifest]) -> None:
    """Each component grants the operator's account one verb on named objects in the tenant's namespace."""
    role, binding = pick(built, "Role"), pick(built, "RoleBinding")
    account = pick(kustomize(ROOT / "manifests" / "base"), "ServiceAccount")["metadata"]
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "team-a"
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    ]
    for rule in role["rules"]:
        assert len(rule["resourceNames"]) == 1
        assert rule["verbs"] == (["get"] if rule["resources"] == ["secrets"] else ["patch"])


def test_components_are_named_in_the_document() -> None:
    """The components allow the objects of the documented example."""
    named = {name for part in COMPONENTS for (role,) in [load(f"manifests/components/{part}/role.yaml")]
             for rule in role["rules"] for name in rule["resourceNames"]}  # fmt: skip
    assert named == {"backup-hook", "upgrade", "apps"}
    assert all(name in json.dumps(example("notify")) for name in named)
