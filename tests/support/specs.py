"""Valid and invalid specs, and the error messages of the invalid ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

SUBSCRIPTION: Final = "6d1f2a3b-4c5d-4e6f-8a7b-9c0d1e2f3a4b"
JOB: Final = "7ddead57-bcb9-4269-ac31-6a1b57588700"
VAULT: Final = {"subscriptionId": SUBSCRIPTION, "resourceGroup": "rg", "name": "v1"}
ID: Final = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.RecoveryServices/vaults/v1/backupJobs/{JOB}"
)
_NAMED: Final = {"jobName": JOB, "vault": VAULT}
_FORM: Final = (
    "/subscriptions/{UUID}/resourceGroups/{name}/providers/Microsoft.RecoveryServices/vaults/{name}/backupJobs/"
)
_GROUP: Final = "must be the resource group's name"
_NAME: Final = "must be the vault's name"


@dataclass(frozen=True, slots=True)
class Bad:
    """A spec that the API server refuses."""

    name: str
    spec: dict[str, Any]
    path: str
    """The field in the error message."""
    words: str
    """A part of the error message."""
    read: bool = field(default=True, kw_only=True)
    """Whether the operator's parser also refuses the spec. Some rules exist only in the schema."""


def _id(**parts: str) -> str:
    names = {"subscription": SUBSCRIPTION, "group": "rg", "vault": "v1", "job": JOB, **parts}
    return (
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.RecoveryServices/vaults/{vault}"
        "/backupJobs/{job}"
    ).format(**names)


def _vault(**fields: Any) -> dict[str, Any]:
    vault = {name: value for name, value in {**VAULT, **fields}.items() if value is not None}
    return {"jobName": JOB, "vault": vault}


OPERATION_URL: Final = f"https://management.azure.com{ID.rpartition('/')[0]}/operationsStatus/{JOB}?api-version=1&t=1"

_BAD_IDS: Final = {
    "a URL": f"https://management.azure.com{ID}",
    "a URL with a query": f"https://management.azure.com{ID}?api-version=2025-02-01",
    "a query": f"{ID}?api-version=2025-02-01",
    "a fragment": f"{ID}#top",
    "a slash at the end": f"{ID}/",
    "two slashes": ID.replace("/vaults/", "//vaults/"),
    "no slash at the start": ID[1:],
    "a line break": f"{ID}\n",
    "a blank": f" {ID}",
    "empty": "",
    "a GUID alone": JOB,
    "a vault": ID.partition("/backupJobs/")[0],
    "one provider's vault at the other": ID.replace("Microsoft.RecoveryServices", "Microsoft.DataProtection"),
    "a provider with another dot": ID.replace("Microsoft.", "MicrosoftX"),
    "an operation": ID.replace("/backupJobs/", "/backupOperations/"),
    "a subscription's name": _id(subscription="my-subscription"),
    "a job that is no GUID": _id(job="nightly"),
    "a GUID in braces": _id(job=f"{{{JOB}}}"),
    "a GUID of other digits": _id(job="7ddead57-bcb9-4269-ac31-6a1b5758870g"),
    "a GUID without hyphens": _id(job=JOB.replace("-", "")),
    "a vault with a Kelvin sign": _id(vault="\u212aelvin"),
    "a vault with a long s": _id(vault="\u017fafe"),
    "a provider with a long s": ID.replace("Microsoft", "Micro\u017foft"),
    "dots for a group": _id(group=".."),
    "a dot for a group": _id(group="."),
    "a group with a dot at the end": _id(group="rg."),
    "a group that is encoded": _id(group="rg%2F.."),
    "a vault of one letter": _id(vault="v"),
    "a vault of 51 letters": _id(vault="v" * 51),
    "a vault that begins with a digit": _id(vault="1v"),
    "a vault with an underscore": _id(vault="v_1"),
}
_BAD_GROUPS: Final = {
    **{f"with {character!r}": f"r{character}g" for character in "?#%\\/&:;@ \t\n'\"<>*"},
    "empty": "",
    "a dot": ".",
    "two dots": "..",
    "a dot at the end": "rg.",
    "an emoji": "rg-\U0001f600",
    "a superscript": "rg²",
    "of more than 90 letters": "g" * 91,
}
_BAD_VAULTS: Final = {
    **{f"with {character!r}": f"v{character}1" for character in "?#%\\/._ é\n"},
    "with a Kelvin sign": "\u212aelvin",
    "with a long s": "\u017fafe",
    "of one letter": "v",
    "empty": "",
    "of 51 letters": "v" * 51,
    "that begins with a digit": "1v",
    "that begins with a hyphen": "-v",
}
_BAD_GUIDS: Final = {
    "empty": "",
    "a word": "nightly",
    "in braces": f"{{{JOB}}}",
    "without hyphens": JOB.replace("-", ""),
    "with a line break": f"{JOB}\n",
}

BAD: Final = (
    Bad(
        "nothing",
        {},
        "spec",
        "must have exactly one of jobResourceId, jobName, operationId, latest or onDemand, got [ ]",
    ),
    Bad("two jobs", {"jobResourceId": ID, **_NAMED}, "spec", "latest or onDemand, got [ jobResourceId jobName ]"),
    Bad("a vault alone", {"vault": VAULT}, "spec", "must have exactly one of jobResourceId"),
    Bad("no vault", {"jobName": JOB}, "spec", "add vault: {subscriptionId, resourceGroup, name}"),
    Bad("a vault too many", {"jobResourceId": ID, "vault": VAULT}, "spec", "remove vault, or write jobName"),
    *(
        Bad(f"jobResourceId: {name}", {"jobResourceId": text}, "spec.jobResourceId", _FORM)
        for name, text in _BAD_IDS.items()
    ),
    Bad("jobResourceId: very long", {"jobResourceId": _id(group="g" * 400)}, "spec.jobResourceId", _FORM),
    Bad("jobResourceId: far too long", {"jobResourceId": _id(group="g" * 4000)}, "spec.jobResourceId", "Too long"),
    Bad("jobResourceId: a number", {"jobResourceId": 7}, "spec.jobResourceId", "string", read=False),
    *(
        Bad(f"jobName: {name}", {"jobName": text, "vault": VAULT}, "spec.jobName", "must be the job's GUID, such as")
        for name, text in {**_BAD_GUIDS, "a resource ID": ID}.items()
    ),
    *(
        Bad(f"subscriptionId: {name}", _vault(subscriptionId=text), "spec.vault.subscriptionId", "not its name")
        for name, text in {**_BAD_GUIDS, "a long name": "The subscription of the backup team of Harbour"}.items()
    ),
    *(
        Bad(f"resourceGroup: {name}", _vault(resourceGroup=text), "spec.vault.resourceGroup", _GROUP)
        for name, text in _BAD_GROUPS.items()
    ),
    *(Bad(f"vault: {name}", _vault(name=text), "spec.vault.name", _NAME) for name, text in _BAD_VAULTS.items()),
    *(
        Bad(f"no {name}", _vault(**{name: None}), f"spec.vault.{name}", "Required value")
        for name in ("subscriptionId", "resourceGroup", "name")
    ),
    *(
        Bad(f"{name}: {value}", {"jobResourceId": ID, name: value}, f"spec.{name}", words)
        for name, value, words in (
            ("activeDeadlineSeconds", 0, "greater than or equal to 1"),
            ("activeDeadlineSeconds", -5, "greater than or equal to 1"),
            ("activeDeadlineSeconds", 31536001, "less than or equal to 31536000"),
            ("activeDeadlineSeconds", 1.5, "integer"),
            ("activeDeadlineSeconds", "1h", "integer"),
            ("graceSeconds", -1, "greater than or equal to 0"),
            ("graceSeconds", 86401, "less than or equal to 86400"),
            ("graceSeconds", "10m", "integer"),
            ("completedWithWarnings", "succeeded", 'supported values: "Failed", "Succeeded"'),
            ("completedWithWarnings", True, "string"),
            ("pollInterval", "15s", 'supported values: "10s", "30s", "1m", "2m", "5m"'),
            ("pollInterval", "60s", 'supported values: "10s"'),
            ("pollInterval", 30, "string"),
            ("suspend", "yes", "boolean"),
            ("revision", "", "at least 1"),
            ("revision", "v" * 257, "Too long"),
            ("revision", 1.4, "string"),
        )
    ),
    *(
        Bad(f"an unknown field: {name}", {"jobResourceId": ID, name: "x"}, f"spec.{name}", "unknown field", read=False)
        for name in ("jobID", "operationID", "pollinterval", "timeout")
    ),
    Bad("an unknown field of vault", _vault(region="eastus"), "spec.vault.region", "unknown field", read=False),
    Bad("a kind of vault", _vault(kind="backupVaults"), "spec.vault.kind", "BackupVault"),
    *(
        Bad(f"secondaryRegion: {text!r}", _vault(secondaryRegion=text), "spec.vault.secondaryRegion", "such as westus")
        for text in ("", "West US", "westUS", "west-us", "1west", "w", "w" * 51, "westus\n", "../x", "we\u017ftus")
    ),
    Bad("secondaryRegion: a number", _vault(secondaryRegion=7), "spec.vault.secondaryRegion", "string"),
    *(
        Bad(f"{name}", _vault(**vault), "spec.vault", "must have primaryRegion if")
        for name, vault in {
            "a secondary region of a Backup vault alone": {"kind": "BackupVault", "secondaryRegion": "westus"},
            "a primary region of a Backup vault alone": {"kind": "BackupVault", "primaryRegion": "eastus"},
            "both regions of a Recovery Services vault": {"secondaryRegion": "westus", "primaryRegion": "eastus"},
        }.items()
    ),
    Bad(
        "primaryRegion: a display name",
        _vault(kind="BackupVault", secondaryRegion="westus", primaryRegion="East US"),
        "spec.vault.primaryRegion",
        "such as westus",
    ),
    Bad(
        "the latest of a secondary region",
        {"latest": {"item": "vm1"}, "vault": {**VAULT, "secondaryRegion": "westus"}},
        "spec.latest",
        "write jobName or operationId",
    ),
    Bad("an operation's URL", {"operationId": OPERATION_URL, "vault": VAULT}, "spec.operationId", "after the last /"),
    Bad(
        "an operation's URL, signed",
        {"operationId": f"{OPERATION_URL}&t={'x' * 3900}", "vault": VAULT},
        "spec.operationId",
        "after the last /",
    ),
    Bad("an operation that is no GUID", {"operationId": "bmlnaHRseQ==", "vault": VAULT}, "spec.operationId", "GUID"),
    Bad("an operation without vault", {"operationId": JOB}, "spec", "add vault"),
    Bad("latest without vault", {"latest": {"item": "vm1"}}, "spec", "add vault"),
    Bad("latest of nothing", {"latest": {"item": ""}, "vault": VAULT}, "spec.latest.item", "at least 1"),
    Bad("latest and a name", {**_NAMED, "latest": {"item": "vm1"}}, "spec", "must have exactly one of jobResourceId"),
    Bad(
        "a revision and a start",
        {"latest": {"item": "vm1", "startedAfter": "2026-03-04T01:00:00Z"}, "vault": VAULT, "revision": "v1"},
        "spec.latest.startedAfter",
        "remove startedAfter or revision",
    ),
    Bad(
        "two identities", {**_NAMED, "identity": {"secretName": "a", "serviceAccountName": "b"}}, "spec.identity", "one"
    ),
    Bad(
        "no identity",
        {**_NAMED, "identity": {}},
        "spec.identity",
        "must have exactly one of serviceAccountName or secretName, got none",
    ),
    Bad(
        "a Secret elsewhere",
        {**_NAMED, "identity": {"secretName": "b/a"}},
        "spec.identity.secretName",
        "in this namespace",
    ),
)

GOOD: Final[dict[str, dict[str, Any]]] = {
    "a resource ID": {"jobResourceId": ID},
    "a name and its vault": _NAMED,
    "capitals": {"jobResourceId": ID.upper()},
    "small letters": {"jobResourceId": ID.lower()},
    "a name in capitals": {"jobName": JOB.upper(), "vault": {**VAULT, "subscriptionId": SUBSCRIPTION.upper()}},
    "az's own letter case": {"jobResourceId": ID.replace("Microsoft.RecoveryServices", "microsoft.recoveryservices")},
    **{
        f"the group {group}": _vault(resourceGroup=group)
        for group in (
            "g",
            "a.b",
            ".a",
            "(x)",
            "-_-",
            "_",
            "..a",
            "größe",
            "グループ",
            "группа",
            "١٢",
            "g" * 90,
            "グ" * 90,
        )
    },
    **{
        f"an ID with the group {group}": {"jobResourceId": _id(group=group)}
        for group in ("a.b", ".a", "(x)", "größe", "グループ", "g" * 90)
    },
    **{f"the vault {name[:9]}": _vault(name=name) for name in ("v1", "V-1", "a-", "v" * 50)},
    "the smallest numbers": {"jobResourceId": ID, "activeDeadlineSeconds": 1, "graceSeconds": 0},
    "the largest numbers": {"jobResourceId": ID, "activeDeadlineSeconds": 31536000, "graceSeconds": 86400},
    **{f"every {text}": {"jobResourceId": ID, "pollInterval": text} for text in ("10s", "30s", "1m", "2m", "5m")},
    "a Backup vault's job": {
        "jobResourceId": ID.replace("Microsoft.RecoveryServices/vaults", "Microsoft.DataProtection/backupVaults")
    },
    "an operation": {"operationId": JOB, "vault": VAULT},
    "a Backup vault's operation": {"operationId": "bmlnaHRseQ==", "vault": {**VAULT, "kind": "BackupVault"}},
    "a restore in a secondary region": _vault(secondaryRegion="eastus2euap"),
    "a restore of a Backup vault": _vault(kind="BackupVault", secondaryRegion="westus", primaryRegion="eastus"),
    "an operation in a secondary region": {
        "operationId": "ODk5NDc5ODY2MTgyNDU2ODI5MjtpZA==",
        "vault": {**VAULT, "secondaryRegion": "westus"},
    },
    "the latest": {
        "latest": {"item": "vm1", "operation": "Restore", "startedAfter": "2026-03-04T01:00:00Z"},
        "vault": VAULT,
    },
    "the latest of a revision": {
        "latest": {"item": "vm1", "operation": "Backup"},
        "vault": VAULT,
        "revision": "main@sha1:4f2e リリース",
    },
    "the longest revision": {"jobResourceId": ID, "revision": "v" * 256},
    "every field": {
        **_NAMED,
        "revision": "v1.4.2",
        "identity": {"serviceAccountName": "azure-backup-reader"},
        "activeDeadlineSeconds": 60,
        "graceSeconds": 60,
        "completedWithWarnings": "Succeeded",
        "pollInterval": "1m",
        "suspend": True,
    },
}
