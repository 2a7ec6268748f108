"""The front's own requests to the API server."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from .kinds import CRDS, KINDS

if TYPE_CHECKING:
    import aiohttp

OK, CREATED, NOT_FOUND, CONFLICT = 200, 201, 404, 409


class Upstream:
    """A client of the API server that uses the names in storage."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request. Return the status and the body, parsed if it is JSON."""
        headers = {"Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json"}
        data = None if body is None else json.dumps(body)
        async with self.http.request(method, self.url + path, data=data, headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if response.content_type == "application/json" else text

    async def install(self) -> None:
        """Create the CRDs of the built-in kinds, and wait until the API server serves them."""
        answers = await asyncio.gather(*(self.call("POST", CRDS, kind.crd()) for kind in KINDS))
        for kind, (status, answer) in zip(KINDS, answers, strict=True):
            if status not in (CREATED, CONFLICT):  # CONFLICT: it exists from an earlier run
                raise RuntimeError(f"the API server refused the CRD for {kind.plural}: {answer}")
        for kind in KINDS:
            while (await self.call("GET", f"{kind.path}?limit=1"))[0] != OK:  # noqa: ASYNC110  # no event signals it
                await asyncio.sleep(0.05)

    async def groups(self) -> list[dict[str, Any]]:
        """Return the discovery document of each group. The server has no list of them."""
        _, crds = await self.call("GET", CRDS)
        names = {crd["spec"]["group"] for crd in crds["items"]} | {"apiextensions.k8s.io"}
        answers = await asyncio.gather(*(self.call("GET", f"/apis/{name}") for name in sorted(names)))
        return [group for status, group in answers if status == OK]

    async def namespaced(self) -> list[str]:
        """Return the path of each namespaced collection, with the placeholder ``{namespace}``."""
        versions = [version["groupVersion"] for group in await self.groups() for version in group["versions"]]
        listings = await asyncio.gather(*(self.call("GET", f"/apis/{version}") for version in versions))
        return [
            f"/apis/{version}/namespaces/{{namespace}}/{resource['name']}"
            for version, (status, listing) in zip(versions, listings, strict=True)
            for resource in (listing["resources"] if status == OK else ())  # the CRD may be deleted by now
            if resource["namespaced"] and "deletecollection" in resource["verbs"]
        ]
