"""``backupjobwatch metrics``: what /metrics tells."""

from __future__ import annotations

import click

from backupjobwatch.observability.metrics.catalogue import as_markdown


@click.command()
def metrics() -> None:
    """Print the list of metrics that /metrics tells, as a table of Markdown."""
    for line in as_markdown():
        click.echo(line)
