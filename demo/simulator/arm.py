"""Azure Resource Manager: what it answers to a request, as far as Azure Backup's jobs go."""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from demo.simulator import errors
from demo.simulator.messages import Answer, ArmRequest, json_answer
from demo.simulator.tokens import Tokens
from demo.simulator.vaults import Directory

RECOVERY_SERVICES_VERSIONS = (
    "2026-11-01", "2026-10-01", "2026-08-01", "2026-07-01", "2026-05-01", "2026-02-01", "2026-01-01", "2025-08-01",
    "2025-02-01", "2024-04-01", "2023-06-01", "2023-04-01", "2023-02-01", "2022-02-01", "2021-12-01", "2021-10-01",
    "2021-08-01", "2021-04-01", "2021-01-01", "2020-10-01", "2019-06-15", "2019-05-13", "2017-07-01", "2016-12-01",
)  # fmt: skip
"""The stable api-versions in which the job calls were published, newest first."""

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_REMAINING = "x-ms-ratelimit-remaining-subscription-resource-requests"

Endpoint = Callable[[ArmRequest, dict[str, str]], Answer]


@dataclass(frozen=True, slots=True)
class _Route:
    """A path of one provider; ``{name}`` in the template stands for one segment."""

    template: tuple[str, ...]
    versions: tuple[str, ...]
    endpoints: dict[str, Endpoint]

    def match(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        if len(segments) != len(self.template):
            return None
        names = {}
        for expected, segment in zip(self.template, segments, strict=True):
            if expected.startswith("{") and segment:
                names[expected.strip("{}")] = segment
            elif expected.casefold() != segment.casefold():
                return None
        return names


class ResourceManager:
    """Answers requests from the directory; knows no sockets, and no faults but its own refusals."""

    def __init__(self, directory: Directory, tokens: Tokens, *, location: str = "CENTRALINDIA") -> None:
        self._directory = directory
        self._tokens = tokens
        self._location = location
        self.remaining_requests = 249
        """What the rate limit header says; the bucket of job GETs holds about 250."""
        self._routes = (
            _route(
                "subscriptions/{subscription}/resourceGroups/{group}"
                "/providers/Microsoft.RecoveryServices/vaults/{vault}/backupJobs/{job}",
                RECOVERY_SERVICES_VERSIONS,
                GET=self._get_job,
            ),
        )

    def answer(self, request: ArmRequest) -> Answer:
        """Answer *request* with the state of things as it is now."""
        return self.dress(self._answer(request), request)

    def dress(self, answer: Answer, request: ArmRequest) -> Answer:
        """Add the headers that come with everything that Azure Resource Manager sends."""
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
        if errors.GATEWAY.keys().isdisjoint(answer.headers):  # it got as far as the service
            headers |= {
                _REMAINING: str(self.remaining_requests),
                "Server": "Microsoft-IIS/10.0",
                "X-Powered-By": "ASP.NET",
            }
        return answer.with_headers(headers)

    def _answer(self, request: ArmRequest) -> Answer:
        """Refuse in the gateway's order: version, token, path, method, then what the endpoint finds."""
        version = request.query.get("api-version")
        if not version:
            return errors.missing_api_version()
        refusal = self._tokens.refusal(request.headers.get("authorization"))
        if refusal is not None:
            return refusal
        for route in self._routes:
            names = route.match(request.segments)
            if names is None:
                continue
            if version.casefold() not in route.versions:
                return errors.invalid_api_version(version, route.versions)
            endpoint = route.endpoints.get(request.method)
            if endpoint is None:
                return errors.method_not_allowed(request.method, route.endpoints)
            return endpoint(request, names)
        return errors.path_not_found(request.path)

    def _get_job(self, request: ArmRequest, names: dict[str, str]) -> Answer:
        subscription, group, vault_name = names["subscription"], names["group"], names["vault"]
        if not _GUID.fullmatch(subscription):
            return errors.invalid_subscription(subscription)
        if not self._directory.has_subscription(subscription):
            return errors.subscription_not_found(subscription)
        if not self._directory.has_resource_group(subscription, group):
            return errors.resource_group_not_found(group)
        vault = self._directory.find_vault(subscription, group, vault_name)
        if vault is None:
            return errors.resource_not_found(f"Microsoft.RecoveryServices/vaults/{vault_name}", group)
        resource = vault.find_job(names["job"])
        if resource is None:
            return errors.job_not_found()
        # The id echoes the request's letter case, whatever the vault was made as.
        resource.pop("id", None)
        return json_answer(200, {"id": request.path, **resource}, content_type="application/json")


def _route(template: str, versions: tuple[str, ...], **endpoints: Endpoint) -> _Route:
    return _Route(tuple(template.split("/")), versions, endpoints)
