"""``backupjobwatch render``: computes the status for one response of Azure."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import requests
import yaml

from backupjobwatch.arm.responses import Response
from backupjobwatch.cli.answers import Observed, observe
from backupjobwatch.constants import GROUP, KIND
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.text import quoted, sanitize
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.domain.polling.observations import MIN_CONSECUTIVE_FAILURES
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.errors import InvalidSpec, NotPolledYet

_REQUEST_IDS: Final = ("x-ms-request-id", "x-ms-correlation-request-id")
"""Headers that distinguish a response of Azure Resource Manager from one of a proxy."""
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--watch", "watch_file", type=_FILE, required=True, help="A YAML or JSON file with one BackupJobWatch.")
@click.option(
    "--response", "response_file", type=_FILE, required=True, help="A file with the body of Azure's response."
)
@click.option(
    "--status",
    "http_status",
    type=click.IntRange(100, 599),
    default=200,
    help="HTTP status of the response. Default: 200.",
)
@click.option("--header", "headers", multiple=True, help="A header of the response, `Name: value`. May be repeated.")
@click.option(
    "--previous", "previous_file", type=_FILE, help="A file with the previous object, whose status is updated."
)
@click.option("--now", "now_text", help="Time of the response (RFC 3339). Default: now.")
def render(
    *,
    watch_file: Path,
    response_file: Path,
    http_status: int,
    headers: tuple[str, ...],
    previous_file: Path | None,
    now_text: str | None,
) -> None:
    """Print the BackupJobWatch for one response from Azure. Needs neither a cluster nor Azure.

    Pass the response that describes the job. If the watch does not know its job yet, pass that of the operation, of the
    vault's job list, or of the request that starts a backup.

    A file may have several YAML documents, or a List, if one of the objects is a BackupJobWatch. The grace period is
    judged as if enough such responses had come in a row, since status.troubleSince of the previous object.

    \b
    Exit codes:
      0    the object was printed
      1    a file has no BackupJobWatch, or several
      2    an option is wrong, or a file does not exist

    \b
    Example:
      az rest --method get --url "https://management.azure.com$JOB_ID?api-version=2025-02-01" > job.json
      backupjobwatch render --watch watch.yaml --response job.json
    """  # noqa: D301 -- click's mark for a paragraph that is not wrapped
    now = datetime.now(UTC) if now_text is None else parse_time(now_text)
    if now is None:
        raise click.BadParameter(f"must be a time such as 2026-03-04T01:00:00Z, got {now_text!r}", param_hint="--now")
    body = _load(watch_file)
    body["status"] = _load(previous_file).get("status") if previous_file else body.get("status")
    watch = Watch.from_body(body)
    response = Response(status=http_status, headers=_headers(headers), body=response_file.read_bytes())
    spec = watch.spec_at(now)
    observed = Observed(NotPolledYet()) if isinstance(spec, InvalidSpec) else observe(watch, spec, response, now)
    body["status"] = next_status(
        watch,
        Assessment(finding=observed.finding, consecutive_failures=MIN_CONSECUTIVE_FAILURES),
        now=now,
        pinned=observed.pinned,
        record=observed.record,
    )
    click.echo(yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120), nl=False)


def _load(path: Path) -> dict[str, Any]:
    """Return the BackupJobWatch in a file of YAML documents or JSON."""
    try:
        documents = list(yaml.safe_load_all(path.read_text("utf-8-sig")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} is neither YAML nor JSON: {error}") from error
    objects = [each for document in documents for each in _objects(document)]
    watches = [
        each for each in objects if each.get("kind") == KIND and str(each.get("apiVersion")).partition("/")[0] == GROUP
    ]
    if len(watches) == 1 and isinstance(watches[0].get("spec", {}), dict):
        return watches[0]
    if watches:
        problem = "has no valid spec" if len(watches) == 1 else f"has {len(watches)} {KIND} objects. Keep one"
        raise click.ClickException(f"{path} {problem}.")
    kinds = dict.fromkeys(sanitize(str(each.get("kind") or "an object without kind"), 63) for each in objects)
    raise click.ClickException(f"{path} has no {KIND} of {GROUP}, only {', '.join(kinds) or 'no objects'}.")


def _objects(document: object) -> list[dict[str, Any]]:
    """Return the objects of a YAML document, which may be a List as kubectl prints it."""
    if not isinstance(document, dict):
        return []
    items = document.get("items")
    if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
        return [item for item in items if isinstance(item, dict)]
    return [document]


def _headers(lines: tuple[str, ...]) -> requests.structures.CaseInsensitiveDict[str]:
    headers = requests.structures.CaseInsensitiveDict[str]()
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise click.BadParameter(f'must be "Name: value", got {quoted(line)}', param_hint="--header")
        headers[name.strip()] = value.strip()
    if headers.keys().isdisjoint(_REQUEST_IDS):
        headers[_REQUEST_IDS[0]] = "unknown"  # az rest prints the body only
    return headers
