"""kubectl creates the samples of Flux, Argo, Tekton and Azure Monitor on stand-ins for the tools' CRDs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from backupjobwatch.constants import API_VERSION, KIND
from backupjobwatch.domain.api.spec import parse_spec
from tests.support.az import option
from tests.support.samples import FILES, SAMPLES, every_object, filled_in, name_of, objects, sample
from tests.support.shell import Shell
from tests.support.stand_ins import STAND_INS
from tests.support.watches import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.controlplane import ControlPlane, Kubectl

COMPONENT = sample("azure-monitor/flux-allows-watches")
RECEIVER = sample("azure-monitor/receiver.yaml")
OF_TOOLS = [path for path in FILES if path.suffix == ".yaml" and path.parent not in (SAMPLES, COMPONENT)]
WITH_WATCHES = [path for path in FILES if any(each["kind"] == KIND for each in every_object(path))]
CUSTOM = {API_VERSION, *(f"{crd['spec']['group']}/{crd['spec']['versions'][0]['name']}" for crd in STAND_INS)}
EMBEDDED = dict.fromkeys(
    (
        *("argo-workflows/workflow.yaml", "argo-workflows/on-demand.yaml"),
        *("tekton/task.yaml", "tekton/on-demand.yaml", "tekton/event-listener.yaml"),
        "shell/backup-and-wait.sh",
    ),
    1,
)
CREATE = ("create", "--validate=strict", "-o", "yaml", "-f")


@pytest.fixture(scope="module")
def flux_system(
    control_plane: ControlPlane, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The stand-in CRDs, patched by our component as in flux-system. Requires the embedded control plane."""
    folder = tmp_path_factory.mktemp("flux-system")
    (folder / "crds.yaml").write_text(yaml.safe_dump_all(STAND_INS), "utf-8")
    kustomization = {"resources": ["crds.yaml"], "components": [os.path.relpath(COMPONENT, folder)]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), "utf-8")
    kubectl("apply", "--server-side", "-k", str(folder))
    kubectl.wait_established("-f", str(folder / "crds.yaml"))
    yield folder
    kubectl("delete", "-k", str(folder))


def load(text: str) -> list[dict[str, Any]]:
    """Return the objects in the output of kubectl."""
    return list(yaml.safe_load_all(text))


@pytest.mark.parametrize("path", OF_TOOLS, ids=name_of)
def test_taken(flux_system: Path, kubectl: Kubectl, namespace: str, path: Path) -> None:
    """The API server accepts each sample unchanged, with strict validation, and stores all its fields."""
    kept = load(kubectl(*CREATE, str(path), "-n", namespace).stdout)
    for mine, theirs in zip(objects(path), kept, strict=True):
        assert_has(theirs, mine)
        if "namespace" not in theirs["metadata"]:  # not deleted with the namespace
            kubectl("delete", theirs["kind"], theirs["metadata"]["name"])


def assert_has(whole: Any, part: Any) -> None:
    """Assert that *whole* contains *part*. It may have more fields, such as defaults."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "stringData":  # write-only: the API server stores it as data
                assert whole["data"].keys() >= value.keys()
            else:
                assert_has(whole[name], value)
    elif isinstance(part, list):
        for one, other in zip(whole, part, strict=True):
            assert_has(one, other)
    else:
        assert whole == part


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_embedded_are_taken(flux_system: Path, kubectl: Kubectl, namespace: str, path: Path) -> None:
    """The API server accepts each custom resource that is embedded in another sample or in a script."""
    embedded = [each for each in every_object(path) if each not in objects(path) and each["apiVersion"] in CUSTOM]
    for each in embedded:
        text = filled_in(json.dumps(each))
        kubectl(*CREATE, "-", "--dry-run=server", "-n", namespace, stdin=text)
    assert len(embedded) == EMBEDDED.get(name_of(path), 0)


@pytest.mark.parametrize("path", WITH_WATCHES, ids=name_of)
def test_watches_are_ready_to_be_followed(kubectl: Kubectl, namespace: str, path: Path) -> None:
    """The operator can parse each watch of a sample, embedded watches included, with the API server's defaults."""
    watches = [each for each in every_object(path) if each["kind"] == KIND]
    text = yaml.safe_dump_all(watches)
    kept = load(kubectl(*CREATE, "-", "--dry-run=server", "-n", namespace, stdin=text).stdout)
    assert len(kept) == len(watches)
    for each in kept:
        parse_spec(each["spec"])
        assert each["spec"]["pollInterval"]
        assert each["status"] == {"observedGeneration": -1}


def test_stand_ins_refuse_unknown_fields(flux_system: Path, kubectl: Kubectl, namespace: str) -> None:
    """A stand-in CRD refuses a field or value that the tool does not have."""
    gate, app = objects(sample("flux/kustomization-wait.yaml"))
    app["spec"]["dependOn"] = app["spec"].pop("dependsOn")
    gate["spec"]["sourceRef"]["kind"] = "GitRepo"
    for body, words in ((app, 'unknown field "spec.dependOn"'), (gate, 'Unsupported value: "GitRepo"')):
        refused = kubectl(*CREATE, "-", "-n", namespace, stdin=json.dumps(body), ok=False)
        assert refused.returncode == 1
        assert words in refused.stderr


def test_receiver_needs_the_component(flux_system: Path, kubectl: Kubectl, namespace: str) -> None:
    """Flux's own CRD refuses a Receiver that names watches. With our component it accepts the Receiver."""
    create = (*CREATE, str(RECEIVER), "--dry-run=server", "-n", namespace)
    kubectl("apply", "--server-side", "-f", str(flux_system / "crds.yaml"))
    until(lambda: 'Unsupported value: "BackupJobWatch"' in kubectl(*create, ok=False).stderr, "the schema without it")
    kubectl("apply", "--server-side", "-k", str(flux_system))
    until(lambda: kubectl(*create, ok=False).returncode == 0, "the schema with it")


def test_action_group(flux_system: Path, kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
    """The script makes Azure call the Receiver when a backup or restore ends, as soon as it has a path."""
    kubectl("create", "-n", namespace, "-f", str(RECEIVER))
    shell = Shell(kubectl, namespace, tmp_path)
    shell.az.answer("/action-groups/g")
    script = sample("azure-monitor/action-group.sh").read_text("utf-8")
    args = ("rg", "/vaults/v", "https://flux.example.com")
    status, said = shell.run(script, *args)
    assert (status, "has no path yet" in said, shell.az.calls()) == (1, True, [])
    patch = json.dumps({"status": {"webhookPath": "/hook/abc"}})
    kubectl(
        *("patch", "receiver", "azure-monitor", "-n", namespace),
        *("--type=merge", "--subresource=status", "-p", patch),
    )
    assert shell.run(script, *args) == (0, "")
    group, *alerts = shell.az.calls()
    assert "https://flux.example.com/hook/abc" in group
    assert [option(alert, "--condition") for alert in alerts] == [
        "count BackupHealthEvent > 0",
        "count RestoreHealthEvent > 0",
    ]
    assert {(option(alert, "--scopes"), option(alert, "--action")) for alert in alerts} == {
        ("/vaults/v", "/action-groups/g")
    }
