"""The exception hierarchy: the consequences of each class."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backupjobwatch import errors
from backupjobwatch.errors import AzureError, Grace
from tests.support.azure_errors import KINDS

AZURE_ERRORS = [
    # class, reason, reason after the grace period, grace, answered
    (errors.PollDeferred, "Throttled", "Throttled", Grace.NEVER, False),
    (errors.NotPolledYet, "Progressing", "Progressing", Grace.NEVER, False),
    (errors.JobNotFound, "JobNotVisible", "JobNotFound", Grace.ALWAYS, True),
    (errors.VaultNotFound, "VaultNotFound", "VaultNotFound", Grace.ALWAYS, True),
    (errors.OperationWithoutJob, "OperationWithoutJob", "OperationWithoutJob", Grace.ALWAYS, True),
    (errors.CredentialsNotFound, "CredentialsNotFound", "CredentialsNotFound", Grace.UNTIL_SEEN, False),
    (errors.IdentityNotAllowed, "IdentityNotAllowed", "IdentityNotAllowed", Grace.UNTIL_SEEN, False),
    (errors.CredentialsUnavailable, "CredentialsUnavailable", "CredentialsUnavailable", Grace.NEVER, False),
    (errors.BackupLimitReached, "BackupLimitReached", "BackupLimitReached", Grace.NEVER, False),
    (errors.AuthenticationFailed, "AuthenticationFailed", "AuthenticationFailed", Grace.UNTIL_SEEN, False),
    (errors.AuthorizationFailed, "AuthorizationFailed", "AuthorizationFailed", Grace.UNTIL_SEEN, False),
    (errors.Throttled, "Throttled", "Throttled", Grace.NEVER, False),
    (errors.AzureUnavailable, "AzureUnavailable", "AzureUnavailable", Grace.NEVER, False),
    (errors.UnexpectedResponse, "UnexpectedResponse", "UnexpectedResponse", Grace.NEVER, False),
    (errors.JobListTooLong, "JobListTooLong", "JobListTooLong", Grace.NEVER, False),
    (errors.InvalidTarget, "InvalidTarget", "InvalidTarget", Grace.NEVER, True),
    (errors.BackupConflict, "BackupConflict", "BackupConflict", Grace.NEVER, False),
    (errors.RequestUncertain, "TriggerUncertain", "TriggerUncertain", Grace.NEVER, False),
]


@pytest.mark.parametrize(
    ("kind", "reason", "final_reason", "grace", "answered"), AZURE_ERRORS, ids=[row[0].__name__ for row in AZURE_ERRORS]
)
def test_azure_errors(
    kind: type[AzureError],
    reason: str,
    final_reason: str,
    grace: Grace,
    answered: bool,  # noqa: FBT001
) -> None:
    """Each error has its reason and grace, and shows whether Azure answered."""
    error = kind("A sentence.")

    assert str(error) == "A sentence."
    assert (error.reason, error.final_reason, error.grace, error.answered) == (reason, final_reason, grace, answered)


def test_table_is_complete() -> None:
    """The table above covers every error class."""
    assert {row[0] for row in AZURE_ERRORS} == set(KINDS)


def test_details() -> None:
    """An error has the requested wait and the request ID, if known."""
    error = errors.Throttled("Wait.", retry_after=timedelta(seconds=17), request_id="e9702101")

    assert error.retry_after == timedelta(seconds=17)
    assert error.request_id == "e9702101"
    assert errors.Throttled("Wait.").retry_after is None
    assert errors.Throttled("Wait.").request_id is None


def test_scope_of_a_throttle() -> None:
    """A repeated error keeps the scope of the 429."""
    error = errors.Throttled("Wait.")
    assert not error.repeat().is_subscription_wide
    error.is_subscription_wide = True
    assert error.repeat().is_subscription_wide


def test_one_root() -> None:
    """Every exception of this package has the same base class. Branches do not overlap."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]

    assert all(issubclass(kind, errors.BackupJobWatchError) for kind in kinds)
    assert not issubclass(errors.InvalidSpec, AzureError)
    assert not issubclass(errors.Conflict, AzureError)
    assert set(errors.KubeError.__subclasses__()) == {
        errors.Conflict, errors.ObjectNotFound, errors.Forbidden, errors.KubeUnavailable
    }  # fmt: skip


def test_tree_in_the_docstring() -> None:
    """The list in the module's docstring covers every class."""
    items = (line.strip() for line in (errors.__doc__ or "").splitlines())
    groups = (item.removeprefix("- ").partition(":")[0] for item in items if item.startswith("- "))
    listed = {name for group in groups for name in group.split(", ")}
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}

    assert listed == kinds - {"BackupJobWatchError"}
