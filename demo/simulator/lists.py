"""Return lists of jobs and of protected items, with filters and pages."""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from demo.simulator import errors
from demo.simulator.any_vault import AnyVault, Resource
from demo.simulator.filters import InvalidFilter, parse_filter
from demo.simulator.messages import Answer, ArmRequest, json_answer

_CLAUSE = re.compile(r"(\w+) eq '([^']*)'")
_FILTER, _TOKEN = "$filter", "$skiptoken"  # ArmRequest.query has lowercase names


@dataclass(slots=True)
class Lists:
    """The settings of job lists. They can be changed while the simulator runs."""

    page_size: int = 200
    """The number of jobs on a page. Azure does not document its own."""
    ignores_filter: bool = False
    """Whether lists ignore the filter and contain all jobs. Azure has been observed to do this."""
    omits_errors: bool = False
    """Whether entries omit ``errorDetails``. All recorded entries of failed jobs contain it."""

    def answer(self, request: ArmRequest, vault: AnyVault, *, filtered: bool, base_url: str) -> Answer:
        """Return one page, with a link to the next page if there is one."""
        asked = request.query.get(_FILTER, "")
        try:
            wanted = parse_filter(asked) if filtered and asked and not self.ignores_filter else None
            jobs = vault.list_jobs(wanted)
            begin = _begin(request.query.get(_TOKEN), [job["name"] for job in jobs])
        except InvalidFilter:
            return errors.invalid_input()
        end = begin + self.page_size
        value = [{**self._entry(job), "id": f"{request.path}/{job['name']}"} for job in jobs[begin:end]]
        after = jobs[end - 1]["name"] if end < len(jobs) else None
        return _page(request, base_url, value, after=after)

    def protected(self, request: ArmRequest, vault: AnyVault, *, base_url: str) -> Answer:
        """Return one page of what *vault* protects. A filter has ``name eq 'value'`` clauses, as recorded requests."""
        try:
            wanted = _clauses(request.query.get(_FILTER, ""))
            items = [
                item
                for item in vault.protection.items()
                if all(str(item.properties.get(name)).casefold() == value for name, value in wanted.items())
            ]
            begin = _begin(request.query.get(_TOKEN), [item.path for item in items])
        except InvalidFilter:
            return errors.invalid_input()
        end = begin + self.page_size
        value = [
            {
                "id": f"{vault.id}/{item.path}",
                "name": item.name,
                "type": "/".join([vault.TYPE, *item.path.split("/")[::2]]),
                "properties": item.properties,
            }
            for item in items[begin:end]
        ]
        after = items[end - 1].path if end < len(items) else None
        return _page(request, base_url, value, after=after)

    def _entry(self, job: Resource) -> Resource:
        if not self.omits_errors:
            return job
        return {**job, "properties": {key: value for key, value in job["properties"].items() if key != "errorDetails"}}


def _page(request: ArmRequest, base_url: str, value: list[dict[str, Any]], *, after: str | None) -> Answer:
    page: dict[str, Any] = {"value": value}
    if after is not None:
        page["nextLink"] = _next_link(request, base_url, after=after)
    return json_answer(200, page, content_type="application/json")


def _clauses(text: str) -> dict[str, str]:
    """Parse the filter of a list of protected items. ``itemType`` is the items' ``workloadType``."""
    clauses = [_CLAUSE.fullmatch(clause) for clause in text.split(" and ")] if text else []
    if None in clauses:
        raise InvalidFilter(text)
    names = {"itemType": "workloadType"}
    return {names.get(clause[1], clause[1]): clause[2].casefold() for clause in clauses if clause is not None}


def _next_link(request: ArmRequest, base_url: str, *, after: str) -> str:
    token = base64.b64encode(json.dumps({"after": after}).encode()).decode()
    path = request.target.partition("?")[0]
    query = {"api-version": request.query["api-version"], "$skipToken": token}
    if _FILTER in request.query:
        query = {"api-version": query["api-version"], "$filter": request.query[_FILTER], "$skipToken": token}
    return f"{base_url}{path}?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())


def _begin(token: str | None, names: list[str]) -> int:
    """Return the start index of a token's page: after the current index of the previous page's last job."""
    if token is None:
        return 0
    try:
        after = json.loads(base64.b64decode(token, validate=True))["after"]
        return names.index(after) + 1
    except (binascii.Error, ValueError, TypeError, KeyError) as error:
        raise InvalidFilter(token) from error
