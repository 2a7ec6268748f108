"""``backupjobwatch check``: checks that the settings, the cluster and the identities work."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

import click

from backupjobwatch.arm.client import ArmClient
from backupjobwatch.arm.credentials import operator_tokens
from backupjobwatch.arm.identities import ClusterCredentialProvider
from backupjobwatch.cli.settings import complain, read_settings
from backupjobwatch.domain.api.target import Identity, parse_identity
from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.errors import AzureError, InvalidSpec, KubeError, ObjectNotFound, SettingsError
from backupjobwatch.kube.client import KubeClient
from backupjobwatch.kube.leader_election import lease_namespace
from backupjobwatch.observability.metrics.instruments import Metrics
from backupjobwatch.settings import PREFIX

if TYPE_CHECKING:
    from backupjobwatch.arm.credentials import TokenSource
    from backupjobwatch.settings import Settings

_KINDS = {"serviceaccount": "serviceAccountName", "secret": "secretName"}
"""Kinds of objects that an identity comes from, with their fields of ``spec.identity``."""


class _IdentityType(click.ParamType[Identity]):
    """A ServiceAccount or a Secret, as kubectl names objects."""

    name = "identity"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Identity:
        """Return the identity."""
        kind, _, name = str(value).partition("/")
        try:
            return parse_identity({_KINDS[kind.lower()]: name})
        except (KeyError, InvalidSpec):
            self.fail(f"must be serviceaccount/NAME or secret/NAME, got {value!r}", param, ctx)


@click.command()
@click.option("--job", "job_id", metavar="ID", help="Resource ID of a job to read, to prove the permission.")
@click.option("--namespace", "-n", metavar="NAME", help="Check the identity of watches in this namespace.")
@click.option(
    "--identity",
    type=_IdentityType(),
    metavar="KIND/NAME",
    help="With --namespace: serviceaccount/NAME or secret/NAME. Default: the operator's identity.",
)
def check(job_id: str | None, namespace: str | None, identity: Identity | None) -> None:
    """Print the settings and check that they work.

    The command lists the watches, gets a token for Azure, and sends a request to Azure Resource Manager. With --job it
    also reads a job. Without --job and --namespace it skips Azure if no namespace may use the operator's identity.

    \b
    Exit codes:
      0    all checks passed
      1    a check failed
      2    a setting or an option is wrong

    \b
    Examples:
      backupjobwatch check
      backupjobwatch check --job "$JOB_ID"
      backupjobwatch check --namespace team-a --identity serviceaccount/backup-reader --job "$JOB_ID"
    """  # noqa: D301 -- click's mark for a paragraph that is not wrapped
    if identity is not None and namespace is None:
        raise click.UsageError("--identity requires --namespace, because an identity belongs to a namespace.")
    try:
        job = None if job_id is None else JobId.parse(job_id)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--job") from error
    settings = read_settings()
    logging.disable()
    for variable, value in settings.describe().items():
        click.echo(f"{variable}={value}")
    try:
        results = asyncio.run(_Checks(settings, namespace, identity or Identity(), job).run())
    except SettingsError as error:
        complain(error)
    sys.exit(0 if all(results) else 1)


class _Checks:
    """The checks of one run. Each prints its result and returns whether it passed."""

    def __init__(self, settings: Settings, namespace: str | None, identity: Identity, job: JobId | None) -> None:
        self._settings = settings
        self._namespace = namespace
        self._identity = identity
        self._job = job
        self._metrics = Metrics()

    async def run(self) -> list[bool]:
        """Run all checks."""
        try:
            kube = await KubeClient.connect()
        except KubeError as error:
            click.echo(f"Kubernetes: {error}")
            # The operator's own identity needs no cluster.
            return [False, await self._check_azure(None)]
        try:
            return [await self._check_azure(kube), await self._check_cluster(kube)]
        finally:
            await kube.close()

    async def _check_azure(self, kube: KubeClient | None) -> bool:
        settings = self._settings
        if self._namespace is None and not settings.operator_identity_namespaces:
            variable = f"{PREFIX}OPERATOR_IDENTITY_NAMESPACES"
            if self._job is None:
                click.echo(f"Azure: skipped. No namespace may use the operator's identity: {variable} is empty.")
                return True
            click.echo(f"Azure: {variable} is empty, so no watch may use the identity that is checked here.")
        if self._namespace is not None and kube is None:
            click.echo(f"Azure: skipped. The identity of namespace {self._namespace} is read from the cluster.")
            return False
        client = ArmClient(settings, self._metrics)
        provider = None if kube is None else ClusterCredentialProvider(settings, kube, self._metrics)
        try:
            tokens = await self._find_tokens(provider)
            await self._request(client, tokens)
        except AzureError as error:
            click.echo(f"Azure: {error.reason}: {str(error).replace('spec.identity', '--identity')}")
            return False
        finally:
            if provider is not None:
                provider.close()
            client.close()
        return True

    async def _find_tokens(self, provider: ClusterCredentialProvider | None) -> TokenSource:
        if self._namespace is None or provider is None:
            return operator_tokens(self._settings)
        return (await provider.find(self._namespace, self._identity)).tokens

    async def _request(self, client: ArmClient, tokens: TokenSource) -> None:
        await client.get_token(tokens)
        click.echo("Azure: got a token.")
        await client.check(tokens)
        click.echo(f"Azure: {self._settings.azure_endpoint} accepts the token.")
        if self._job is not None:
            job = (await client.get_job(tokens, self._job)).value
            click.echo(f"Azure: read the job {self._job.name}. Its status is {job.status}.")

    async def _check_cluster(self, kube: KubeClient) -> bool:
        try:
            for namespace in self._settings.scopes:
                await kube.check(namespace)
                where = "all namespaces" if namespace is None else f"namespace {namespace}"
                click.echo(f"Kubernetes: the watches of {where} can be listed.")
            if self._settings.leader_election:
                await self._check_lease(kube)
        except KubeError as error:
            click.echo(f"Kubernetes: {error}")
            return False
        return True

    async def _check_lease(self, kube: KubeClient) -> None:
        namespace = lease_namespace(self._settings)
        name = f"{namespace}/{self._settings.lease_name}"
        try:
            lease = await kube.read_lease(namespace, self._settings.lease_name)
        except ObjectNotFound:
            lease = {}
        holder = lease.get("spec", {}).get("holderIdentity")
        click.echo(f"Kubernetes: the Lease {name} is {f'held by {holder}' if holder else 'not held'}.")
