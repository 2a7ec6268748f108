"""Read the files of manifests/components/monitoring."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from tests.contract.project import load, read

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPONENT: Final = "manifests/components/monitoring"
(_RULE,) = load(f"{COMPONENT}/prometheusrule.yaml")
GROUPS: Final[dict[str, Any]] = _RULE["spec"]
ALERTS: Final[dict[str, dict[str, Any]]] = {
    rule["alert"]: rule for group in GROUPS["groups"] for rule in group["rules"]
}
DASHBOARD: Final[dict[str, Any]] = json.loads(read(f"{COMPONENT}/dashboard.json"))
RATE_INTERVAL: Final = "$__rate_interval"


def rule_file(*, without: str | None = None) -> str:
    """Return the rules as a Prometheus rule file, optionally with one alert that never fires."""
    rules = json.loads(json.dumps(GROUPS))
    for group in rules["groups"]:
        for rule in group["rules"]:
            if rule["alert"] == without:
                rule["expr"] = "vector(0) > 1"
    return yaml.safe_dump(rules, sort_keys=False)


def dashboard_queries(rate_interval: str) -> Iterator[tuple[str, str]]:
    """Yield the title and query of each dashboard panel, with Grafana's variable replaced."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace(RATE_INTERVAL, rate_interval)


def metrics_in(query: str) -> set[str]:
    """Return the operator's metrics in *query*, without histogram suffixes."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"backupjobwatch_\w+", query)}
