"""docs/metrics.md matches metrics/catalogue.py, and the catalogue matches the other documents."""

from __future__ import annotations

import re
from typing import Final

import pytest
from click.testing import CliRunner

from backupjobwatch.cli import main
from backupjobwatch.domain.status.summary import OTHER, OUTCOMES, PHASES, REASONS, UNSEEN
from backupjobwatch.domain.status.verdict import FAILED, PENDING, RUNNING, SUCCEEDED
from backupjobwatch.observability.metrics import catalogue
from tests.contract.markdown import blocks, commands, plain, table
from tests.contract.monitoring import metrics_in
from tests.contract.project import load, read
from tests.support.azure_errors import KINDS

DOCUMENT: Final = read("docs/metrics.md")
EXPLAINED: Final = {plain(row["reason"]): row["phase"] for row in table(read("docs/troubleshooting.md"), "reason")}


def test_lists_what_the_command_prints() -> None:
    """The table matches the output of ``backupjobwatch metrics`` line by line."""
    printed = CliRunner().invoke(main, ["metrics"])
    assert printed.exit_code == 0
    lines = [line for line in DOCUMENT.splitlines() if line.startswith("|")]
    assert lines == printed.output.splitlines()
    assert len(lines) == 2 + len(catalogue.ALL)


@pytest.mark.parametrize("metric", catalogue.ALL, ids=lambda metric: metric.name)
def test_names_follow_prometheus(metric: catalogue.Metric) -> None:
    """Each metric name is unique and has the prefix, its unit, and ``_total`` for counters.

    https://prometheus.io/docs/practices/naming/
    """
    assert re.fullmatch(r"backupjobwatch(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_seconds") or metric.kind != "histogram"
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(metric.buckets)
    assert [each.name for each in catalogue.ALL].count(metric.name) == 1
    assert metric.meaning.endswith(".")


def test_reasons_are_those_that_are_explained() -> None:
    """Metrics distinguish the reasons and outcomes that docs/troubleshooting.md explains."""
    assert set(REASONS) - {UNSEEN, OTHER} == EXPLAINED.keys()
    ends = {phase: {reason for reason, told in EXPLAINED.items() if phase in told} for phase in (SUCCEEDED, FAILED)}
    assert ends == {phase: set(reasons) for phase, reasons in OUTCOMES.items()}
    assert {UNSEEN, PENDING, RUNNING, SUCCEEDED, FAILED, OTHER} == set(PHASES)


def test_token_failures_are_azure_errors() -> None:
    """The reasons of token failures are reasons of AzureErrors."""
    assert set(catalogue.TOKEN_TROUBLE) - {OTHER} <= {kind.reason for kind in KINDS}


def test_queries_use_existing_metrics() -> None:
    """Every metric in the document's queries is in the catalogue."""
    named = {name for query in blocks(DOCUMENT, "promql") for name in metrics_in(query)}
    assert named
    assert named <= {metric.name for metric in catalogue.ALL}


def test_the_label_of_the_network_policy() -> None:
    """The guide names the namespace label that the NetworkPolicy requires for scraping."""
    (policy,) = load("manifests/components/network-policy/networkpolicy.yaml")
    (rule,) = (each for each in policy["spec"]["ingress"] if "from" in each)
    ((name, value),) = rule["from"][0]["namespaceSelector"]["matchLabels"].items()
    assert f"kubectl label namespace monitoring {name}={value}" in set(commands(read("docs/install.md")))
