"""The command line without a cluster or Azure: `render`, and errors for invalid input."""

from __future__ import annotations

import json
import runpy
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from backupjobwatch import __version__
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.status.notifications import notification_id
from tests.support.azure import DATA, payload
from tests.support.builders import JOB_ID, job_payload, running_payload, standing, watch_body
from tests.support.command import invoke

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

NOW = "2026-03-04T01:00:00Z"


class Files:
    """Write the files that ``render`` reads, and run it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, content: object) -> str:
        path = self._folder / name
        text = content if isinstance(content, str | bytes) else yaml.safe_dump(content)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def render(self, watch: object, response: object, *arguments: str) -> Result:
        command = ["render", "--watch", self.write("watch.yaml", watch)]
        response = response if isinstance(response, str | bytes) else json.dumps(response)
        return invoke(*command, "--response", self.write("response.json", response), *arguments)

    def rendered(self, watch: object, response: object, *arguments: str) -> dict[str, Any]:
        """Return the object that `render` prints."""
        result = self.render(watch, response, "--now", NOW, *arguments)
        assert result.exit_code == 0, result.output
        body: dict[str, Any] = yaml.safe_load(result.stdout)
        return body


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def manifest(**spec: Any) -> dict[str, Any]:
    """Return a watch as a user writes it: without status, uid and defaults."""
    body = watch_body()
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "metadata": {"name": "nightly", "namespace": "team-a"},
        "spec": {"jobResourceId": JOB_ID, **spec},
    }


def test_renders_a_job_that_succeeded(files: Files) -> None:
    """A manifest and a response of Azure give the whole object in its final phase."""
    body = files.rendered(manifest(), job_payload())
    assert (body["spec"], body["metadata"]["name"]) == ({"jobResourceId": JOB_ID}, "nightly")
    assert (body["status"]["phase"], body["status"]["duration"]) == ("Succeeded", "20m23s")
    assert body["status"]["lastPollTime"] == NOW
    assert standing(body["status"])["Complete"] == "True"


@pytest.mark.parametrize(
    ("status", "reason", "headers"),
    [
        (401, "AuthenticationFailed", ()),
        (403, "AuthorizationFailed", ("x-ms-failure-cause: gateway",)),
        (404, "JobNotVisible", ()),
        (404, "VaultNotFound", ("X-MS-Failure-Cause: gateway",)),
        (409, "UnexpectedResponse", ()),
        (429, "Throttled", ("Retry-After: 17",)),
        (500, "AzureUnavailable", ("x-ms-request-id: one", "x-ms-correlation-request-id:two")),
    ],
)
def test_renders_errors(files: Files, status: int, reason: str, headers: tuple[str, ...]) -> None:
    """A response without a job gives a pending watch with the reason."""
    arguments = [argument for header in headers for argument in ("--header", header)]
    error = {"error": {"code": "Code", "message": "Message"}}
    body = files.rendered(manifest(), error, "--status", str(status), *arguments)
    assert (body["status"]["phase"], body["status"]["reason"]) == ("Pending", reason)
    assert standing(body["status"])["Ready"] == "Unknown"
    assert ("(request one)" in body["status"]["message"]) == (status == 500)


@pytest.mark.parametrize("status", [200, 403, 404])
def test_renders_the_answer_of_a_proxy(files: Files, status: int) -> None:
    """With an empty request ID, the response counts as one from a proxy. Without that header, it counts as Azure's."""
    body = files.rendered(manifest(), job_payload(), "--status", str(status), "--header", "x-ms-request-id:")
    assert (body["status"]["phase"], body["status"]["reason"]) == ("Pending", "UnexpectedResponse")
    assert "is not from Azure Resource Manager" in body["status"]["message"]


def test_keeps_times_of_the_previous_status(files: Files) -> None:
    """The times of the previous status are kept, so that grace and deadline take effect."""
    before = files.rendered(manifest(graceSeconds=60), {}, "--status", "404")
    previous = files.write("previous.yaml", before)
    result = files.render(
        manifest(graceSeconds=60), {}, "--status", "404", "--previous", previous, "--now", "2026-03-04T01:02:00Z"
    )
    after = yaml.safe_load(result.stdout)["status"]
    assert (after["phase"], after["reason"]) == ("Failed", "JobNotFound")
    assert after["watchStartTime"] == before["status"]["watchStartTime"]


def test_the_status_in_the_watch_file_is_kept(files: Files) -> None:
    """The output of ``kubectl get -o yaml`` is accepted as input, and a final status stays unchanged."""
    before = files.rendered(manifest(), job_payload())
    after = files.rendered(before, running_payload())
    assert after["status"] == before["status"]


def test_notifications_that_are_retried_are_kept(files: Files) -> None:
    """A Retrying entry stays while its phase lasts, and is dropped when the response ends that phase."""
    notify = [{"name": "hook", "phases": ["Running"], "webhook": {"url": "https://example.com/hook"}}]
    before = files.rendered(manifest(notify=notify), running_payload())
    entry = {"name": "hook", "phase": "Running", "state": "Retrying", "message": "The receiver responded with 500."}
    entry |= {"id": notification_id(Watch.from_body(before), "Running"), "time": "2026-03-04T01:02:00Z"}
    before["status"]["notifications"] = [entry]
    assert files.rendered(before, running_payload())["status"]["notifications"] == [entry]
    assert "notifications" not in files.rendered(before, job_payload())["status"]


def test_status_of_another_target_is_not_kept(files: Files) -> None:
    """From a status about another target, only the times of the conditions are kept."""
    before = files.rendered(manifest(completedWithWarnings="Succeeded"), job_payload())
    after = files.rendered(manifest(), running_payload(), "--previous", files.write("previous.yaml", before))
    assert after["status"]["phase"] == "Running"


def test_an_invalid_spec_is_rendered_as_such(files: Files) -> None:
    """An invalid spec gives the status that the operator would write."""
    body = files.rendered(manifest(jobResourceId="nonsense"), job_payload())
    assert (body["status"]["phase"], body["status"]["reason"]) == ("Failed", "InvalidSpec")


def test_a_watch_in_json(files: Files) -> None:
    """A manifest in JSON is accepted, because JSON is YAML."""
    assert files.rendered(json.dumps(manifest()), job_payload())["status"]["phase"] == "Succeeded"


def test_text_of_any_script_is_printed_as_it_is(files: Files) -> None:
    """Text of any script is printed unescaped."""
    result = files.render(manifest(), job_payload(entityFriendlyName="東京-größe"))
    assert "東京-größe" in result.stdout


def test_now_is_the_default(files: Files) -> None:
    """Without --now the current time is used."""
    result = files.render(manifest(), running_payload())
    assert yaml.safe_load(result.stdout)["status"]["lastPollTime"] > "2026"


@pytest.mark.parametrize(
    ("watch", "arguments", "exit_code", "words"),
    [
        ("- a list", (), 1, "has no BackupJobWatch"),
        ("", (), 1, "has no BackupJobWatch"),
        ("spec: text", (), 1, "has no BackupJobWatch"),
        ("{", (), 1, "is neither YAML nor JSON"),
        ("a: 1\n---\nb: 2\n", (), 1, "has no BackupJobWatch"),
        (b"\xff\xfe\x00", (), 1, "is neither YAML nor JSON"),
        (b"\x00", (), 1, "is neither YAML nor JSON"),
        ("spec: {}", ("--now", "yesterday"), 2, "must be a time such as 2026-03-04T01:00:00Z"),
        (yaml.safe_dump(manifest()), ("--header", "Retry-After 7"), 2, 'must be "Name: value", got'),
        ("spec: {}", ("--status", "42"), 2, "--status"),
        ("spec: {}", ("--previous", "/nowhere.yaml"), 2, "does not exist"),
    ],
)
def test_invalid_input_is_reported(
    files: Files, watch: str | bytes, arguments: tuple[str, ...], exit_code: int, words: str
) -> None:
    """Invalid input ends with an exit code and one sentence, without a traceback."""
    result = files.render(watch, job_payload(), *arguments)
    assert result.exit_code == exit_code
    assert words in result.stderr.replace("\n", " ")
    assert result.stdout == ""
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_a_watch_without_a_spec_is_rendered(files: Files) -> None:
    """An object without a spec is rendered as invalid."""
    assert (
        files.rendered("kind: BackupJobWatch\napiVersion: azurebackup.dev/v1", job_payload())["status"]["reason"]
        == "InvalidSpec"
    )


@pytest.mark.parametrize("name", sorted(path.stem for path in DATA.glob("job-*.json")))
def test_renders_every_job_on_record(files: Files, name: str) -> None:
    """Every recorded response renders as an object."""
    body = payload(name)
    vault = {"subscriptionId": JOB_ID.split("/")[2], "resourceGroup": "rg", "name": "vault"}
    spec = {"jobResourceId": None, "jobName": body["name"], "vault": vault}
    rendered = files.rendered(manifest(**spec), body)
    assert rendered["status"]["job"]["status"] == body["properties"]["status"]


@pytest.mark.parametrize("command", [["--help"], ["run", "--help"], ["check", "-h"], ["render", "-h"]])
def test_help(command: list[str]) -> None:
    """Every command has a description."""
    result = invoke(*command)
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


def test_version() -> None:
    """``--version`` prints the version of the package."""
    assert invoke("--version").stdout == f"backupjobwatch, version {__version__}\n"


def test_runs_as_a_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """``python -m backupjobwatch`` is the same command."""
    monkeypatch.setattr(sys, "argv", ["backupjobwatch", "--version"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("backupjobwatch", run_name="__main__")
    assert __version__ in capsys.readouterr().out


@pytest.mark.usefixtures("logging_restored")
@pytest.mark.parametrize("command", ["run", "check"])
def test_invalid_settings_are_reported(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid setting ends every command that reads settings with code 2, and the message says how to fix it."""
    monkeypatch.setenv("BACKUPJOBWATCH_HEARTBEAT", "soon")
    monkeypatch.setenv("BACKUPJOBWATCH_HEARTBEET", "5m")
    result = invoke(command)
    assert result.exit_code == 2
    assert "BACKUPJOBWATCH_HEARTBEAT: must be a duration such as 30s" in result.stderr
    assert "Did you mean BACKUPJOBWATCH_HEARTBEAT?" in result.stderr
