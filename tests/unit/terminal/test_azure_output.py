"""Output of Azure's tools: encodings, lines and JSON."""

from __future__ import annotations

import codecs
import json

import pytest

from backupjobwatch.terminal.azure_output import candidates, decode, item_of, split_jobs
from tests.support.builders import JOB_ID


@pytest.mark.parametrize(
    "data",
    [
        f"{JOB_ID}\r\n".encode(),
        codecs.BOM_UTF8 + f"{JOB_ID}\r\n".encode(),
        codecs.BOM_UTF16_LE + f"{JOB_ID}\r\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + f"{JOB_ID}\r\n".encode("utf-16-be"),
        f"{JOB_ID}\r\n".encode("utf-16-le"),
        f"{JOB_ID}\r\n".encode("utf-16-be"),
    ],
    ids=["UTF-8", "UTF-8 with BOM", "UTF-16 LE", "UTF-16 BE", "UTF-16 LE without BOM", "UTF-16 BE without BOM"],
)
def test_encodings(data: bytes) -> None:
    """Windows PowerShell writes UTF-16 with a byte order mark. All encodings give the same text."""
    assert split_jobs(decode(data)) == [JOB_ID]


def test_bytes_that_are_no_text() -> None:
    """Arbitrary bytes do not raise."""
    for data in (b"", b"\xff", b"\xff\xfe\x00", b"\x00", b"a\x00b", b"\xef\xbb\xbf\xff"):
        assert isinstance(decode(data), str)


@pytest.mark.parametrize(
    ("text", "jobs"),
    [
        ("", []),
        (" \r\n\n", []),
        ("[]", []),
        ("a\r\n\n  b \n", ["a", "b"]),
        ('\ufeff{"id": "a"}\n', ['{"id": "a"}']),
        ('[{"id": "a"}, {"id": "b"}]', ['{"id": "a"}', '{"id": "b"}']),
        ('["a", "b"]', ['"a"', '"b"']),
    ],
)
def test_split_jobs(text: str, jobs: list[str]) -> None:
    """Each line, each element of a JSON list, or one JSON object is a job."""
    assert split_jobs(text) == jobs


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"id": "i", "JobId": "j", "properties": {"jobId": "p"}}, ["p", "j", "i"]),
        ({"ID": "i"}, ["i"]),
        (["i"], ["i"]),
        ({"id": 5, "properties": ["x"]}, []),
        ([{"id": "a"}, {"id": "b"}], []),
        ([None], []),
    ],
)
def test_candidates(value: object, found: list[str]) -> None:
    """The job's ID takes precedence over the ID of the document. Keys match in any letter case."""
    assert list(candidates(json.dumps(value))) == found


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("", None),
        (JOB_ID, None),
        ("[1, 2]", None),
        ('{"properties": {"entityFriendlyName": "vm-1"}}', "vm-1"),
        ('[{"DataSourceName": "disk-1"}]', "disk-1"),
        ('{"WorkloadName": "vm-2", "properties": null}', "vm-2"),
        ('{"properties": {"entityFriendlyName": 5, "dataSourceName": ""}}', None),
    ],
)
def test_item_of(text: str, item: str | None) -> None:
    """The protected item is read from the JSON of the CLI and of PowerShell."""
    assert item_of(text) == item
