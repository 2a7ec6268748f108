"""The hierarchy of errors. The class decides how an error is handled. No code parses messages.

- SettingsError, LeaseLost, InvalidSpec
- AzureError: a request did not show the job, or did not start the backup
  - NoRequest: no request was sent to Azure
    - PollDeferred
      - NotPolledYet
    - CredentialsNotFound, CredentialsUnavailable, IdentityNotAllowed, BackupLimitReached
  - JobNotFound, VaultNotFound, OperationWithoutJob: Azure answered, but there is no job
  - AuthenticationFailed, AuthorizationFailed, Throttled, AzureUnavailable
  - UnexpectedResponse
    - JobListTooLong
  - InvalidTarget, BackupConflict, RequestUncertain: results of the request that starts a backup
- DeliveryError, DeliveryFailed, DeliveryImpossible, DeliveryRefused
- KubeError
  - Conflict, ObjectNotFound, Forbidden, KubeUnavailable
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from datetime import timedelta


class BackupJobWatchError(Exception):
    """The base class of the errors that this package raises."""


class SettingsError(BackupJobWatchError):
    """Invalid settings. The message lists each variable and how to fix it."""


class LeaseLost(BackupJobWatchError):
    """This process lost the Lease, so another process may be the leader."""


class InvalidSpec(BackupJobWatchError):
    """An invalid spec that the CRD did not reject. The message contains the path of the field."""


class Grace(Enum):
    """When an error counts toward ``spec.graceSeconds``."""

    NEVER = auto()
    """The error says nothing about the job or the access to it."""
    UNTIL_SEEN = auto()
    """Counts until the job was first seen. After that, access may return."""
    ALWAYS = auto()
    """Counts before and after the job was first seen."""


class AzureError(BackupJobWatchError):
    """Why a poll did not show the job. The message is for the status."""

    reason: ClassVar[str]
    """Reason of the Ready condition while the error lasts."""
    grace: ClassVar[Grace] = Grace.NEVER
    is_conclusive: ClassVar[bool] = False
    """Whether this error ends the wait of a watch whose deadline has passed. Otherwise it waits for another poll."""
    answered: ClassVar[bool] = False
    """Whether Azure answered regularly, so that condition AzureReachable is True."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.request_id = request_id
        self.response_number: int | None = None
        """Equal in all attempts that share one response."""
        self.repeated = False
        """Whether this attempt reuses the response of an earlier one."""

    def repeat(self) -> Self:
        """Return a copy of this error for an attempt that shares its response."""
        error = type(self)(str(self), retry_after=self.retry_after, request_id=self.request_id)
        error.response_number, error.repeated = self.response_number, True
        return error

    @property
    def is_from_request(self) -> bool:
        """Whether a request was sent for this attempt. Otherwise ``lastPollTime`` does not change."""
        return not self.repeated

    @property
    def final_reason(self) -> str:
        """Reason of a watch that fails because this error lasted longer than grace."""
        return self.reason


class NoRequest(AzureError):
    """No request was sent to Azure. Raise a subclass."""

    @property
    def is_from_request(self) -> bool:
        """Always false."""
        return False


class PollDeferred(NoRequest):
    """Nothing new is known, for example because a pause delays a poll. The status changes only if it is *stale*."""

    reason = "Throttled"

    def __init__(self, message: str, *, stale: bool = False) -> None:
        super().__init__(message)
        self.stale = stale


class NotPolledYet(PollDeferred):
    """The target was edited, and the operator has not polled it yet."""

    reason = "Progressing"

    def __init__(self, message: str = "The operator has not polled Azure for this target yet.") -> None:
        super().__init__(message, stale=True)


class BackupLimitReached(NoRequest):
    """The namespace has requested as many backups as it may in an hour."""

    reason = "BackupLimitReached"


class JobNotFound(AzureError):
    """The backup service returned 404. A new job may not be visible yet."""

    reason = "JobNotVisible"
    is_conclusive = True
    grace = Grace.ALWAYS
    answered = True

    @property
    def final_reason(self) -> str:
        """JobNotFound, because the job is no longer expected to become visible."""
        return "JobNotFound"


class VaultNotFound(AzureError):
    """ARM's gateway returned 404 for the vault, resource group or subscription."""

    reason = "VaultNotFound"
    is_conclusive = True
    grace = Grace.ALWAYS
    answered = True


class OperationWithoutJob(AzureError):
    """The operation succeeded but names no job. Azure may name it later."""

    reason = "OperationWithoutJob"
    is_conclusive = True
    grace = Grace.ALWAYS
    answered = True


class CredentialsNotFound(NoRequest):
    """No credential is configured for the watch."""

    reason = "CredentialsNotFound"
    grace = Grace.UNTIL_SEEN


class IdentityNotAllowed(NoRequest):
    """The watch's namespace is not allowed to use the identity."""

    reason = "IdentityNotAllowed"
    is_conclusive = True
    grace = Grace.UNTIL_SEEN


class CredentialsUnavailable(NoRequest):
    """The API server did not return the Secret, the ServiceAccount or its token."""

    reason = "CredentialsUnavailable"


class AuthenticationFailed(AzureError):
    """Azure or Entra refused the credential."""

    reason = "AuthenticationFailed"
    is_conclusive = True
    grace = Grace.UNTIL_SEEN


class AuthorizationFailed(AzureError):
    """The identity is not allowed to read the job. A new role assignment takes minutes to become effective."""

    reason = "AuthorizationFailed"
    is_conclusive = True
    grace = Grace.UNTIL_SEEN


class Throttled(AzureError):
    """Azure throttled the request. ``retry_after`` is None if the response has no Retry-After."""

    reason = "Throttled"
    is_subscription_wide = False
    """Whether Azure throttles all requests of the principal in the subscription, not only this kind of request."""

    def repeat(self) -> Self:
        """Return a copy of this error for an attempt that shares its response."""
        error = super().repeat()
        error.is_subscription_wide = self.is_subscription_wide
        return error


class AzureUnavailable(AzureError):
    """Azure, Entra or the metadata service failed or could not be reached."""

    reason = "AzureUnavailable"
    was_sent = True
    """Whether any part of the request may have been sent."""


class UnexpectedResponse(AzureError):
    """The response is not the requested job."""

    reason = "UnexpectedResponse"


class JobListTooLong(UnexpectedResponse):
    """The vault's job list has more pages than the operator reads."""

    reason = "JobListTooLong"


class InvalidTarget(AzureError):
    """Azure refused to start a backup: the item is unknown or unsupported, or is not in a suitable state."""

    reason = "InvalidTarget"
    answered = True


class BackupConflict(AzureError):
    """Azure started no backup, because of another operation or a lock. A later request may succeed."""

    reason = "BackupConflict"


class RequestUncertain(AzureError):
    """It is unknown whether Azure has started a backup. The request must never be repeated."""

    reason = "TriggerUncertain"


class DeliveryError(BackupJobWatchError):
    """A failed attempt to deliver a notification. The message is for the status, so it contains no address or secret."""

    attempts: ClassVar[int]
    """Maximum number of attempts in total, if the last one fails with this error."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeliveryFailed(DeliveryError):
    """The receiver failed or could not be reached."""

    attempts = 10


class DeliveryRefused(DeliveryError):
    """The receiver refused the notification, or its address is not allowed."""

    attempts = 5


class DeliveryImpossible(DeliveryError):
    """The entry of ``spec.notify`` is invalid."""

    attempts = 1


class KubeError(BackupJobWatchError):
    """A request to the Kubernetes API server failed."""


class Conflict(KubeError):
    """The object has changed since it was read."""


class ObjectNotFound(KubeError):
    """The object does not exist."""


class Forbidden(KubeError):
    """RBAC does not allow the request."""


class KubeUnavailable(KubeError):
    """The API server refused the request, failed or did not respond. A retry may succeed."""
