"""The shipped admission policy limits the vaults for which a namespace may use the operator's identity."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.contract.markdown import blocks
from tests.contract.project import read
from tests.support.documents import load_documents
from tests.support.kubernetes_client import create_namespace, drop_namespace, path_of
from tests.support.specs import ID, JOB, SUBSCRIPTION, VAULT
from tests.support.watches import manifest, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from demo.controlplane import Cluster, Kubectl
    from tests.support.kubernetes_client import Answer, KubernetesClient

    Namespace = Callable[..., str]

COMPONENT = Path(__file__).parents[2] / "manifests" / "components" / "validating-admission-policy"
ANNOTATION = "azurebackup.dev/vault-scopes"
BACKUP_ANNOTATION = "azurebackup.dev/on-demand-scopes"
LABEL = "azurebackup.dev/policy-test"
OTHER = "11111111-2222-4333-8444-555555555555"
SUBSCRIPTION_SCOPE = f"/subscriptions/{SUBSCRIPTION}"
GROUP_SCOPE = f"{SUBSCRIPTION_SCOPE}/resourceGroups/rg"
VAULT_SCOPE = f"{GROUP_SCOPE}/providers/Microsoft.RecoveryServices/vaults/v1"
BACKUP_VAULT_SCOPE = f"{GROUP_SCOPE}/providers/Microsoft.DataProtection/backupVaults/v1"

BY_ID = {"jobResourceId": ID}
BY_NAME = {"jobName": JOB, "vault": VAULT}
LATEST = {"latest": {"item": "vm1"}, "vault": VAULT}
OPERATION = {"operationId": JOB, "vault": VAULT}
IN_BACKUP_VAULT = {"jobName": JOB, "vault": {**VAULT, "kind": "BackupVault"}}
ON_DEMAND = {"onDemand": {"item": "vm1"}, "vault": VAULT}
OWN_IDENTITY = {**BY_ID, "identity": {"serviceAccountName": "azure-backup-reader"}}


@pytest.fixture(scope="module")
def annotated(kubectl: Kubectl, client: KubernetesClient, cluster: Cluster) -> Iterator[Namespace]:
    """Create namespaces with the given scopes annotation. The policy is bound to these namespaces only."""
    policy, binding = (yaml.safe_load((COMPONENT / name).read_text()) for name in ("policy.yaml", "binding.yaml"))
    selector = {"namespaceSelector": {"matchLabels": {LABEL: "true"}}}
    kubectl("apply", "-f", "-", stdin=json.dumps(policy))
    kubectl("apply", "-f", "-", stdin=json.dumps({**binding, "spec": {**binding["spec"], "matchResources": selector}}))
    made: list[str] = []

    def annotated(scopes: str | None, backup_scopes: str | None = None) -> str:
        wanted = {ANNOTATION: scopes, BACKUP_ANNOTATION: backup_scopes}
        annotations = {key: value for key, value in wanted.items() if value is not None}
        made.append(create_namespace(client, labels={LABEL: "true"}, annotations=annotations))
        return made[-1]

    bare = annotated(None)
    until(lambda: create(client, bare, BY_ID).status == HTTPStatus.FORBIDDEN, "the policy is in force")
    yield annotated
    kubectl("delete", "-f", str(COMPONENT / "binding.yaml"), "-f", str(COMPONENT / "policy.yaml"))
    for name in made:
        drop_namespace(client, cluster, name)


def create(client: KubernetesClient, namespace: str, spec: dict[str, Any]) -> Answer:
    """Create a watch in a dry run."""
    return client("POST", path_of(namespace), manifest("w", spec), dryRun="All")


@pytest.mark.parametrize(
    ("scopes", "specs"),
    [
        (SUBSCRIPTION_SCOPE, [BY_ID, BY_NAME, LATEST, OPERATION, IN_BACKUP_VAULT]),
        (GROUP_SCOPE, [BY_ID, BY_NAME, LATEST, OPERATION, IN_BACKUP_VAULT]),
        (VAULT_SCOPE, [BY_ID, BY_NAME, LATEST, OPERATION]),
        (BACKUP_VAULT_SCOPE, [IN_BACKUP_VAULT]),
        (f"{GROUP_SCOPE}/".upper().replace("/SUBSCRIPTIONS", "/Subscriptions"), [BY_ID, BY_NAME]),
        (f"/subscriptions/{OTHER} ,\n  {VAULT_SCOPE}", [BY_ID, BY_NAME]),
        ("", [OWN_IDENTITY]),
    ],
    ids=["subscription", "group", "vault", "backup-vault", "capitals-and-slash", "several", "own-identity"],
)
def test_allows(annotated: Namespace, client: KubernetesClient, scopes: str, specs: list[dict[str, Any]]) -> None:
    """The policy allows targets within a scope. It ignores watches that have an identity of their own."""
    namespace = annotated(scopes)
    for spec in specs:
        answer = create(client, namespace, spec)
        assert answer.status == HTTPStatus.CREATED, answer.body


@pytest.mark.parametrize(
    ("scopes", "spec"),
    [
        (None, BY_ID),
        (None, BY_NAME),
        ("", BY_ID),
        (",", BY_ID),
        ("/", BY_NAME),
        ("/subscriptions/", BY_ID),
        ("*", BY_ID),
        (f"/subscriptions/{OTHER}", BY_ID),
        (f"{SUBSCRIPTION_SCOPE[:-1]}", BY_ID),
        (f"{SUBSCRIPTION_SCOPE}/resourceGroups/r", LATEST),
        (VAULT_SCOPE, {"jobName": JOB, "vault": {**VAULT, "name": "v10"}}),
        (VAULT_SCOPE, IN_BACKUP_VAULT),
        (BACKUP_VAULT_SCOPE, OPERATION),
        (VAULT_SCOPE, {"jobResourceId": ID.replace("/v1/", "/v10/")}),
    ],
)
def test_refuses(annotated: Namespace, client: KubernetesClient, scopes: str | None, spec: dict[str, Any]) -> None:
    """The policy denies every target outside the scopes. The message says what to do."""
    answer = create(client, annotated(scopes), spec)
    assert answer.status == HTTPStatus.FORBIDDEN
    for word in (ANNOTATION, "spec.identity", "Ask an administrator"):
        assert word in answer.body["message"]


@pytest.mark.parametrize(
    ("scopes", "backup_scopes", "spec", "is_allowed"),
    [
        (GROUP_SCOPE, VAULT_SCOPE, ON_DEMAND, True),
        (GROUP_SCOPE, f"/subscriptions/{OTHER}, {GROUP_SCOPE.upper()}", ON_DEMAND, True),
        (GROUP_SCOPE, None, ON_DEMAND, False),
        (GROUP_SCOPE, "", ON_DEMAND, False),
        (GROUP_SCOPE, BACKUP_VAULT_SCOPE, ON_DEMAND, False),
        (None, VAULT_SCOPE, ON_DEMAND, False),
        (None, None, {**ON_DEMAND, "identity": OWN_IDENTITY["identity"]}, True),
        (GROUP_SCOPE, None, LATEST, True),
    ],
)
def test_backups(
    annotated: Namespace,
    client: KubernetesClient,
    *,
    scopes: str | None,
    backup_scopes: str | None,
    spec: dict[str, Any],
    is_allowed: bool,
) -> None:
    """A watch starts backups with the operator's identity only in the scopes of both annotations."""
    answer = create(client, annotated(scopes, backup_scopes), spec)

    assert answer.status == (HTTPStatus.CREATED if is_allowed else HTTPStatus.FORBIDDEN), answer.body
    if not is_allowed and scopes is not None:
        assert BACKUP_ANNOTATION in answer.body["message"]


def test_retention(client: KubernetesClient, kubectl: Kubectl, namespace: str) -> None:
    """The policy of docs/on-demand.md limits the retention of on-demand backups, and nothing else."""
    (block,) = (block for block in blocks(read("docs/on-demand.md"), "yaml") if "Policy" in block)
    policy, binding = load_documents(block)
    selector = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    text = yaml.safe_dump_all([policy, {**binding, "spec": {**binding["spec"], "matchResources": selector}}])
    kubectl("apply", "-f", "-", stdin=text)

    def answer(**on_demand: str) -> Answer:
        return create(client, namespace, {"onDemand": {"item": "vm1", **on_demand}, "vault": VAULT})

    until(lambda: answer().status == HTTPStatus.UNPROCESSABLE_ENTITY, "the policy is in force")
    assert "at most 35d" in answer(retainFor="36d").body["message"]
    assert answer(retainUntil="2099-01-01T00:00:00Z").status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert answer(retainFor="35d").status == HTTPStatus.CREATED
    instance = {"onDemand": {"item": "disk1"}, "vault": {**VAULT, "kind": "BackupVault"}}
    for spec in (LATEST, BY_ID, instance):
        assert create(client, namespace, spec).status == HTTPStatus.CREATED
    kubectl("delete", "-f", "-", stdin=text)


def test_edits(annotated: Namespace, client: KubernetesClient) -> None:
    """An admitted watch stays editable after its scope is removed. Only its target cannot change."""
    namespace = annotated(VAULT_SCOPE)
    merge = "application/merge-patch+json"
    created = client("POST", path_of(namespace), manifest("w", BY_ID))
    assert created.status == HTTPStatus.CREATED, created.body
    unscoped = {"metadata": {"annotations": {ANNOTATION: None}}}
    client("PATCH", f"/api/v1/namespaces/{namespace}", unscoped, content_type=merge)
    until(lambda: create(client, namespace, BY_ID).status == HTTPStatus.FORBIDDEN, "the annotation is gone")
    labelled = client("PATCH", path_of(namespace, "w"), {"metadata": {"labels": {"a": "b"}}}, content_type=merge)
    assert labelled.status == HTTPStatus.OK, labelled.body
    other = {"spec": {"jobResourceId": ID.replace("/v1/", "/v2/")}}
    assert client("PATCH", path_of(namespace, "w"), other, content_type=merge).status == HTTPStatus.FORBIDDEN
    status = client("PATCH", path_of(namespace, "w") + "/status", {"status": {"message": "m"}}, content_type=merge)
    assert status.status == HTTPStatus.OK, status.body
    assert client("DELETE", path_of(namespace, "w")).status == HTTPStatus.OK
