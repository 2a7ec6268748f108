"""``backupjobwatch check``: whether the settings work."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

import click

from backupjobwatch.arm.client import ArmClient
from backupjobwatch.arm.credentials import operator_tokens
from backupjobwatch.cli.settings import complain, read_settings
from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.errors import AzureError, KubeError, ObjectNotFound, SettingsError
from backupjobwatch.kube.client import KubeClient
from backupjobwatch.kube.leader_election import lease_namespace
from backupjobwatch.observability.metrics.instruments import Metrics

if TYPE_CHECKING:
    from backupjobwatch.settings import Settings


@click.command()
@click.option("--job", "job_id", metavar="ID", help="Resource ID of a job to read with the operator's identity.")
def check(job_id: str | None) -> None:
    """Print the settings and check that they work.

    Gets a token, sends a request to Azure Resource Manager, and lists the watches. Exits with 1 if one of these fails,
    and with 2 if a setting or the job ID is wrong.
    """
    try:
        job = None if job_id is None else JobId.parse(job_id)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--job") from error
    settings = read_settings()
    logging.disable()
    for variable, value in settings.describe().items():
        click.echo(f"{variable}={value}")
    try:
        failures = asyncio.run(_failures(settings, job))
    except SettingsError as error:
        complain(error)
    sys.exit(1 if failures else 0)


async def _failures(settings: Settings, job_id: JobId | None) -> int:
    failures = 0
    client = ArmClient(settings, Metrics())
    try:
        tokens = operator_tokens(settings)
        await client.get_token(tokens)
        click.echo("Azure: a token could be had.")
        await client.check(tokens)
        click.echo(f"Azure: {settings.azure_endpoint} answers and accepts the token.")
        if job_id is not None:
            job = (await client.get_job(tokens, job_id)).value
            click.echo(f"Azure: the job {job_id.name} can be read. Its status is {job.status}.")
    except AzureError as error:
        failures += 1
        click.echo(f"Azure: {error.reason}: {error}")
    finally:
        client.close()
    try:
        kube = await KubeClient.connect()
        try:
            for namespace in settings.scopes:
                await kube.check(namespace)
                click.echo(f"Kubernetes: watches of {namespace or 'all namespaces'} can be listed.")
            if settings.leader_election:
                await _check_lease(settings, kube)
        finally:
            await kube.close()
    except KubeError as error:
        failures += 1
        click.echo(f"Kubernetes: {error}")
    return failures


async def _check_lease(settings: Settings, kube: KubeClient) -> None:
    namespace = lease_namespace(settings)
    try:
        lease = await kube.read_lease(namespace, settings.lease_name)
    except ObjectNotFound:
        lease = {}
    holder = lease.get("spec", {}).get("holderIdentity") or "nobody"
    click.echo(f"Kubernetes: the Lease {namespace}/{settings.lease_name} is held by {holder}.")
