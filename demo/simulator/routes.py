"""The paths that the simulator serves, and the permission that each path needs."""

from collections.abc import Callable
from dataclasses import dataclass

from demo.simulator.any_vault import AnyVault
from demo.simulator.messages import Answer, ArmRequest
from demo.simulator.quotas import Kind
from demo.simulator.vaults import Vault

RECOVERY_SERVICES_VERSIONS = (
    "2026-11-01", "2026-10-01", "2026-08-01", "2026-07-01", "2026-05-01", "2026-02-01", "2026-01-01", "2025-08-01",
    "2025-02-01", "2024-04-01", "2023-06-01", "2023-04-01", "2023-02-01", "2022-02-01", "2021-12-01", "2021-10-01",
    "2021-08-01", "2021-04-01", "2021-01-01", "2020-10-01", "2019-06-15", "2019-05-13", "2017-07-01", "2016-12-01",
)  # fmt: skip
"""The stable API versions with the job operations, newest first."""
DATA_PROTECTION_VERSIONS = (
    "2026-06-01", "2026-03-01", "2025-07-01", "2024-04-01", "2023-11-01", "2023-05-01", "2023-01-01",
)  # fmt: skip
SECONDARY_VERSIONS = ("2023-01-15", "2021-11-15", "2018-12-20")
"""The API versions with the requests for cross-region restores. They are not those of vaults."""

Names = dict[str, str]
Endpoint = Callable[[ArmRequest, Names, AnyVault], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path template in which ``{name}`` matches one segment."""

    template: tuple[str, ...]
    versions: tuple[str, ...]
    vault_kind: type[AnyVault]
    endpoint: Endpoint | None
    """None: the path names a secondary region instead of a vault."""
    quota: Kind = "reads"
    method: str = "GET"

    def match(self, segments: tuple[str, ...]) -> Names | None:
        """Return the names in a matching path, or None."""
        if len(segments) != len(self.template):
            return None
        names = {}
        for expected, segment in zip(self.template, segments, strict=True):
            if expected.startswith("{") and segment:
                names[expected.strip("{}")] = segment
            elif expected.casefold() != segment.casefold():
                return None
        return names

    @property
    def action(self) -> str:
        """The required permission: the resource types without the names, such as ``…/vaults/backupJobs/read``."""
        namespace, *types = self.template[self.template.index("providers") + 1 :]
        if types[-1] == "fetchCrossRegionRestoreJob":  # as Azure documents it
            return f"{namespace}/subscriptions/resourceGroups/providers/locations/{types[-1]}/action"
        return "/".join([namespace, *types[::2], "read" if self.method == "GET" else "action"])


def vault_route(
    vault_kind: type[AnyVault],
    versions: tuple[str, ...],
    path: str,
    endpoint: Endpoint,
    quota: Kind = "reads",
    *,
    method: str = "GET",
) -> Route:
    """Return the route for a path below a vault."""
    below = f"subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{vault_kind.TYPE}/{{vault}}/{path}"
    return Route(
        template=tuple(below.split("/")),
        versions=versions,
        vault_kind=vault_kind,
        endpoint=endpoint,
        quota=quota,
        method=method,
    )


def region_route(vault_kind: type[AnyVault], versions: tuple[str, ...], path: str, endpoint: Endpoint) -> Route:
    """Return the route for an operation in the region of a vault. The path does not name the vault."""
    namespace = vault_kind.TYPE.partition("/")[0]
    below = f"subscriptions/{{subscription}}/providers/{namespace}/locations/{{region}}/{path}"
    return Route(template=tuple(below.split("/")), versions=versions, vault_kind=vault_kind, endpoint=endpoint)


def secondary_route(vault_kind: type[AnyVault], path: str, *, method: str = "GET", quota: Kind = "reads") -> Route:
    """Return the route for a path below a secondary region. Jobs of Backup vaults have a resource group in it."""
    is_recovery = vault_kind is Vault
    group = "" if is_recovery or method == "GET" else "/resourceGroups/{group}"
    namespace = vault_kind.TYPE.partition("/")[0]
    below = f"subscriptions/{{subscription}}{group}/providers/{namespace}/locations/{{region}}/{path}"
    return Route(
        template=tuple(below.split("/")),
        versions=SECONDARY_VERSIONS if is_recovery else DATA_PROTECTION_VERSIONS,
        vault_kind=vault_kind,
        endpoint=None,
        quota=quota,
        method=method,
    )
