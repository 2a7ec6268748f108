"""Send the requests of the simulator tests for lists, operations, quotas and roles."""

from typing import Any, Final

import requests

from demo.simulator import AzureSimulator, Job, State
from tests.support import azure

TOKEN: Final = {"Authorization": "Bearer demo-token"}
VAULT: Final = (azure.SUBSCRIPTION_ID, azure.RESOURCE_GROUP, azure.VAULT)
VERSIONS: Final = {"microsoft.recoveryservices": "2025-02-01", "microsoft.dataprotection": "2025-07-01"}


def send(
    sim: AzureSimulator, path: str, *, token: str = "demo-token", version: str | None = None, **query: str
) -> requests.Response:
    """Request a path; *query* may have ``filter`` and ``skip_token``."""
    provider = path.casefold().partition("/providers/")[2].partition("/")[0]
    names = {"filter": "$filter", "skip_token": "$skipToken"}
    asked = {"api-version": version or VERSIONS[provider]} | {names[name]: value for name, value in query.items()}
    return requests.get(sim.url + path, asked, headers={"Authorization": f"Bearer {token}"}, timeout=60)


def follow(sim: AzureSimulator, path: str, **query: str) -> list[list[dict[str, Any]]]:
    """Request a list and follow its links to the end. Return one list per page."""
    answer = send(sim, path, **query)
    pages = [answer.json()["value"]]
    while link := answer.json().get("nextLink"):
        answer = requests.get(link, headers=TOKEN, timeout=60)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json()["value"])
    return pages


def vm_job(name: str, *, start_time: str, status: str = "InProgress", **properties: Any) -> Job:
    """Return a job that starts at that time and never changes."""
    about = {
        "jobType": "AzureIaaSVMJob",
        "entityFriendlyName": "vm-harbour-01",
        "backupManagementType": "AzureIaasVM",
        "operation": "Backup",
        "errorDetails": [],
        "extendedInfo": {"tasksList": []},
    }
    return Job(name=name, start_time=start_time, properties=about | properties, timeline=(State(status=status),))
