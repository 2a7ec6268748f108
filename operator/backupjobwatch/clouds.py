"""The Azure clouds and their endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """Endpoints of an Azure cloud. In US Government, the scope and the endpoint have different hosts."""

    endpoint: str
    scope: str
    authority: str


CLOUDS: Final[Mapping[str, Cloud]] = {
    "public": Cloud(
        endpoint="https://management.azure.com",
        scope="https://management.azure.com/.default",
        authority="https://login.microsoftonline.com",
    ),
    "usgov": Cloud(
        endpoint="https://management.usgovcloudapi.net",
        scope="https://management.core.usgovcloudapi.net/.default",
        authority="https://login.microsoftonline.us",
    ),
    "china": Cloud(
        endpoint="https://management.chinacloudapi.cn",
        scope="https://management.chinacloudapi.cn/.default",
        authority="https://login.chinacloudapi.cn",
    ),
}
"""https://learn.microsoft.com/azure/developer/python/sdk/authentication/sovereign-clouds"""
