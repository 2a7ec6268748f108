"""Azure resource IDs."""

from __future__ import annotations

import pytest

from backupjobwatch.domain.jobs.resource_ids import JobId, VaultId, fold_case, is_guid, is_resource_group, is_vault_name
from tests.support.builders import JOB_ID, JOB_NAME, OTHER_JOB_NAME, RESOURCE_GROUP, SUBSCRIPTION, VAULT, VAULT_ID

GUID = "7ddead57-bcb9-4269-ac31-6a1b57588700"


@pytest.mark.parametrize(
    ("text", "folded"),
    [("AbZ", "abz"), ("Maße", "maße"), ("ÀÉ", "ÀÉ"), ("\u212a", "\u212a"), ("İ", "İ"), ("", "")],
)
def test_fold_case(text: str, folded: str) -> None:
    """Only ASCII letters are lowercased, so names that Azure distinguishes stay different."""
    assert fold_case(text) == folded


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (GUID, True),
        (GUID.upper(), True),
        ("", False),
        (GUID[:-1], False),
        (f"{GUID}0", False),
        (f"{GUID}\n", False),
        (f"{{{GUID}}}", False),
        (GUID.replace("-", ""), False),
        (GUID.replace("7", "g"), False),
        (GUID.replace("7", "\u0667"), False),
    ],
)
def test_is_guid(text: str, valid: bool) -> None:  # noqa: FBT001
    """A GUID is 8-4-4-4-12 ASCII hex digits of either case."""
    assert is_guid(text) is valid


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("ab", True),
        ("Vault-1", True),
        ("a" * 50, True),
        ("a" * 51, False),
        ("a", False),
        ("1vault", False),
        ("-vault", False),
        ("va_ult", False),
        ("va/ult", False),
        ("vault\n", False),
        ("va\u017flt", False),
        ("", False),
    ],
)
def test_is_vault_name(text: str, valid: bool) -> None:  # noqa: FBT001
    """A vault name has 2 to 50 ASCII letters, digits and hyphens, and starts with a letter."""
    assert is_vault_name(text) is valid


@pytest.mark.parametrize(
    "text", ["rg", "r", "1", "RG-backup_(eu).1", "..a", "(", "größe", "グループ", "资源组", "مجموعة٣", "a" * 90]
)
def test_resource_groups(text: str) -> None:
    """A resource group name has letters and digits of any script, hyphens, underscores, parentheses and dots."""
    assert is_resource_group(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "rg.",
        "a" * 91,
        "a/b",
        "a?b",
        "a#b",
        "a%2fb",
        "a\\b",
        "a b",
        "a\n",
        "a\u0000",
        "a\u0301",
        "½",
        "😀",
    ],
)
def test_no_resource_groups(text: str) -> None:
    """A group name that could change a URL, ends with a dot, is too long or has other characters is rejected."""
    assert not is_resource_group(text)


def test_parts() -> None:
    """An ID is split into subscription, resource group, vault and job."""
    job_id = JobId.parse(JOB_ID)

    assert job_id.name == JOB_NAME
    assert job_id.vault == VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=VAULT)
    assert (job_id.vault.subscription_id, job_id.vault.resource_group) == (SUBSCRIPTION, RESOURCE_GROUP)
    assert str(job_id.vault) == VAULT_ID


@pytest.mark.parametrize(
    "written",
    [
        JOB_ID,
        JOB_ID.lower(),
        JOB_ID.upper(),
        JOB_ID.replace("/subscriptions/", "/Subscriptions/").replace("Microsoft.", "microsoft."),
        JOB_ID.replace("resourceGroups", "resourcegroups").replace("backupJobs", "BACKUPjobs"),
    ],
)
def test_letter_case(written: str) -> None:
    """IDs in different letter case are equal with the same hash, and keep their text."""
    parsed = JobId.parse(written)

    assert parsed == JobId.parse(JOB_ID)
    assert hash(parsed) == hash(JobId.parse(JOB_ID))
    assert parsed.vault == JobId.parse(JOB_ID).vault
    assert str(parsed) == written


@pytest.mark.parametrize("group", ["größe", "グループ", "a(b).c_d-e"])
def test_round_trip_of_groups(group: str) -> None:
    """Resource groups of any script are kept exactly, and percent-encoded in URLs."""
    written = JOB_ID.replace(RESOURCE_GROUP, group)
    parsed = JobId.parse(written)

    assert str(parsed) == written
    assert parsed.vault.resource_group == group
    assert parsed.url_path.isascii()
    assert "(" not in parsed.url_path


@pytest.mark.parametrize(("one", "other"), [("Maße", "Masse"), ("É", "é"), ("a", "b")])
def test_groups_apart(one: str, other: str) -> None:
    """Resource groups that Azure might distinguish are never equal."""
    assert JobId.parse(JOB_ID.replace(RESOURCE_GROUP, one)) != JobId.parse(JOB_ID.replace(RESOURCE_GROUP, other))


def test_jobs_apart() -> None:
    """Two jobs of one vault differ, and so do two vaults."""
    assert JobId.parse(JOB_ID) != JobId.parse(JOB_ID.replace(JOB_NAME, OTHER_JOB_NAME))
    assert JobId.parse(JOB_ID) != JobId.parse(JOB_ID.replace(VAULT, "other"))


def test_from_parts() -> None:
    """An ID that is built from its parts has the usual letter case and equals the parsed one."""
    made = JobId(vault=VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=VAULT), name=JOB_NAME)

    assert str(made) == JOB_ID
    assert made == JobId.parse(JOB_ID.upper())


def test_url_path() -> None:
    """Every segment of the URL path is encoded, whatever the letter case of the ID."""
    path = JobId.parse(JOB_ID.lower().replace(RESOURCE_GROUP.lower(), "größe(1)")).url_path

    assert path == (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/gr%C3%B6%C3%9Fe%281%29"
        f"/providers/Microsoft.RecoveryServices/vaults/{VAULT}/backupJobs/{JOB_NAME}"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        JOB_NAME,
        VAULT_ID,
        f"{JOB_ID}/",
        f"/{JOB_ID}",
        f"{JOB_ID}\n",
        f" {JOB_ID}",
        f"https://management.azure.com{JOB_ID}",
        f"{JOB_ID}?api-version=2025-02-01",
        JOB_ID.replace("vaults", "backupVaults"),
        JOB_ID.replace("Microsoft.RecoveryServices", "MicrosoftxRecoveryServices"),
        JOB_ID.replace("Microsoft.RecoveryServices", "Microsoft.DataProtection"),
        JOB_ID.replace("Microsoft.RecoveryServices", "Micro\u017foft.RecoveryServices"),
        JOB_ID.replace(SUBSCRIPTION, "my-subscription"),
        JOB_ID.replace(JOB_NAME, "nightly"),
        JOB_ID.replace(VAULT, "v"),
        JOB_ID.replace(RESOURCE_GROUP, ".."),
        JOB_ID.replace(RESOURCE_GROUP, "a%2f.."),
        JOB_ID.replace(RESOURCE_GROUP, "a/b"),
    ],
)
def test_no_ids(text: str) -> None:
    """Anything else is rejected, and the message shows the expected form."""
    with pytest.raises(ValueError, match=r"not of the form /subscriptions/\{UUID\}/"):
        JobId.parse(text)
