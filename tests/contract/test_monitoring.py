"""Alerts, runbooks and the dashboard match each other and the metrics, and promtool tests the alerts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from backupjobwatch.observability.metrics import catalogue
from backupjobwatch.settings import Settings
from demo.prometheus import find_binaries
from tests.contract.kustomizations import build
from tests.contract.markdown import blocks, table
from tests.contract.monitoring import ALERTS, COMPONENT, DASHBOARD, dashboard_queries, metrics_in, rule_file
from tests.contract.project import ROOT, Manifest, kustomize, load, pick, read
from tests.support.documents import load_document
from tests.support.helm import CHART, run_helm

if TYPE_CHECKING:
    from pathlib import Path

UNIT_TESTS: Final = ROOT / "tests" / "data" / "prometheus" / "alerts.yaml"
KNOWN: Final = {metric.name for metric in catalogue.ALL}
EACH_ALERT: Final = pytest.mark.parametrize("alert", ALERTS)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """The objects that the base and the component build together."""
    folder = tmp_path_factory.mktemp("overlay").resolve()
    up = os.path.relpath(ROOT, folder)
    text = f"resources: [{up}/manifests/base]\ncomponents: [{up}/{COMPONENT}]\n"
    (folder / "kustomization.yaml").write_text(text, encoding="utf-8")
    return kustomize(folder)


def silence(folder: Path, rule: Manifest, gone: str, *others: str) -> str:
    """Return promtool's errors unless exactly one alert fires, and names the missing operator *gone*."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")
    values = {**dict.fromkeys(others, "1x60"), gone: "1x10 stale"}
    one = [{"labels": "{}", "value": 1}]
    firing = ('count(ALERTS{alertstate="firing"})', f'count(ALERTS{{alertname="BackupJobWatchDown",{gone}}})')
    test = {
        "interval": "1m",
        "input_series": [
            {"series": f"backupjobwatch_build_info{{{labels}}}", "values": each} for labels, each in values.items()
        ],
        "promql_expr_test": [{"expr": query, "eval_time": "30m", "exp_samples": one} for query in firing],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}), encoding="utf-8")
    done = promtool("test", "rules", "test.yaml", folder=folder)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def promtool(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(find_binaries().promtool), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


# ── alerts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    """Prometheus accepts the rule file."""
    (tmp_path / "rules.yaml").write_text(rule_file(), encoding="utf-8")
    done = promtool("check", "rules", "--lint-fatal", "rules.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """The alerts pass their unit tests, which also cover a healthy operator."""
    (tmp_path / "rules.yaml").write_text(rule_file(), encoding="utf-8")
    shutil.copy(UNIT_TESTS, tmp_path)
    done = promtool("test", "rules", UNIT_TESTS.name, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@EACH_ALERT
def test_each_alert_is_tried(tmp_path: Path, alert: str) -> None:
    """The unit tests detect an alert that never fires."""
    (tmp_path / "rules.yaml").write_text(rule_file(without=alert), encoding="utf-8")
    file = load_document(UNIT_TESTS.read_text(encoding="utf-8"))
    file["tests"] = [test for test in file["tests"] if alert in str(test)]
    (tmp_path / UNIT_TESTS.name).write_text(yaml.safe_dump(file), encoding="utf-8")
    done = promtool("test", "rules", UNIT_TESTS.name, folder=tmp_path)
    assert done.returncode == 1
    assert alert in done.stdout + done.stderr


def test_missing_shards_are_reported(tmp_path: Path) -> None:
    """With the sample of shards and its component, an alert reports a missing shard while the others run."""
    folder = tmp_path.resolve()
    sharded = os.path.relpath(ROOT / "manifests" / "samples" / "sharded", folder)
    text = f"resources: [{sharded}]\ncomponents: [{sharded}/monitoring]\n"
    (folder / "kustomization.yaml").write_text(text, encoding="utf-8")
    objects = kustomize(folder)
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in objects if each["kind"] == "Deployment"]
    instances = [f'app_kubernetes_io_instance="{labels["app.kubernetes.io/instance"]}"' for labels in pods]
    assert len(set(instances)) == 2
    assert pick(objects, "PodMonitor")["spec"]["podTargetLabels"] == ["app.kubernetes.io/instance"]
    for gone in instances:
        assert silence(folder, pick(objects, "PrometheusRule"), gone, *{*instances} - {gone}) == ""


def test_a_missing_operator_of_a_namespace_is_reported(tmp_path: Path) -> None:
    """The documented patch and the chart both report a missing operator of a single namespace."""
    (text,) = (each for each in blocks(read("docs/metrics.md"), "yaml") if "team-a" in each)
    patched = build(tmp_path.resolve(), "namespaced", "monitoring", namespace="team-a", **yaml.safe_load(text))
    sets = [part for each in ("namespaced=true", "monitoring.enabled=true") for part in ("--set", each)]
    done = run_helm(tmp_path, "template", "backupjobwatch", str(CHART), "--namespace", "team-a", *sets)
    assert silence(tmp_path, pick(patched, "PrometheusRule"), 'namespace="team-a"', 'namespace="team-b"') == ""
    rule = pick(list(yaml.safe_load_all(done.stdout)), "PrometheusRule")
    gone, other = (f'app_kubernetes_io_instance="backupjobwatch",namespace="team-{team}"' for team in "ab")
    assert silence(tmp_path, rule, gone, other) == ""


def test_missing_releases_are_reported(tmp_path: Path) -> None:
    """Each release of the chart reports its own missing operator while another release runs in the namespace."""
    releases = {name: f'app_kubernetes_io_instance="{name}",namespace="n"' for name in ("shard-a", "shard-b")}
    for name, gone in releases.items():
        done = run_helm(tmp_path, "template", name, str(CHART), "--namespace", "n", "--set", "monitoring.enabled=true")
        rule = pick(list(yaml.safe_load_all(done.stdout)), "PrometheusRule")
        assert silence(tmp_path, rule, gone, *{*releases.values()} - {gone}) == ""


@EACH_ALERT
def test_alerts_use_existing_metrics(alert: str) -> None:
    """Every metric of an alert is in the catalogue, with existing label values."""
    query = ALERTS[alert]["expr"]
    assert metrics_in(query)
    assert metrics_in(query) <= KNOWN
    assert unknown_values(query) == []


@EACH_ALERT
def test_each_alert_has_a_runbook(alert: str) -> None:
    """An alert states its problem and severity, and links to a page with checks and remedies."""
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    repository, _, path = rule["annotations"]["runbook_url"].partition("/blob/main/")
    assert repository == "https://github.com/OWNER/backupjobwatch"
    page = read(path)
    assert page.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == ["What to look at", "What to do"]
    assert metrics_in(page) <= KNOWN


def test_runbooks_are_those_of_the_alerts() -> None:
    """Each page belongs to an alert, and the index lists all pages with their severity."""
    pages = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")} - {"README"}
    assert pages == ALERTS.keys()
    listed = {row["alert"]: row["severity"] for row in table(read("docs/runbooks/README.md"), "alert")}
    assert listed == {f"[{name}]({name}.md)": rule["labels"]["severity"] for name, rule in ALERTS.items()}


# ── dashboard ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_dashboard_uses_existing_metrics() -> None:
    """The dashboard covers the catalogue except four metrics, and uses only existing label values."""
    shown: set[str] = set()
    for title, query in dashboard_queries("5m"):
        assert metrics_in(query) <= KNOWN, title
        assert unknown_values(query) == [], title
        assert "$" not in query, title
        shown |= metrics_in(query)
    unseen = {catalogue.LEFT_OUT.name, catalogue.RESYNC.name, catalogue.WATCH_START.name, catalogue.WATCH_DURATION.name}
    assert KNOWN - shown == unseen


def test_dashboard_is_laid_out() -> None:
    """Panels have unique IDs and titles, do not overlap, and fit into Grafana's 24 columns."""
    panels = DASHBOARD["panels"]
    for name in ("id", "title"):
        assert len({panel[name] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels)


# ── manifests ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_component_builds(objects: list[Manifest]) -> None:
    """The base and the component build together, and the added objects have labels and the operator's namespace."""
    added = [each for each in objects if each["kind"] in ("Service", "PodMonitor", "PrometheusRule", "ConfigMap")]
    assert len(added) == 4
    for each in added:
        assert each["metadata"]["labels"]["app.kubernetes.io/name"] == "backupjobwatch"
        assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "backupjobwatch"


def test_scrapes_find_the_pod(objects: list[Manifest]) -> None:
    """The Service and the PodMonitor select the Deployment's pods and the named metrics port."""
    pod = pick(objects, "Deployment")["spec"]["template"]
    ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
    assert ports["metrics"] == Settings().metrics_port
    service, monitor = pick(objects, "Service")["spec"], pick(objects, "PodMonitor")["spec"]
    for selector in (service["selector"], monitor["selector"]["matchLabels"]):
        assert selector
        assert selector.items() <= pod["metadata"]["labels"].items()
    (port,), (endpoint,) = service["ports"], monitor["podMetricsEndpoints"]
    assert (port["targetPort"], port["port"], endpoint["port"]) == ("metrics", ports["metrics"], "metrics")
    assert (endpoint["path"], endpoint["honorLabels"]) == ("/metrics", True)


def test_service_monitor(tmp_path: Path) -> None:
    """The ServiceMonitor replaces the PodMonitor: it selects the Service and scrapes the same port in the same way."""
    built = build(tmp_path.resolve(), "default", "monitoring", "service-monitor")
    assert "PodMonitor" not in {each["kind"] for each in built}
    spec, service = pick(built, "ServiceMonitor")["spec"], pick(built, "Service")
    assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    pods = pick(build(tmp_path.resolve(), "default", "monitoring"), "PodMonitor")["spec"]
    assert spec["endpoints"] == pods["podMetricsEndpoints"]
    assert spec["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert spec["podTargetLabels"] == pods["podTargetLabels"]


def test_azures_prometheus(tmp_path: Path) -> None:
    """With the documented patches, the PodMonitor changes only its API group to Azure's."""
    (text,) = (each for each in blocks(read("docs/metrics.md"), "yaml") if "azmonitoring" in each)
    objects = build(tmp_path, "default", "monitoring", **yaml.safe_load(text))
    ours = pick(build(tmp_path, "default", "monitoring"), "PodMonitor")
    assert pick(objects, "PodMonitor") == {**ours, "apiVersion": "azmonitoring.coreos.com/v1"}
    assert not [each for each in objects if each["apiVersion"].startswith("monitoring.coreos.com/")]


def test_grafana_finds_the_dashboard(objects: list[Manifest]) -> None:
    """The complete dashboard is in a ConfigMap with the label that Grafana's sidecar expects."""
    config = pick(objects, "ConfigMap")
    assert config["metadata"]["name"] == "backupjobwatch-dashboard"
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["data"] == {"dashboard.json": read(f"{COMPONENT}/dashboard.json")}
    (component,) = load(f"{COMPONENT}/kustomization.yaml")
    assert component["kind"] == "Component"


def unknown_values(query: str) -> list[tuple[str, str]]:
    """Return the label values in *query* that none of its metrics can have."""
    by_name = {metric.name: metric for metric in catalogue.ALL}
    unknown: list[tuple[str, Any]] = []
    for name, selector in re.findall(r"(backupjobwatch_\w+)\{([^}]*)\}", query):
        labels = by_name[metrics_in(name).pop()].labels
        for label, text in re.findall(r'(\w+)(?:=|!=|=~|!~)"([^"]*)"', selector):
            unknown += [(label, value) for value in text.split("|") if value not in labels.get(label, ())]
    return unknown
