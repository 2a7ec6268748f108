"""Valid and invalid ``spec.onDemand``."""

from __future__ import annotations

from typing import Any, Final

from tests.support.specs import ID, VAULT, Bad

_INSTANCE: Final = f"{ID.partition('/backupJobs/')[0]}/backupInstances/i".replace(
    "Microsoft.RecoveryServices/vaults", "Microsoft.DataProtection/backupVaults"
)

BAD: Final = (
    Bad(
        "a backup of nothing",
        {"onDemand": {}, "vault": VAULT},
        "spec.onDemand",
        "must have exactly one of item or protectedItemId, got none: set one",
    ),
    Bad("a backup without vault", {"onDemand": {"item": "vm1"}}, "spec", "add vault"),
    *(
        Bad(f"a backup: {name}", {"onDemand": {"item": "vm1", **fields}, "vault": {**VAULT, **vault}}, path, words)
        for name, fields, vault, path, words in (
            ("kept for nothing", {"retainFor": "0d"}, {}, "spec.onDemand.retainFor", 'such as 30d, got "0d"'),
            ("of no type", {"backupType": "full"}, {}, "spec.onDemand.backupType", "supported values"),
            ("of a rule", {"ruleName": "r"}, {}, "spec.onDemand", "set vault.kind to BackupVault"),
            ("of a Backup vault", {"retainFor": "1d"}, {"kind": "BackupVault"}, "spec.onDemand", "use ruleName"),
            ("elsewhere", {}, {"secondaryRegion": "westus"}, "spec.onDemand", "remove vault.secondaryRegion"),
        )
    ),
)

GOOD: Final[dict[str, dict[str, Any]]] = {
    "a backup": {
        "onDemand": {"item": "vm1", "container": "c", "retainFor": "30d", "backupType": "Full", "ifRunning": "Follow"},
        "vault": VAULT,
        "revision": "v1",
    },
    "a backup of a Backup vault": {
        "onDemand": {"protectedItemId": _INSTANCE, "ruleName": "BackupDaily", "retentionTag": "Weekly"},
        "vault": {**VAULT, "kind": "BackupVault"},
    },
}
