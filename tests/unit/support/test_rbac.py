"""The comparison of requests with grants finds missing and unused grants."""

from __future__ import annotations

from dataclasses import replace

import pytest

from demo.controlplane.traffic import Request
from tests.support.rbac import Grant, missing, read_grants, unused

WATCHES = "/apis/azurebackup.dev/v1alpha1"
GRANT = Grant(role="r", group="azurebackup.dev", resource="backupjobwatches", verb="get", everywhere=False, named=False)


def request(method: str, path: str, query: str = "") -> Request:
    return Request(method=method, path=path, query=query, agent="backupjobwatch", status=200)


ONE = request("GET", f"{WATCHES}/namespaces/a/backupjobwatches/w")


def test_exact_grants() -> None:
    """A grant that a request needs is neither missing nor unused."""
    assert (missing([ONE], [GRANT]), unused([ONE], [GRANT])) == (set(), set())


@pytest.mark.parametrize(
    ("asked", "grant"),
    [
        (replace(ONE, method="DELETE"), GRANT),
        (replace(ONE, path=ONE.path + "/status"), GRANT),
        (replace(ONE, path=ONE.path.replace("azurebackup", "other")), GRANT),
        (request("GET", f"{WATCHES}/backupjobwatches"), replace(GRANT, verb="list")),
        (request("GET", f"{WATCHES}/namespaces/a/backupjobwatches"), replace(GRANT, verb="list", named=True)),
    ],
    ids=["another verb", "another subresource", "another group", "across namespaces", "without a name"],
)
def test_missing_grants_are_found(asked: Request, grant: Grant) -> None:
    """A request that differs from the grant in one attribute is not granted, and the grant is unused."""
    assert len(missing([asked], [grant])) == len(unused([asked], [grant])) == 1


def test_discovery_needs_no_grant() -> None:
    """A request without a resource needs no grant."""
    assert missing([request("GET", "/apis")], []) == set()


def test_grants_are_the_operators_own() -> None:
    """The grants of the cluster and of tenants are read with their limits. None of them has wildcards."""
    grants = read_grants()
    assert {grant.resource for grant in grants if grant.everywhere} == {
        "backupjobwatches",
        "backupjobwatches/status",
        "events",
    }
    tenants = {grant.resource for grant in grants if not grant.everywhere and grant.named}
    assert {"secrets", "serviceaccounts", "serviceaccounts/token", "kustomizations", "applications"} <= tenants
    assert not any("*" in (grant.group, grant.resource, grant.verb) for grant in grants)
