"""``backupjobwatch render`` and its input files: YAML documents, Lists and other kinds of objects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.builders import JOB_ID, job_payload
from tests.support.command import invoke

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

WATCH: dict[str, Any] = {
    "apiVersion": "azurebackup.dev/v1alpha1",
    "kind": "BackupJobWatch",
    "metadata": {"name": "nightly", "namespace": "team-a"},
    "spec": {"jobResourceId": JOB_ID},
}
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "credential"}}


def render(folder: Path, text: str) -> Result:
    """Render a file with this text and a completed job."""
    (folder / "watch.yaml").write_bytes(text.encode("utf-8"))
    (folder / "job.json").write_text(json.dumps(job_payload()))
    return invoke("render", "--watch", str(folder / "watch.yaml"), "--response", str(folder / "job.json"))


@pytest.mark.parametrize(
    "text",
    [
        f"---\n{yaml.safe_dump(SECRET)}---\n{yaml.safe_dump(WATCH)}---\n",
        yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [SECRET, WATCH]}),
        f"\ufeff{json.dumps(WATCH)}",
    ],
    ids=["documents", "list", "byte order mark"],
)
def test_the_watch_is_found(tmp_path: Path, text: str) -> None:
    """The one BackupJobWatch of several YAML documents or of a List is rendered."""
    result = render(tmp_path, text)
    assert result.exit_code == 0, result.output
    body = yaml.safe_load(result.stdout)
    assert (body["metadata"]["name"], body["status"]["phase"]) == ("nightly", "Succeeded")


@pytest.mark.parametrize(
    ("objects", "problem"),
    [
        ([SECRET, {**SECRET, "kind": "Deployment"}], "no BackupJobWatch of azurebackup.dev, only Secret, Deployment."),
        ([{**WATCH, "apiVersion": "example.com/v1"}], "has no BackupJobWatch of azurebackup.dev, only BackupJobWatch."),
        ([{"metadata": {}}], "only an object without kind."),
        ([], "only no objects."),
        (["text"], "only no objects."),
        ([WATCH, WATCH], "has 2 BackupJobWatch objects. Keep one."),
        ([{**WATCH, "spec": "nightly"}], "has no valid spec."),
    ],
)
def test_other_files_are_refused(tmp_path: Path, objects: list[Any], problem: str) -> None:
    """A file without exactly one BackupJobWatch is rejected, and the message says what it contains."""
    result = render(tmp_path, yaml.safe_dump_all(objects))
    assert (result.exit_code, result.stdout) == (1, "")
    assert problem in result.stderr


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    """A file that is neither YAML nor JSON is rejected."""
    result = render(tmp_path, "a: [b")
    assert (result.exit_code, "is neither YAML nor JSON" in result.stderr) == (1, True)
