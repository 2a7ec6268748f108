"""The operator annotates objects of Flux and Argo CD and retries until errors are fixed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.api.notify_spec import FLUX_GROUPS
from tests.functional.notifying import attempts, create, settled
from tests.support.kubernetes import NAMESPACE

if TYPE_CHECKING:
    from demo.simulator import Vault
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator


@pytest.mark.parametrize("kind", FLUX_GROUPS)
async def test_flux(api: KubernetesApi, vault: Vault, operator: Operator, kind: str) -> None:
    """The operator annotates each kind of Flux with the notification's ID."""
    plural = f"{kind.lower()}s".replace("repositorys", "repositories")
    annotations = api.gitops.put(f"{plural}.{FLUX_GROUPS[kind]}", "apps", namespace=NAMESPACE)
    create(api, vault, {"name": "hook", "flux": {"kind": kind, "name": "apps"}})
    (entry,) = (await settled(api, "hook")).values()
    assert entry["state"] == "Delivered"
    assert annotations == {"reconcile.fluxcd.io/requestedAt": entry["id"]}


@pytest.mark.parametrize("kind", ["OCIRepository", "HelmChart"])
async def test_flux_kind_that_only_an_older_version_serves(
    api: KubernetesApi, vault: Vault, operator: Operator, kind: str
) -> None:
    """The operator patches a kind in the version that serves it, not in the group's preferred one."""
    plural = f"{kind.lower()}s.{FLUX_GROUPS[kind]}".replace("repositorys", "repositories")
    api.gitops.versions[plural] = "v1beta2"
    annotations = api.gitops.put(plural, "apps", namespace=NAMESPACE)
    create(api, vault, {"name": "hook", "flux": {"kind": kind, "name": "apps"}})
    (entry,) = (await settled(api, "hook")).values()
    assert entry["state"] == "Delivered"
    assert annotations == {"reconcile.fluxcd.io/requestedAt": entry["id"]}
    assert [request.status for request in api.traffic.matching("^PATCH /apis/source.toolkit.fluxcd.io/v1beta2/")] == [
        200
    ]


@pytest.mark.parametrize("wrong", ["not served", "gone meanwhile"])
async def test_flux_kind_that_no_version_serves(
    api: KubernetesApi, vault: Vault, operator: Operator, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    """If the CRD of a kind is missing, the error names the kind, and the delivery is retried."""
    caplog.set_level(logging.INFO)
    plural = "buckets.source.toolkit.fluxcd.io"
    if wrong == "gone meanwhile":
        api.traffic.fail("^GET /apis/source.toolkit.fluxcd.io/v1$", status=404)
    else:
        api.gitops.plurals.remove(plural)
    create(api, vault, {"name": "hook", "flux": {"kind": "Bucket", "name": "apps"}})
    async with asyncio.timeout(120):
        while f"does not serve {plural}. Install its CRD." not in caplog.text:  # noqa: ASYNC110 -- a log record signals nothing
            await asyncio.sleep(0.01)
    api.gitops.plurals.append(plural)
    api.gitops.put(plural, "apps", namespace=NAMESPACE)
    assert (await attempts(operator, api))["state"] == "Delivered"


@pytest.mark.parametrize("refresh", ["normal", "hard"])
async def test_argocd(api: KubernetesApi, vault: Vault, operator: Operator, refresh: str) -> None:
    """The operator sets Argo CD's refresh annotation on the Application."""
    annotations = api.gitops.put("applications.argoproj.io", "apps", namespace=NAMESPACE)
    create(api, vault, {"name": "hook", "argocd": {"application": "apps", "refresh": refresh}})
    await settled(api, "hook")
    assert annotations == {"argocd.argoproj.io/refresh": refresh}


@pytest.mark.parametrize("wrong", ["missing", "forbidden", "not installed", "elsewhere", "failing", "unknown"])
@pytest.mark.parametrize("tool", ["flux", "argocd"])
async def test_a_fixed_trigger(
    *,
    api: KubernetesApi,
    vault: Vault,
    operator: Operator,
    caplog: pytest.LogCaptureFixture,
    tool: str,
    wrong: str,
) -> None:
    """The operator reports each error with its fix and retries. It ignores objects of other namespaces."""
    caplog.set_level(logging.INFO)
    group = {"flux": FLUX_GROUPS["Kustomization"], "argocd": "argoproj.io"}[tool]
    plural = {"flux": f"kustomizations.{group}", "argocd": f"applications.{group}"}[tool]
    trigger = {"flux": {"kind": "Kustomization", "name": "apps"}, "argocd": {"application": "apps"}}[tool]
    if wrong not in ("missing", "elsewhere"):
        api.gitops.put(plural, "apps", namespace=NAMESPACE)
    words = "apps does not exist"
    if wrong == "elsewhere":
        api.gitops.put(plural, "apps", namespace="team-b")
    elif wrong == "forbidden":
        api.gitops.forbid(plural, "apps", namespace=NAMESPACE)
        words = f"manifests/components/{tool}-triggers"
    elif wrong == "not installed":
        api.gitops.installed.discard(group)
        words = f"does not serve {plural}. Install its CRD."
    elif wrong == "failing":
        api.traffic.fail(f"^PATCH .*/{group}/", status=500)
        words = "failed to patch"
    elif wrong == "unknown":
        api.traffic.fail(f"^GET /apis/{group}$", status=500)
        words = f"API discovery of {group} failed."
    create(api, vault, {"name": "hook", tool: trigger})
    async with asyncio.timeout(120):
        while words not in caplog.text:  # noqa: ASYNC110 -- a log record signals nothing
            await asyncio.sleep(0.01)
    assert api.gitops.patches == []
    api.gitops.installed.add(group)
    api.gitops.allow(plural, "apps", namespace=NAMESPACE)
    api.gitops.put(plural, "apps", namespace=NAMESPACE)
    assert (await attempts(operator, api))["state"] == "Delivered"
    assert api.gitops.patches == [(NAMESPACE, plural, "apps")]
