"""
Azure's error responses, in their two formats.

The gateway (Azure Resource Manager itself) sets ``x-ms-failure-cause``. The Backup service behind it sends explicit
nulls instead.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from demo.simulator.messages import Answer, json_answer

GATEWAY = {"x-ms-failure-cause": "gateway"}
AUTHORITY = "https://login.windows.net/"


def gateway_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an error in the format of Azure Resource Manager."""
    return json_answer(status, {"error": {"code": code, "message": message}}, {**GATEWAY, **(headers or {})})


def service_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an error in the format of the Backup service."""
    error: dict[str, Any] = {"code": code, "message": message, "target": None, "details": None, "innerError": None}
    return json_answer(status, {"error": error}, headers)


def missing_api_version() -> Answer:
    return gateway_error(
        400,
        "MissingApiVersionParameter",
        "The api-version query parameter (?api-version=) is required for all requests.",
    )


def invalid_api_version(version: str, supported: Iterable[str]) -> Answer:
    return gateway_error(
        400,
        "InvalidApiVersionParameter",
        f"The api-version '{version}' is invalid. The supported versions are '{','.join(supported)}'.",
    )


def unauthenticated(
    code: str, message: str, *, description: str, tenant: str = "", error: str = "invalid_token"
) -> Answer:
    challenge = f'Bearer authorization_uri="{AUTHORITY}{tenant}", error="{error}", error_description="{description}"'
    return gateway_error(401, code, message, {"WWW-Authenticate": challenge})


def missing_token() -> Answer:
    return unauthenticated(
        "AuthenticationFailed",
        "Authentication failed. The 'Authorization' header is missing.",
        description="The authentication failed because of missing 'Authorization' header.",
    )


def invalid_token() -> Answer:
    return unauthenticated(
        "InvalidAuthenticationToken",
        "The access token is invalid.",
        description="The access token is invalid.",
    )


def expired_token(*, expiry: str, now: str, tenant: str) -> Answer:
    return unauthenticated(
        "ExpiredAuthenticationToken",
        f"The access token expiry UTC time '{expiry}' is earlier than current UTC time '{now}'.",
        description="The access token has expired.",
        tenant=tenant,
    )


def insufficient_claims(encoded_claims: str) -> Answer:
    """Return a 401 of continuous access evaluation, which requires *encoded_claims* (base64url)."""
    return gateway_error(
        401,
        "InvalidAuthenticationToken",
        "Continuous access evaluation resulted in claims challenge with result: InteractionRequired and code: "
        "TokenIssuedBeforeRevocationTimestamp",
        {
            "WWW-Authenticate": f'Bearer realm="", authorization_uri="{AUTHORITY}common/oauth2/authorize", '
            f'error="insufficient_claims", claims="{encoded_claims}"'
        },
    )


def forbidden(*, principal: str, action: str, scope: str) -> Answer:
    return gateway_error(
        403,
        "AuthorizationFailed",
        f"The client '{principal}' with object id '{principal}' does not have authorization to perform action "
        f"'{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh "
        "your credentials.",
    )


def invalid_subscription(subscription_id: str) -> Answer:
    return gateway_error(
        400,
        "InvalidSubscriptionId",
        f"The provided subscription identifier '{subscription_id}' is malformed or invalid.",
    )


def subscription_not_found(subscription_id: str) -> Answer:
    return gateway_error(404, "SubscriptionNotFound", f"The subscription '{subscription_id}' could not be found.")


def resource_group_not_found(resource_group: str) -> Answer:
    return gateway_error(404, "ResourceGroupNotFound", f"Resource group '{resource_group}' could not be found.")


def resource_not_found(resource_type_and_name: str, resource_group: str) -> Answer:
    return gateway_error(
        404,
        "ResourceNotFound",
        f"The Resource '{resource_type_and_name}' under resource group '{resource_group}' was not found. For more "
        "details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def job_not_found() -> Answer:
    """
    Return the 404 for a missing job in an existing vault.

    Azure does not document its error code. This uses the Backup service's code for other missing objects.
    """
    return service_error(
        404,
        "BMSUserErrorDataSourceObjectNotFound",
        "The job was not found.\r\nIt might be too old. Please check the name of the job and the vault.",
    )


def operation_not_found() -> Answer:
    """Return the 404 for a missing operation in an existing vault. Azure does not document its error code."""
    return service_error(
        404,
        "BMSUserErrorDataSourceObjectNotFound",
        "The operation was not found.\r\nPlease check the name of the operation and the vault.",
    )


def item_not_found() -> Answer:
    """Return the 404 for a missing protected item in an existing vault."""
    return service_error(
        404,
        "BMSUserErrorDataSourceObjectNotFound",
        "Item not found.\r\nSelected item might have been deleted. Please check if item is registered to the vault.",
    )


def instance_not_found() -> Answer:
    """Return the 404 for a missing backup instance or policy in an existing Backup vault."""
    return service_error(404, "UserErrorGenericResourceNotFound", "The requested resource was not found.")


def adhoc_backup_not_allowed(state: str) -> Answer:
    """Return the 400 for a backup instance that is not in the right state."""
    return service_error(
        400,
        "UserErrorInvalidBackupInstanceOperation",
        f"Operation AdhocBackup is not allowed on Backup Instance with Protection Status {state}",
    )


def invalid_input() -> Answer:
    """Return the 400 for an invalid filter or page token."""
    return service_error(
        400,
        "BMSUserErrorInvalidInput",
        "Input provided for the call is invalid\r\nPlease check the required inputs",
    )


def path_not_found(path: str) -> Answer:
    return gateway_error(404, "NotFound", f"No HTTP resource was found that matches the request URI '{path}'.")


def method_not_allowed(method: str, allowed: Iterable[str]) -> Answer:
    return gateway_error(
        405,
        "MethodNotAllowed",
        f"The requested resource does not support http method '{method}'.",
        {"Allow": ", ".join(allowed)},
    )


def not_registered(namespace: str) -> Answer:
    message = (
        f"The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found for how "
        "to register subscriptions."
    )
    code = "MissingSubscriptionRegistration"
    detail = {"code": code, "target": namespace, "message": message}
    return json_answer(409, {"error": {"code": code, "message": message, "details": [detail]}})


def subscription_throttled(*, subscription_id: str, principal: str, seconds: str, kind: str = "reads") -> Answer:
    """Return the 429 for an empty token bucket of a subscription and a principal."""
    return gateway_error(
        429,
        "SubscriptionRequestsThrottled",
        f"Number of '{kind.removesuffix('s')}' requests for subscription '{subscription_id}' actor '{principal}' exceeded. Please try "
        f"again after '{seconds}' seconds after additional tokens are available. Refer to "
        "https://aka.ms/arm-throttling for additional information.",
        {
            f"x-ms-ratelimit-remaining-subscription-{kind}": "0",
            f"x-ms-ratelimit-remaining-subscription-global-{kind}": "3411",
        },
    )


def resource_throttled(*, action: str, seconds: str) -> Answer:
    """Return the 429 for a limit of the resource provider."""
    return gateway_error(
        429,
        "ResourceRequestsThrottled",
        f"Number of requests for action '{action}' exceeded the limit of '50' for time interval '00:05:00'. Please "
        f"try again after '{seconds}' seconds.",
        {"x-ms-ratelimit-remaining-subscription-resource-requests": "0"},
    )


def server_error(status: int) -> Answer:
    """Return a 5xx error: 500 from the Backup service, others from the gateway."""
    if status == 500:  # noqa: PLR2004
        return service_error(
            500,
            "CloudInternalError",
            "Microsoft Azure Backup encountered an internal error.\r\nWait for a few minutes and then try the operation again. "
            "If the issue persists, please contact Microsoft support.",
        )
    code, message = {
        502: ("BadGateway", "The gateway received an invalid response from 'Microsoft.RecoveryServices'."),
        503: ("ServerUnavailable", "The service is temporarily unavailable. Please try again later."),
        504: (
            "GatewayTimeout",
            "The gateway did not receive a response from 'Microsoft.RecoveryServices' within the specified time period.",
        ),
    }.get(status, ("InternalServerError", "Encountered internal server error."))
    return gateway_error(status, code, message)
