"""The command line: ``backupjobwatch run | check | render``."""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import requests
import yaml

from backupjobwatch import __version__
from backupjobwatch.arm.client import ArmClient
from backupjobwatch.arm.credentials import operator_tokens
from backupjobwatch.arm.responses import Answer, read_job
from backupjobwatch.core.spec import parse_spec
from backupjobwatch.core.status import next_status
from backupjobwatch.core.times import parse_time
from backupjobwatch.core.verdict import MIN_RUN
from backupjobwatch.core.watch import Watch
from backupjobwatch.errors import AzureError, InvalidSpec, NotAsked, ObjectGone, SettingsError, StoreError
from backupjobwatch.logs import configure_logs
from backupjobwatch.run import run as run_operator
from backupjobwatch.settings import Settings, load_settings
from backupjobwatch.store import Store

if TYPE_CHECKING:
    from backupjobwatch.core.jobs import Job

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_WRONG_SETTINGS: Final = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="backupjobwatch")
def main() -> None:
    """Mirror Azure Backup jobs into BackupJobWatch objects."""


@main.command()
def run() -> None:
    """Run the operator. Settings are environment variables: see `backupjobwatch check`."""
    settings = _settings()
    configure_logs(settings)
    try:
        asyncio.run(run_operator(settings))
    except StoreError as error:
        raise click.ClickException(str(error)) from error


@main.command()
def check() -> None:
    """Print the settings, and find out whether they work.

    Asks for a token and lists the watches. Exits with 1 where either fails, with 2 where a setting is wrong.
    """
    settings = _settings()
    logging.disable()
    for variable, value in settings.describe().items():
        click.echo(f"{variable}={value}")
    failures = asyncio.run(_failures(settings))
    sys.exit(1 if failures else 0)


@main.command()
@click.option("--watch", "watch_file", type=_FILE, required=True, help="The BackupJobWatch, as YAML or JSON.")
@click.option("--response", "response_file", type=_FILE, required=True, help="The body of Azure's answer.")
@click.option("--status", "http_status", type=click.IntRange(100, 599), default=200, help="The answer's HTTP status.")
@click.option("--header", "headers", multiple=True, help="A header of the answer, `Name: value`. May be repeated.")
@click.option("--previous", "previous_file", type=_FILE, help="The object as it was before: its status is built upon.")
@click.option("--now", "now_text", help="When that happens (RFC 3339). Default: now.")
def render(
    *,
    watch_file: Path,
    response_file: Path,
    http_status: int,
    headers: tuple[str, ...],
    previous_file: Path | None,
    now_text: str | None,
) -> None:
    """Print the object that one answer of Azure's would produce: no cluster, no Azure.

    \b
    Example:
      az rest --method get --url "https://management.azure.com$JOB_ID?api-version=2025-02-01" > job.json
      backupjobwatch render --watch watch.yaml --response job.json

    Grace is judged as if enough such answers had come in a row: by the time since status.troubleSince of the
    previous object.
    """  # noqa: D301 -- click's mark for a paragraph to be left as it is
    now = datetime.now(UTC) if now_text is None else parse_time(now_text)
    if now is None:
        raise click.BadParameter("write a time such as 2026-03-04T01:00:00Z", param_hint="--now")
    body = _load(watch_file)
    body["status"] = _load(previous_file).get("status") if previous_file else body.get("status")
    watch = Watch.from_body(body)
    answer = Answer(status=http_status, headers=_headers(headers), body=response_file.read_bytes())
    observation: Job | AzureError
    try:
        observation = read_job(answer, parse_spec(watch.spec).job_id, now=now)
    except AzureError as error:
        observation = error
    except InvalidSpec as error:
        observation = NotAsked(str(error))
    body["status"] = next_status(watch, observation, run=MIN_RUN, now=now)
    click.echo(yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120), nl=False)


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        click.echo(f"The settings are wrong:\n{error}", err=True)
        sys.exit(_WRONG_SETTINGS)


async def _failures(settings: Settings) -> int:
    failures = 0
    client = ArmClient(settings, operator_tokens(settings))
    try:
        await client.get_token()
        click.echo("Azure: a token could be had.")
    except AzureError as error:
        failures += 1
        click.echo(f"Azure: {error.reason}: {error}")
    finally:
        client.close()
    try:
        store = await Store.connect()
        try:
            for namespace in settings.scopes:
                await store.check(namespace)
                click.echo(f"Kubernetes: watches of {namespace or 'all namespaces'} can be listed.")
        finally:
            await store.close()
    except ObjectGone:
        failures += 1
        click.echo("Kubernetes: the CRD is not installed: kubectl apply -k crds")
    except StoreError as error:
        failures += 1
        click.echo(f"Kubernetes: {error}")
    return failures


def _load(path: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} is neither YAML nor JSON: {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("spec", {}), dict):
        raise click.ClickException(f"{path} is not one BackupJobWatch")
    return value


def _headers(lines: tuple[str, ...]) -> requests.structures.CaseInsensitiveDict[str]:
    headers = requests.structures.CaseInsensitiveDict[str]()
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise click.BadParameter("write Name: value", param_hint="--header")
        headers[name.strip()] = value.strip()
    return headers
