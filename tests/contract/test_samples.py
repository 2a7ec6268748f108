"""The CRD, the code and kustomize accept the samples, the demo watches and the README example."""

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
    """The CRD's schema and the code accept each watch of the samples and the demo, including embedded ones."""
    assert (watch["apiVersion"], watch["kind"]) == (API_VERSION, KIND)
    assert watch.keys() == {"apiVersion", "kind", "metadata", "spec"}
    Draft202012Validator(spec_schema()).validate(watch["spec"])
    parse_spec(watch["spec"])


def test_unknown_fields_are_refused() -> None:
    """The schema refuses unknown fields at any depth."""
    validator = Draft202012Validator(spec_schema())
    assert not validator.is_valid({"jobName": "n", "interval": "30s"})
    assert not validator.is_valid({"vault": {"subscriptionId": "s", "resourceGroup": "g", "name": "v", "kind": "k"}})


def test_sample_has_every_field() -> None:
    """The sample with every field has all fields except mutually exclusive ones."""
    (watch,) = load("manifests/samples/backupjobwatch-every-field.yaml")
    schema = spec_schema()
    assert watch["spec"].keys() == schema["properties"].keys() - {"jobResourceId", "operationId", "latest", "onDemand"}
    assert watch["spec"]["vault"].keys() == schema["properties"]["vault"]["properties"].keys() - {"primaryRegion"}


def test_sample_has_the_defaults() -> None:
    """The sample with every field has the default values, except for its deadline."""
    (watch,) = load("manifests/samples/backupjobwatch-every-field.yaml")
    defaults = {name: field["default"] for name, field in spec_schema()["properties"].items() if "default" in field}
    assert {name for name, default in defaults.items() if watch["spec"][name] != default} == {"activeDeadlineSeconds"}


def test_refused_is_refused() -> None:
    """The code also refuses the watch that the demo shows as refused."""
    (watch,) = load("demo/refused.yaml")
    with pytest.raises(InvalidSpec):
        parse_spec(watch["spec"])


def test_demo_has_its_jobs() -> None:
    """The simulator has the jobs of the demo watches, except the one that demonstrates a missing job."""
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
    """The README's watches are the samples."""
    shown = [yaml.safe_load(block) for block in blocks(read("README.md"), "yaml")]
    assert [each for each in shown if each["kind"] == KIND] == [
        *load("manifests/samples/on-demand.yaml"),
        *load("manifests/samples/backupjobwatch.yaml"),
    ]


# ── the kustomization of the install page ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """The objects that the kustomization.yaml of the install page builds next to the manifests."""
    (text,) = (block for block in blocks(read("docs/install.md"), "yaml") if "images:" in block)
    folder: Path = tmp_path_factory.mktemp("install")
    (folder / "kustomization.yaml").write_text(text, encoding="utf-8")
    for name in ("manifests", "crds"):
        shutil.copytree(ROOT / name, folder / name)
    return kustomize(folder)


def test_install_page_installs_all(installed: list[Manifest]) -> None:
    """The kustomization builds all objects of the base."""
    base = kustomize(ROOT / "manifests" / "base")
    assert [(each["kind"], each["metadata"]["name"]) for each in installed] == [
        (each["kind"], each["metadata"]["name"]) for each in base
    ]


def test_install_page_installs_the_image(installed: list[Manifest]) -> None:
    """The pod runs the image that the page's first step builds and pushes, with this version."""
    (container,) = pick(installed, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"REGISTRY/backupjobwatch:{__version__}"
    assert f"docker build -t {container['image']} ." in read("docs/install.md")


def test_install_page_installs_the_identity(installed: list[Manifest]) -> None:
    """The pod requests a workload identity, and its ServiceAccount has the client ID."""
    template = pick(installed, "Deployment")["spec"]["template"]
    assert template["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    account = pick(installed, "ServiceAccount")
    (client,) = account["metadata"]["annotations"].values()
    assert account["metadata"]["annotations"] == {"azure.workload.identity/client-id": client}
    assert f"azure.workloadIdentity.clientId={client} " in read("docs/install.md")
    assert template["spec"]["serviceAccountName"] == account["metadata"]["name"]


def test_install_page_allows_the_namespaces(monkeypatch: pytest.MonkeyPatch, installed: list[Manifest]) -> None:
    """The example's namespaces may use the identity, and all other settings stay unchanged."""
    (container,) = pick(installed, "Deployment")["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    settings = load_settings()
    assert settings.operator_identity_namespaces == ("team-a", "team-b")
    assert settings.namespaces == ()
    assert settings.log_format == "json"
