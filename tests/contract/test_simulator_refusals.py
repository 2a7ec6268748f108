"""The simulator refuses requests like Azure's gateway and backup service."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from demo.simulator import AzureSimulator, Fault, Vault
from tests.contract.simulator_client import Get, job_path, refusal
from tests.support import azure


def test_requires_an_api_version(get: Get) -> None:
    """The simulator refuses a missing or unknown api-version before it checks the token."""
    assert refusal(get(version=None, headers={})) == (400, "MissingApiVersionParameter", True)
    assert refusal(get(version="2010-01-01")) == (400, "InvalidApiVersionParameter", True)
    assert "2025-02-01" in get(version="2010-01-01").text
    assert get(version="2017-07-01").status_code == 200


def test_requires_a_token(sim: AzureSimulator, get: Get) -> None:
    """Each kind of invalid token has its own 401."""
    assert refusal(get(headers={})) == (401, "AuthenticationFailed", True)
    assert refusal(get(headers={"Authorization": "Bearer other"})) == (401, "InvalidAuthenticationToken", True)
    assert refusal(get(headers={"Authorization": "Basic demo-token"})) == (401, "InvalidAuthenticationToken", True)
    sim.tokens.expire("demo-token")
    assert refusal(get()) == (401, "ExpiredAuthenticationToken", True)
    sim.tokens.revoke("demo-token", claims={"access_token": {}})
    assert 'error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOiB7fX0"' in get().headers["WWW-Authenticate"]
    sim.tokens.revoke("demo-token")
    assert refusal(get()) == (401, "InvalidAuthenticationToken", True)
    sim.tokens.add("demo-token", "demo-principal")
    assert get().status_code == 200
    sim.tokens.remove("demo-token")
    assert refusal(get()) == (401, "InvalidAuthenticationToken", True)


@pytest.mark.parametrize(
    ("name", "provoke"),
    [
        ("error-401-missing-header", lambda _sim, get: get(headers={})),
        ("error-401-expired-token", lambda sim, get: sim.tokens.expire("demo-token") or get()),
        ("error-403-authorizationfailed", lambda sim, get: sim.faults.add(Fault.forbidden()) and get()),
        ("error-404-item-service", lambda _sim, get: get(job_path(job="none"))),
        ("error-404-vault-gateway", lambda _sim, get: get(job_path(vault="rsv-none"))),
        ("error-404-resourcegroup-gateway", lambda _sim, get: get(job_path(group="rg-none"))),
        ("error-409-not-registered", lambda sim, get: sim.faults.add(Fault.not_registered()) and get()),
        ("error-429-subscription-tokenbucket", lambda sim, get: sim.faults.add(Fault.throttled()) and get()),
        ("error-500-cloudinternal", lambda sim, get: sim.faults.add(Fault.server_error()) and get()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_in_the_recorded_form(sim: AzureSimulator, get: Get, name: str, provoke: Callable[..., Any]) -> None:
    """Except for names and times, a refusal has the status, headers and body of its payload."""
    expected, answer = azure.payload(name), provoke(sim, get)
    names = r"rg-\w+(-\w+)?|rsv-\w+|demo-principal|5e1f0000-c11e-[-0-9]+|7e4a0000-[-0-9a-f]+|b0b0[-0-9a-f]+|\d+/\d+/\d+ [\d:]+ .M"
    blurred = [re.sub(names, "X", json.dumps(body)) for body in (expected["body"], answer.json())]
    assert answer.status_code == expected["status"]
    assert blurred[0] == blurred[1]
    for header, value in expected["headers"].items():
        assert answer.headers[header] == value
    assert ("x-ms-failure-cause" in answer.headers) == ("x-ms-failure-cause" in expected["headers"])


def test_vaults_come_and_go(sim: AzureSimulator, get: Get, vault: Vault) -> None:
    """A deleted vault is the gateway's 404. A new vault with its name starts empty, and adding it twice is harmless."""
    sim.directory.delete_vault(vault.subscription_id, vault.resource_group.upper(), vault.name.upper())
    assert refusal(get()) == (404, "ResourceNotFound", True)
    again = sim.add_vault(vault.subscription_id, vault.resource_group, vault.name)
    assert again is sim.add_vault(vault.subscription_id.upper(), vault.resource_group.upper(), vault.name.upper())
    assert refusal(get()) == (404, "BMSUserErrorDataSourceObjectNotFound", False)
    sim.directory.add_resource_group("11111111-5e1f-4000-8000-000000000000", azure.RESOURCE_GROUP)
    elsewhere = job_path().replace(azure.SUBSCRIPTION_ID, "11111111-5e1f-4000-8000-000000000000")
    assert refusal(get(elsewhere)) == (404, "ResourceNotFound", True)


def test_refuses_other_places_and_methods(get: Get) -> None:
    """Other subscriptions and paths return the gateway's 404, and other methods 405."""
    other, malformed = "11111111-5e1f-4000-8000-000000000000", "no-guid"
    assert refusal(get(job_path().replace(azure.SUBSCRIPTION_ID, other))) == (404, "SubscriptionNotFound", True)
    assert refusal(get(job_path().replace(azure.SUBSCRIPTION_ID, malformed))) == (400, "InvalidSubscriptionId", True)
    for path in ("/", "/subscriptions", job_path() + "/", job_path() + "/cancel", job_path(job="")):
        assert refusal(get(path)) == (404, "NotFound", True)
    for method in ("PUT", "POST", "PATCH", "DELETE"):
        answer = get(method=method)
        assert (*refusal(answer), answer.headers["Allow"]) == (405, "MethodNotAllowed", True, "GET")
