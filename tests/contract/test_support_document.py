"""docs/support.md claims only versions that tests cover and that the other files require."""

from __future__ import annotations

import re

from backupjobwatch.settings import Settings
from tests.contract import markdown
from tests.contract.kustomizations import KUBERNETES
from tests.contract.project import load, pyproject, read
from tests.contract.workflows import matrix


def supported() -> dict[str, dict[str, str]]:
    return {row[""]: row for row in markdown.table(read("docs/support.md"), "")}


def test_supported_kubernetes() -> None:
    """The documented versions match CI and the schemas, and the chart and README require the oldest one."""
    row = supported()["Kubernetes"]
    least = row["versions"].removesuffix(" or newer")
    tried, validated = (
        re.findall(r"\b1\.\d\d\b", part) for part in row["how it is tested"].split("CI runs")[1].split(";")
    )
    assert tried == [each["kubernetes"] for each in matrix()]
    assert validated == list(KUBERNETES)
    assert tried[0] == validated[0] == least
    (chart,) = load("manifests/chart/Chart.yaml")
    assert chart["kubeVersion"] == f">={least}.0-0"
    assert f"Kubernetes {least} or newer" in read("README.md")


def test_supported_python_and_azure() -> None:
    """The documented versions match the Python minimum, the image's Python and Debian, and the API version settings."""
    rows = {name: markdown.plain(row["versions"]) for name, row in supported().items()}
    assert f"{pyproject()['project']['requires-python'].removeprefix('>=')} or newer" == rows["Python"]
    (image,) = set(re.findall(r"^FROM python:(\S+)", read("Dockerfile"), re.MULTILINE))
    python, _, suite = image.split("-")
    assert f"The image has {python} on Debian {suite}:" in supported()["Python"]["how it is tested"]
    settings = Settings()
    assert rows["Recovery Services vaults"] == settings.azure_api_version
    assert rows["Backup vaults"] == settings.azure_data_protection_api_version
