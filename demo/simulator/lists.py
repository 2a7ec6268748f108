"""Lists of jobs: their pages, and how they are filtered."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from demo.simulator import errors
from demo.simulator.any_vault import AnyVault, Resource
from demo.simulator.filters import InvalidFilter, parse_filter
from demo.simulator.messages import Answer, ArmRequest, json_answer

_FILTER, _TOKEN = "$filter", "$skiptoken"  # names of a query come in lower case


@dataclass(slots=True)
class Lists:
    """How lists are told; may be changed while the simulator runs."""

    page_size: int = 200
    """Jobs on a page. Azure's is not documented."""
    ignores_filter: bool = False
    """List everything, whatever the filter says: this has been seen."""
    omits_errors: bool = False
    """Leave ``errorDetails`` out of the entries. No recorded entry of a failed job lacks it."""

    def answer(self, request: ArmRequest, vault: AnyVault, *, filtered: bool, base_url: str) -> Answer:
        """Answer one page, with a link to the next where there is more."""
        asked = request.query.get(_FILTER, "")
        try:
            wanted = parse_filter(asked) if filtered and asked and not self.ignores_filter else None
            jobs = vault.list_jobs(wanted)
            begin = _begin(request.query.get(_TOKEN), [job["name"] for job in jobs])
        except InvalidFilter:
            return errors.invalid_input()
        end = begin + self.page_size
        value = [{**self._entry(job), "id": f"{request.path}/{job['name']}"} for job in jobs[begin:end]]
        page: dict[str, Any] = {"value": value}
        if end < len(jobs):
            page["nextLink"] = _next_link(request, base_url, after=jobs[end - 1]["name"])
        return json_answer(200, page, content_type="application/json")

    def _entry(self, job: Resource) -> Resource:
        if not self.omits_errors:
            return job
        return {**job, "properties": {key: value for key, value in job["properties"].items() if key != "errorDetails"}}


def _next_link(request: ArmRequest, base_url: str, *, after: str) -> str:
    token = base64.b64encode(json.dumps({"after": after}).encode()).decode()
    path = request.target.partition("?")[0]
    query = {"api-version": request.query["api-version"], "$skipToken": token}
    if _FILTER in request.query:
        query = {"api-version": query["api-version"], "$filter": request.query[_FILTER], "$skipToken": token}
    return f"{base_url}{path}?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())


def _begin(token: str | None, names: list[str]) -> int:
    """Find where the page of a token begins: after the last job of the page before, wherever that is by now."""
    if token is None:
        return 0
    try:
        after = json.loads(base64.b64decode(token, validate=True))["after"]
        return names.index(after) + 1
    except (binascii.Error, ValueError, TypeError, KeyError) as error:
        raise InvalidFilter(token) from error
