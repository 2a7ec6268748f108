"""The samples, the demo's watches and the README's example are what the CRD, the code and kustomize take them for."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import pytest
import yaml
from jsonschema import Draft202012Validator

from backupjobwatch import __version__
from backupjobwatch.constants import API_VERSION, KIND
from backupjobwatch.domain.api.spec import parse_spec
from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.errors import InvalidSpec
from backupjobwatch.settings import load_settings
from demo.simulator.jobs import DEMO_JOBS, RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.contract.markdown import blocks
from tests.contract.project import ROOT, Manifest, kustomize, load, pick, read
from tests.contract.schema import spec_schema
from tests.support.samples import FILES, every_object, name_of

if TYPE_CHECKING:
    from pathlib import Path

WATCHES: Final = load("demo/watches.yaml")
EVERY_WATCH: Final = [
    pytest.param(watch, id=name)
    for name, watches in [*((name_of(path), every_object(path)) for path in FILES), ("demo", iter(WATCHES))]
    for watch in watches
    if watch["kind"] == KIND
]


@pytest.mark.parametrize("watch", EVERY_WATCH)
def test_watches_are_valid(watch: Manifest) -> None:
    """Each watch of a sample, embedded ones too, and of the demo is taken by the CRD's schema, and by the code."""
    assert (watch["apiVersion"], watch["kind"]) == (API_VERSION, KIND)
    assert watch.keys() == {"apiVersion", "kind", "metadata", "spec"}
    Draft202012Validator(spec_schema()).validate(watch["spec"])
    parse_spec(watch["spec"])


def test_unknown_fields_are_refused() -> None:
    """The schema of these tests refuses what the CRD does not name, deep down too."""
    validator = Draft202012Validator(spec_schema())
    assert not validator.is_valid({"jobName": "n", "interval": "30s"})
    assert not validator.is_valid({"vault": {"subscriptionId": "s", "resourceGroup": "g", "name": "v", "kind": "k"}})


def test_sample_has_every_field() -> None:
    """The sample with every field has them all, but for those that exclude each other."""
    (watch,) = load("manifests/samples/backupjobwatch-every-field.yaml")
    schema = spec_schema()
    assert watch["spec"].keys() == schema["properties"].keys() - {"jobResourceId", "operationId", "latest"}
    assert watch["spec"]["vault"].keys() == schema["properties"]["vault"]["properties"].keys()


def test_sample_has_the_defaults() -> None:
    """The sample with every field shows the defaults, but for a deadline of its own."""
    (watch,) = load("manifests/samples/backupjobwatch-every-field.yaml")
    defaults = {name: field["default"] for name, field in spec_schema()["properties"].items() if "default" in field}
    assert {name for name, default in defaults.items() if watch["spec"][name] != default} == {"activeDeadlineSeconds"}


def test_refused_is_refused() -> None:
    """What the demo shows being refused, the code would refuse as well."""
    (watch,) = load("demo/refused.yaml")
    with pytest.raises(InvalidSpec):
        parse_spec(watch["spec"])


def test_demo_has_its_jobs() -> None:
    """The demo's watches name jobs that the simulator has, all but the one that is to show a job that is missing."""
    names = {job.name: job.properties.get("entityFriendlyName") for job in DEMO_JOBS}
    missing = set()
    for watch in WATCHES:
        job_id = parse_spec(watch["spec"]).source
        assert isinstance(job_id, JobId)
        vault = job_id.vault
        assert (vault.subscription_id, vault.resource_group, vault.name) == (SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)
        if job_id.name not in names:
            missing.add(watch["metadata"]["name"])
    assert missing == {"no-such-job"}


def test_readme_shows_the_sample() -> None:
    """The README's example of a watch is the sample."""
    shown = [yaml.safe_load(block) for block in blocks(read("README.md"), "yaml")]
    assert [each for each in shown if each["kind"] == KIND] == load("manifests/samples/backupjobwatch.yaml")


# ── the kustomization of the install page ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """The objects that the kustomization.yaml of the install page builds, beside the manifests."""
    (text,) = (block for block in blocks(read("docs/install.md"), "yaml") if "images:" in block)
    folder: Path = tmp_path_factory.mktemp("install")
    (folder / "kustomization.yaml").write_text(text, encoding="utf-8")
    for name in ("manifests", "crds"):
        shutil.copytree(ROOT / name, folder / name)
    return kustomize(folder)


def test_install_page_installs_all(installed: list[Manifest]) -> None:
    """It builds all that the base has."""
    base = kustomize(ROOT / "manifests" / "base")
    assert [(each["kind"], each["metadata"]["name"]) for each in installed] == [
        (each["kind"], each["metadata"]["name"]) for each in base
    ]


def test_install_page_installs_the_image(installed: list[Manifest]) -> None:
    """It runs the image of this version that the first step of the page builds and pushes."""
    (container,) = pick(installed, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"REGISTRY/backupjobwatch:{__version__}"
    assert f"docker build -t {container['image']} ." in read("docs/install.md")


def test_install_page_installs_the_identity(installed: list[Manifest]) -> None:
    """The pod asks for a workload identity, and its account names the client."""
    template = pick(installed, "Deployment")["spec"]["template"]
    assert template["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    account = pick(installed, "ServiceAccount")
    (client,) = account["metadata"]["annotations"].values()
    assert account["metadata"]["annotations"] == {"azure.workload.identity/client-id": client}
    assert f"azure.workloadIdentity.clientId={client} " in read("docs/install.md")
    assert template["spec"]["serviceAccountName"] == account["metadata"]["name"]


def test_install_page_allows_the_namespaces(monkeypatch: pytest.MonkeyPatch, installed: list[Manifest]) -> None:
    """The namespaces of the example are those that may use the identity, and every other setting stays."""
    (container,) = pick(installed, "Deployment")["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    settings = load_settings()
    assert settings.operator_identity_namespaces == ("team-a", "team-b")
    assert settings.namespaces == ()
    assert settings.log_format == "json"
