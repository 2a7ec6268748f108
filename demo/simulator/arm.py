"""The responses of Azure Resource Manager to requests for Azure Backup jobs."""

import json
import re
import uuid
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from demo.simulator import errors
from demo.simulator.access import Access
from demo.simulator.any_vault import AnyVault
from demo.simulator.backups import start_backup
from demo.simulator.directory import Directory
from demo.simulator.lists import Lists
from demo.simulator.messages import Answer, ArmRequest, json_answer
from demo.simulator.quotas import Quotas
from demo.simulator.routes import (
    DATA_PROTECTION_VERSIONS,
    RECOVERY_SERVICES_VERSIONS,
    Endpoint,
    Names,
    Route,
    region_route,
    secondary_route,
    vault_route,
)
from demo.simulator.tokens import Tokens
from demo.simulator.vaults import BackupVault, Vault

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_RATE_LIMIT = "x-ms-ratelimit-"
_REMAINING = "x-ms-ratelimit-remaining-subscription-resource-requests"


class ResourceManager:
    """Answers requests from the directory, without sockets and injected faults."""

    def __init__(
        self, directory: Directory, tokens: Tokens, *, scheme: str = "http", location: str = "CENTRALINDIA"
    ) -> None:
        self._directory = directory
        self._tokens = tokens
        self._scheme = scheme
        self._location = location
        self.access = Access()
        self.lists = Lists()
        self.quotas = Quotas()
        self.remaining_requests: int | None = 249
        """The value of the rate limit header while quotas are disabled. None: no such header is sent."""
        recovery = (Vault, RECOVERY_SERVICES_VERSIONS)
        protection = (BackupVault, DATA_PROTECTION_VERSIONS)
        item = "backupFabrics/{fabric}/protectionContainers/{container}/protectedItems/{item}"
        self._routes = (
            vault_route(*recovery, "backupJobs/{job}", self._get_job, quota="jobs"),
            vault_route(*recovery, "backupJobs", self._list_jobs),
            vault_route(*recovery, "backupOperations/{operation}", self._get_operation),
            vault_route(*recovery, f"{item}/operationsStatus/{{operation}}", self._get_operation),
            vault_route(*recovery, "backupProtectedItems", self._list_items),
            vault_route(*recovery, f"{item}/backup", self._start_backup, "writes", method="POST"),
            secondary_route(Vault, "backupCrrJob", method="POST", quota="writes"),
            secondary_route(Vault, "backupCrrOperationsStatus/{operation}"),
            secondary_route(BackupVault, "fetchCrossRegionRestoreJob", method="POST", quota="writes"),
            secondary_route(BackupVault, "operationStatus/{operation}"),
            vault_route(*protection, "backupJobs/{job}", self._get_job),
            vault_route(*protection, "backupJobs", self._list_jobs),
            vault_route(*protection, "operationStatus/{operation}", self._get_operation),
            vault_route(*protection, "backupInstances", self._list_items),
            vault_route(*protection, "backupPolicies/{policy}", self._get_policy),
            vault_route(*protection, "backupInstances/{item}/backup", self._start_backup, "writes", method="POST"),
            region_route(*protection, "operationResults/{operation}", self._get_result),
        )

    def answer(self, request: ArmRequest) -> Answer:
        """Return the response to *request* from the current state."""
        return self.dress(self._answer(request), request)

    def dress(self, answer: Answer, request: ArmRequest) -> Answer:
        """Add the headers of every response of Azure Resource Manager."""
        now = datetime.now(UTC)
        request_id = str(uuid.uuid4())
        correlation_id = request.headers.get("x-ms-correlation-request-id", request_id)
        headers = {
            "Cache-Control": "no-cache",
            "Pragma": "no-cache",
            "x-ms-request-id": request_id,
            "x-ms-correlation-request-id": correlation_id,
            "x-ms-routing-request-id": f"{self._location}:{now:%Y%m%dT%H%M%SZ}:{request_id}",
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
            "X-Content-Type-Options": "nosniff",
            "Date": format_datetime(now, usegmt=True),
        }
        if "x-ms-client-request-id" in request.headers:
            headers["x-ms-client-request-id"] = request.headers["x-ms-client-request-id"]
        if errors.GATEWAY.keys().isdisjoint(answer.headers):  # the request reached the service
            counted = any(name.startswith(_RATE_LIMIT) for name in answer.headers)
            if not counted and self.remaining_requests is not None:
                headers[_REMAINING] = str(self.remaining_requests)
            headers |= {
                "Server": "Microsoft-IIS/10.0",
                "X-Powered-By": "ASP.NET",
            }
        return answer.with_headers(headers)

    def _answer(self, request: ArmRequest) -> Answer:
        """Check in the gateway's order: version, token, path and method, then the endpoint."""
        version = request.query.get("api-version")
        if not version:
            return errors.missing_api_version()
        refusal = self._tokens.refusal(request.headers.get("authorization"))
        if refusal is not None:
            return refusal
        for route in self._routes:
            names = route.match(request.segments)
            if names is not None:
                return self._answer_on(route, request, names, version)
        return errors.path_not_found(request.path)

    def _answer_on(self, route: Route, request: ArmRequest, names: Names, version: str) -> Answer:
        subscription, principal = names["subscription"], request.principal or ""
        if version.casefold() not in route.versions:
            return errors.invalid_api_version(version, route.versions)
        if request.method != route.method:
            return errors.method_not_allowed(request.method, (route.method,))
        if not _GUID.fullmatch(subscription):
            return errors.invalid_subscription(subscription)
        counted = self.quotas.take(principal, subscription, route.quota, action=route.action)
        if isinstance(counted, Answer):
            return counted
        if not self.access.allows(principal, request.path):
            answer = errors.forbidden(principal=principal, action=route.action, scope=request.path)
        elif route.endpoint is None:
            answer = self._answer_from_secondary(route, request, names)
        else:
            answer = self._answer_from_vault(route, route.endpoint, request, names)
        return answer.with_headers(counted)

    def _answer_from_vault(self, route: Route, endpoint: Endpoint, request: ArmRequest, names: Names) -> Answer:
        subscription, group = names["subscription"], names.get("group")
        if not self._directory.has_subscription(subscription):
            return errors.subscription_not_found(subscription)
        if group is None:
            return self._answer_from_region(route, endpoint, request, names)
        if not self._directory.has_resource_group(subscription, group):
            return errors.resource_group_not_found(group)
        vault = self._directory.find_vault(route.vault_kind, subscription, group, names["vault"])
        if vault is None:
            return errors.resource_not_found(f"{route.vault_kind.TYPE}/{names['vault']}", group)
        return endpoint(request, names, vault)

    def _answer_from_secondary(self, route: Route, request: ArmRequest, names: Names) -> Answer:
        """Answer with an operation, or with the job that the body names together with its vault."""
        subscription, region = names["subscription"].casefold(), names["region"]
        vaults = [vault for vault in self._directory.vaults() if vault.subscription_id.casefold() == subscription]
        secondaries = [vault.secondary(region) for vault in vaults if isinstance(vault, route.vault_kind)]
        if "operation" in names:
            statuses = (vault.find_operation(names["operation"]) for vault in secondaries)
            status = next(filter(None, statuses), None)
            return errors.operation_not_found() if status is None else _found({**status, "id": request.path})
        asked = json.loads(request.body)
        vault_id, job_name = asked.get("resourceId"), asked.get("jobName")
        if "group" in names:  # a Backup vault
            vault_id, job_name = asked.get("sourceBackupVaultId"), asked.get("jobId")
            if not asked.get("sourceRegion"):
                return errors.invalid_input()
        jobs = (vault.find_job(job_name) for vault in secondaries if vault.id.casefold() == vault_id.casefold())
        job = next(filter(None, jobs), None)
        if job is None:
            return errors.job_not_found()
        location = f"{vault_id}" if "group" in names else request.path.rpartition("/")[0]
        return _found({**job, "id": f"{location}/backupJobs/{job['name']}"})

    def _answer_from_region(self, route: Route, endpoint: Endpoint, request: ArmRequest, names: Names) -> Answer:
        subscription, operation = names["subscription"].casefold(), names["operation"]
        for vault in self._directory.vaults():
            is_candidate = isinstance(vault, route.vault_kind) and vault.subscription_id.casefold() == subscription
            if is_candidate and vault.find_operation(operation) is not None:
                return endpoint(request, names, vault)
        return errors.operation_not_found()

    def _get_job(self, request: ArmRequest, names: Names, vault: AnyVault) -> Answer:
        resource = vault.find_job(names["job"])
        # The id has the letter case of the request, not that of the vault.
        return errors.job_not_found() if resource is None else _found({**resource, "id": request.path})

    def _list_jobs(self, request: ArmRequest, _names: Names, vault: AnyVault) -> Answer:
        filtered = isinstance(vault, Vault)
        return self.lists.answer(request, vault, filtered=filtered, base_url=self._base_url(request))

    def _list_items(self, request: ArmRequest, _names: Names, vault: AnyVault) -> Answer:
        return self.lists.protected(request, vault, base_url=self._base_url(request))

    def _get_policy(self, request: ArmRequest, names: Names, vault: AnyVault) -> Answer:
        found = vault.protection.find_policy(names["policy"])
        if found is None:
            return errors.instance_not_found()
        policy_type = f"{vault.TYPE}/backupPolicies"
        return _found({"id": request.path, "name": names["policy"], "type": policy_type, "properties": found})

    def _start_backup(self, request: ArmRequest, _names: Names, vault: AnyVault) -> Answer:
        return start_backup(request, vault, base_url=self._base_url(request))

    def _get_result(self, _request: ArmRequest, names: Names, vault: AnyVault) -> Answer:
        """Return what an operation started: 202 while it runs, then its properties."""
        status = vault.find_operation(names["operation"]) or {}
        properties = status.get("properties")
        return Answer(202) if properties is None else json_answer(200, properties)

    def _base_url(self, request: ArmRequest) -> str:
        return f"{self._scheme}://{request.headers.get('host', 'localhost')}"

    def _get_operation(self, request: ArmRequest, names: Names, vault: AnyVault) -> Answer:
        status = vault.find_operation(names["operation"])
        if status is None:
            return errors.operation_not_found()
        # Backup vaults give the status a resource ID, Recovery Services vaults its bare name.
        return _found({**status, "id": status["name"] if isinstance(vault, Vault) else request.path})


def _found(resource: dict[str, Any]) -> Answer:
    return json_answer(200, {"id": resource["id"], **resource}, content_type="application/json")
