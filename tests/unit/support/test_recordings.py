"""``python -m tests.recordings``: the table of statuses of recorded answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.recordings.__main__ import main, report
from tests.recordings.problems import find_problems
from tests.recordings.recording import Content, load
from tests.recordings.rendering import Rendered, render
from tests.support.azure import DATA, payload
from tests.support.builders import NOW, dp_job_payload, job, job_payload, running_job, settle, watch_body

if TYPE_CHECKING:
    from pathlib import Path

FAILED_JOB: dict[str, Any] = {"status": "Failed", "errorDetails": [{"errorCode": 1, "errorString": "Disk full."}]}
OPERATION = {"id": "o", "name": "o", "status": "InProgress", "startTime": "2026-03-04T01:00:00Z"}
UNREADABLE = {"properties": {"friendlyName": "disk"}}


def put(directory: Path, **files: Any) -> None:
    """Write *files*. Underscores in their names become dots."""
    for name, value in files.items():
        text = value if isinstance(value, str) else json.dumps(value)
        (directory / f"{name.replace('_', '.')}.json").write_text(text, encoding="utf-8")


def rows(directory: Path) -> list[tuple[str, str, str]]:
    return [(each.kind, each.phase, each.reason) for recording in load(directory) for each in render(recording)]


def test_recorded_fixtures(capsys: pytest.CaptureFixture[str]) -> None:
    """The recordings of this project have no problems, and each is in the table."""
    assert main([str(DATA)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]

    assert last.startswith(f"{len(list(DATA.iterdir()))} files, ")
    assert last.endswith(" 6 skipped, 0 with problems")


def test_every_kind(tmp_path: Path) -> None:
    """The type of a file follows from its content. The kind in the table is the name without its number."""
    dp_list = payload("dp-list-page1-nextlink")
    put(
        tmp_path,
        arg_001={"totalRecords": 2, "data": [job_payload(), dp_job_payload()]},
        crr_job_001=job_payload(**FAILED_JOB),
        dp_job_001=dp_job_payload(),
        dp_list_001=dp_list,
        error_001={"error": {"code": "X", "message": "m"}},
        error_002={"ErrorCode": "CloudInternalError", "Message": {"Value": "v"}, "Values": None},
        rsv_list_001={"value": []},
        rsv_op_001=OPERATION,
        rsv_opres_001="",
        rsv_opres_003='{"a":' * 9999,
        rsv_opres_002=UNREADABLE,
    )

    assert rows(tmp_path) == [
        ("arg", "Succeeded", "JobCompleted"),
        ("arg", "Running", "JobInProgress"),
        ("crr.job", "Failed", "JobFailed"),
        ("dp.job", "Running", "JobInProgress"),
        *[("dp.list", "Succeeded", "JobCompleted")] * len(dp_list["value"]),
        *[("error", "Pending", "UnexpectedResponse"), ("error (POST)", "Failed", "InvalidTarget")] * 2,
        ("rsv.list", "", "(an empty list)"),
        ("rsv.op", "Pending", "Progressing"),
        *[("rsv.opres", "", "(skipped: no reader)")] * 3,
    ]


def test_sources(tmp_path: Path) -> None:
    """SOURCES.tsv has the kind and the HTTP status of a file."""
    put(tmp_path, a_001={"error": {"code": "X", "message": "m"}}, a_002="<html>Bad gateway</html>")
    lines = ("file\tkind\tstatus", "a.001.json\trsv.error\t404", "a.002.json\tproxy\t502", "gone.json\tx\t200")
    (tmp_path / "SOURCES.tsv").write_text("\n".join(lines), encoding="utf-8")

    assert rows(tmp_path) == [
        ("rsv.error", "Pending", "JobNotVisible"),
        ("rsv.error (POST)", "Failed", "InvalidTarget"),
        ("proxy", "Pending", "AzureUnavailable"),
        ("proxy (POST)", "Pending", "TriggerUncertain"),
    ]
    assert {recording.content for recording in load(tmp_path)} == {Content.ERROR}


def test_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The table counts the statuses of each kind, phase and reason; the last line counts what was skipped."""
    put(tmp_path, rsv_job_001=job_payload(), rsv_job_x02=job_payload(), rsv_opres_001=UNREADABLE)

    assert main([str(tmp_path)]) == 0
    assert [line.split(maxsplit=3) for line in capsys.readouterr().out.splitlines()] == [
        ["KIND", "COUNT", "PHASE", "REASON                PROBLEMS"],
        ["rsv.job", "2", "Succeeded", "JobCompleted          0"],
        ["rsv.opres", "1", "-", "(skipped: no reader)  0"],
        ["3", "files,", "2", "statuses, 1 skipped, 0 with problems"],
    ]


def test_exit_code() -> None:
    """A problem is printed with its file, and the exit code is 1."""
    bad = Rendered(recording="a.json", kind="rsv.job", reason="(crash)", problems=("crash: KeyError: 'x'",))
    text, code = report([bad, Rendered(recording="b.json", kind="rsv.job", phase="Running", reason="JobInProgress")])

    assert code == 1
    assert "a.json: crash: KeyError: 'x'" in text.splitlines()


def test_crash(tmp_path: Path) -> None:
    """A list whose jobs cannot be read is reported as a problem, like every other exception."""
    put(tmp_path, rsv_list_001={"value": [job_payload()], "nextLink": 5})
    (result,) = [each for recording in load(tmp_path) for each in render(recording)]

    assert result.problems
    assert result.problems[0].startswith("crash: UnexpectedResponse: ")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"duration": "-4m20s"}, "negative duration at status.duration: -4m20s"),
        ({"durationSeconds": -260}, "negative duration at status.durationSeconds: -260"),
        (
            {"extendedInfo": {"tasks": [{"duration": "-1s"}]}},
            "negative duration at status.extendedInfo.tasks[0].duration",
        ),
        ({"message": 'Azure said {"ErrorCode": "X"}'}, "raw JSON at status.message"),
        ({"message": 'Azure said ["X"]'}, "raw JSON at status.message"),
        ({"errors": [{"message": r"[{\"code\": 5}]"}]}, "raw JSON at status.errors[0].message"),
        ({"errors": [{"recommendations": ["See net.tcp://host:9/x"]}]}, "internal address at status.errors[0].recomm"),
        ({"message": "Call 10.0.0.4."}, "internal address at status.message"),
        ({"unknownField": 1}, "the CRD refuses the status: Additional properties are not allowed"),
        ({"phase": "Succeeded"}, "the gate is open on status inprogress"),
        ({"reason": "JobStatusUnknown"}, "documented status inprogress is unknown"),
    ],
)
def test_problems(change: dict[str, Any], problem: str) -> None:
    """Each kind of problem is found."""
    body = settle(watch_body(), running_job(), NOW)
    assert list(find_problems(body)) == []
    body["status"].update(change)

    assert any(each.startswith(problem) for each in find_problems(body))


def test_no_problems() -> None:
    """Braces in a text, Azure's properties and an undocumented status are not problems."""
    texts = {"errorDetails": [{"errorString": "Item {0} of [all] failed, 110.0.0.4 and 2.10.0.1 too."}]}
    bag = {"extendedInfo": {"propertyBag": {"message": '{"a": 1}', "duration": "-1"}}}

    for observation in (job(status="Failed", **texts), running_job(**bag), running_job(status="Paused")):
        assert list(find_problems(settle(watch_body(), observation, NOW))) == []


def test_no_directory(tmp_path: Path) -> None:
    """A directory that does not exist or is empty is a usage error."""
    for directory in (tmp_path, tmp_path / "missing"):
        with pytest.raises(SystemExit) as caught:
            main([str(directory)])
        assert caught.value.code == 2
