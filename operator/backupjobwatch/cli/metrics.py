"""``backupjobwatch metrics``: the list of metrics."""

from __future__ import annotations

import click

from backupjobwatch.observability.metrics.catalogue import as_markdown


@click.command()
def metrics() -> None:
    """Print all metrics of /metrics as a Markdown table."""
    for line in as_markdown():
        click.echo(line)
