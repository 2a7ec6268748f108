"""Finds the resource ID in a URL of Azure Resource Manager or of the portal."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

_HEADER: Final = re.compile(r"[A-Za-z-]+:\s+(?=https?://)")
"""``Azure-AsyncOperation:`` or ``Location:`` in front of a copied URL."""
_HOST: Final = re.compile(r"[\w-]+(\.[\w-]+)*\.(com|us|cn)(:\d+)?/", re.IGNORECASE | re.ASCII)
"""The start of a URL whose scheme was not copied: browsers hide it."""
_PORTALS: Final = {
    "portal.azure.com": "management.azure.com",
    "portal.azure.us": "management.usgovcloudapi.net",
    "portal.azure.cn": "management.chinacloudapi.cn",
}
"""Hosts of the portal, and of Azure Resource Manager in the same cloud."""
_RESOURCE: Final = re.compile(r"/subscriptions/[^?#]*", re.IGNORECASE)
_JOB: Final = re.compile(
    r"/subscriptions/[^/?#]+/resourceGroups/[^/?#]+/providers/[^/?#]+/[^/?#]+/[^/?#]+/backupJobs/[^/?#]+", re.IGNORECASE
)


class WrongCloud(ValueError):
    """The URL belongs to another of Azure's clouds than the endpoint."""


def resource_path(text: str, endpoint: str | None) -> str:
    """Return the path of the resource that *text* names, without a query, because that may be a signature.

    A text that is not a URL is returned without its query. *endpoint* is the URL of Azure Resource Manager; None
    allows every cloud. Raises ValueError if the URL is malformed, WrongCloud if it belongs to another endpoint.
    """
    text = _HEADER.sub("", text.strip(" \t\r\n\"'`<>,;"), count=1)
    if _HOST.match(text):
        text = f"https://{text}"
    url = urlsplit(text)
    if url.scheme not in ("http", "https"):
        path = _decoded(text.partition("?")[0])
        return f"/{path}" if path.lower().startswith("subscriptions/") else path
    portal = next((name for name in _PORTALS if f".{url.hostname or ''}".endswith(f".{name}")), None)
    if portal is None:
        _check_cloud(url.netloc, endpoint)
        return _decoded(url.path)
    if endpoint is not None and urlsplit(endpoint).netloc in _PORTALS.values():
        _check_cloud(_PORTALS[portal], endpoint)
    return _portal_path(url)


def _check_cloud(host: str, endpoint: str | None) -> None:
    if endpoint is not None and host.lower() != urlsplit(endpoint).netloc.lower():
        raise WrongCloud(host.rpartition("@")[2])


def _portal_path(url: SplitResult) -> str:
    """Return the ID of the job that a page of the portal shows, or of its resource, or the page's path."""
    page = _decoded(f"/{url.fragment}" if url.fragment else url.path)
    found = _JOB.search(page) or _RESOURCE.search(page)
    return found[0] if found else page


def _decoded(path: str) -> str:
    """Undo percent-encoding, even if it was applied twice. Drop a query, which may be a signature."""
    return unquote(unquote(path)).partition("?")[0]
