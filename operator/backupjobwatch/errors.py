"""Everything that can go wrong, as a tree. The class tells what follows; no text is ever parsed to decide.

BackupJobWatchError
├─ SettingsError               the process cannot start; says which variable and what to write
├─ LeaseLost                   this operator leads no longer, and its process is to end
├─ InvalidSpec                 the object cannot be acted on until somebody edits it
├─ AzureError                  why Azure told nothing about the job, this time
│  ├─ NoRequest                no request was sent to Azure, and the class says why
│  │  ├─ PollDeferred          the rate limiter or a Retry-After defers the request: nothing changes
│  │  │  └─ NotPolledYet       the target was edited and not polled since
│  │  ├─ CredentialsNotFound   no credential is configured
│  │  ├─ IdentityNotAllowed    the namespace is not allowed to use the identity
│  │  └─ CredentialsUnavailable  the API server did not return the credential
│  ├─ JobNotFound              404 from the backup service: not visible yet, or not there
│  ├─ VaultNotFound            404 from ARM's gateway: vault, resource group or subscription
│  ├─ OperationWithoutJob      the operation succeeded and names no job
│  ├─ AuthenticationFailed     401, or Entra refused the credential
│  ├─ AuthorizationFailed      403
│  ├─ Throttled                429
│  ├─ AzureUnavailable         5xx, time-out, no connection; Entra or the metadata service unreachable
│  └─ UnexpectedResponse       an answer that is no job: not JSON, too long, a redirect, another job
│     └─ JobListTooLong        the vault's job list has more pages than the operator follows
├─ DeliveryError              why a notification was not delivered, this time
│  ├─ DeliveryFailed           it may be, later: an outage, a time-out, something that is not there yet
│  ├─ DeliveryImpossible       it won't be, whatever happens, until the object is edited
│  └─ DeliveryRefused          it will hardly be, unless somebody mends it: a few attempts, then no more
└─ KubeError                  the Kubernetes API server did not do what it was asked
   ├─ Conflict                 409: the object has changed since it was read
   ├─ ObjectNotFound               404
   ├─ Forbidden                403
   └─ KubeUnavailable         it refused (422, …), failed, or did not answer
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from datetime import timedelta


class BackupJobWatchError(Exception):
    """The root: what this package raises on purpose."""


class SettingsError(BackupJobWatchError):
    """The settings are wrong or missing; the message lists each variable with what to write."""


class LeaseLost(BackupJobWatchError):
    """Another operator acts from now on, or may at any moment; the message says why."""


class InvalidSpec(BackupJobWatchError):
    """A spec that slipped past the CRD's validation, with the path of the bad field in the message."""


class Grace(Enum):
    """Until when trouble of a kind is counted against ``spec.graceSeconds``."""

    NEVER = auto()
    """It says nothing about job or access; only the deadline ends the wait."""
    UNTIL_SEEN = auto()
    """Counted until the job was first seen: access that worked once may come back."""
    ALWAYS = auto()
    """Counted before and after: the job is not there."""


class AzureError(BackupJobWatchError):
    """Why Azure told nothing about the job, this time. The message is one sentence for the status."""

    reason: ClassVar[str]
    """The Ready condition's reason while this lasts."""
    grace: ClassVar[Grace] = Grace.NEVER
    is_conclusive: ClassVar[bool] = False
    """Whether a watch whose deadline has passed is judged by this error. Otherwise it waits for another poll."""
    answered: ClassVar[bool] = False
    """Whether Azure was reached and answered as it should, so that condition AzureReachable is True."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.request_id = request_id
        self.answer: int | None = None
        """Number of the response that this is about, where several attempts may share one."""

        self.repeated = False
        """Whether no request was made for this attempt."""

    def repeat(self) -> Self:
        """Return this error for another attempt that gets the same response."""
        error = type(self)(str(self), retry_after=self.retry_after, request_id=self.request_id)
        error.answer, error.repeated = self.answer, True
        return error

    @property
    def is_from_request(self) -> bool:
        """Whether a request was sent for this attempt. Otherwise ``lastPollTime`` stays."""
        return not self.repeated

    @property
    def final_reason(self) -> str:
        """The reason of a watch that failed because grace was over."""
        return self.reason


class NoRequest(AzureError):
    """No request was sent to Azure. Raise a subclass, which says why."""

    @property
    def is_from_request(self) -> bool:
        """Never: nothing was sent."""
        return False


class PollDeferred(NoRequest):
    """A poll that is due was not made, because of the rate limiter or of Azure's Retry-After.

    The status keeps what is known, unless that is *stale*: then it says why.
    """

    reason = "Throttled"

    def __init__(self, message: str, *, stale: bool = False) -> None:
        super().__init__(message)
        self.stale = stale


class NotPolledYet(PollDeferred):
    """The target was edited, and the operator has not polled for the new one yet."""

    reason = "Progressing"

    def __init__(self, message: str = "The operator has not polled Azure for this target yet.") -> None:
        super().__init__(message, stale=True)


class JobNotFound(AzureError):
    """The backup service knows no such job: perhaps not yet."""

    reason = "JobNotVisible"
    is_conclusive = True
    grace = Grace.ALWAYS
    answered = True

    @property
    def final_reason(self) -> str:
        """After grace it is no longer a matter of time."""
        return "JobNotFound"


class VaultNotFound(AzureError):
    """ARM's gateway knows no such vault, resource group or subscription."""

    reason = "VaultNotFound"
    is_conclusive = True
    grace = Grace.ALWAYS
    answered = True


class OperationWithoutJob(AzureError):
    """The operation succeeded and names no job: perhaps not yet."""

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
    """The identity may not read the job. A new role assignment takes minutes to arrive."""

    reason = "AuthorizationFailed"
    is_conclusive = True
    grace = Grace.UNTIL_SEEN


class Throttled(AzureError):
    """Azure asked to wait; ``retry_after`` says how long, where it said so."""

    reason = "Throttled"

    def __init__(
        self,
        message: str,
        *,
        retry_after: timedelta | None = None,
        request_id: str | None = None,
        is_subscription_wide: bool = False,
    ) -> None:
        super().__init__(message, retry_after=retry_after, request_id=request_id)
        self.is_subscription_wide = is_subscription_wide
        """Whether Azure refuses all requests of the principal in the subscription, not only this kind of request."""

    def repeat(self) -> Self:
        """Return this error for another attempt that gets the same response."""
        error = super().repeat()
        error.is_subscription_wide = self.is_subscription_wide
        return error


class AzureUnavailable(AzureError):
    """Azure, Entra or the metadata service failed or could not be reached."""

    reason = "AzureUnavailable"


class UnexpectedResponse(AzureError):
    """An answer that is not the job that was asked for."""

    reason = "UnexpectedResponse"


class JobListTooLong(UnexpectedResponse):
    """The vault's job list has more pages than the operator follows."""

    reason = "JobListTooLong"


class DeliveryError(BackupJobWatchError):
    """Why a notification was not delivered, this time. The message is for the status: no address, no secret."""

    attempts: ClassVar[int]
    """After how many attempts in all it is given up, where the last one ended so."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeliveryFailed(DeliveryError):
    """The receiver failed or could not be reached."""

    attempts = 10


class DeliveryRefused(DeliveryError):
    """The receiver does not want it, or we do not send there."""

    attempts = 5


class DeliveryImpossible(DeliveryError):
    """The entry makes no sense."""

    attempts = 1


class KubeError(BackupJobWatchError):
    """The Kubernetes API server did not do what it was asked."""


class Conflict(KubeError):
    """The object has changed since it was read."""


class ObjectNotFound(KubeError):
    """The object is not there any more."""


class Forbidden(KubeError):
    """The operator has no right to do that."""


class KubeUnavailable(KubeError):
    """The API server refused, failed or did not answer; asking again later may help."""
