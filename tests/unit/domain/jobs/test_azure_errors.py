"""Azure's error objects, in each form that the services send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backupjobwatch.domain.jobs import data_protection, recovery_services
from backupjobwatch.domain.jobs.azure_errors import describe, read_error_body, read_errors
from backupjobwatch.domain.jobs.findings import OperationFailure
from backupjobwatch.domain.jobs.job import MAX_ERRORS
from backupjobwatch.domain.jobs.operations import read_operation
from backupjobwatch.errors import OperationWithoutJob
from tests.support.azure import payload
from tests.support.builders import NOW, OPERATION, VAULT_REF, settle, watch_body

INFO = {
    "code": "C",
    "message": "M.",
    "recommendedAction": ["Retry.", "Call."],
    "isRetryable": False,
    "innerError": {"code": "Inner"},
}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": {"code": "C", "message": "M."}}, "C: M."),
        ({"error": {"code": "C", "message": ""}}, "C"),
        ({"error": {"code": 7, "message": ["x"]}}, "7"),
        ({"error": {"Code": "C", "Message": "M."}}, "C: M."),
        ({"error": "text"}, "text"),
        ({"error": {"code": "C", "message": "M.", "target": None, "details": None, "innerError": None}}, "C: M."),
        ({"code": "C", "message": "M."}, "C: M."),
        ({"Message": "No HTTP resource was found."}, "No HTTP resource was found."),
        ({"ErrorCode": "C", "Message": {"Language": "en-US", "Value": "M."}, "Values": ["net.tcp://a"]}, "C: M."),
        ({"ErrorCode": "C", "Message": {"Language": "en-US", "Value": ""}, "Values": None}, "C"),
        ({"ErrorCode": "C", "Message": {"value": "at net.tcp://pod1:9443/x"}}, "C: at [internal address]"),
        ({"error": {"ErrorCode": "C", "Message": {"Value": "no answer from 10.0.0.4:443"}}}, "C: no answer from [internal address]"),
        ({"error": {"code": "C", "message": "", "details": [{"code": "C", "message": "M."}]}}, "C: M."),
        ({"error": {"code": "C", "message": "", "details": [{"error": {"code": "C", "message": "M."}}]}}, "C: M."),
        ({"error": {"additionalInfo": [{"type": "UserFacingError", "info": INFO}]}}, "C: M. Retry."),
        ({"error": {"code": "C", "message": "Top.", "additionalInfo": [{"info": INFO}]}}, "C: Top. Retry."),
        ({"error": {"code": "C", "message": "No stop", "additionalInfo": [{"info": INFO}]}}, "C: No stop. Retry."),
        ({"error": {"code": "T", "message": "Top.", "additionalInfo": [{"info": INFO}]}}, "T: Top."),
    ],
)  # fmt: skip
def test_text(body: dict[str, Any], text: str) -> None:
    """Each form gives code, text and the first recommendation, without internal addresses."""
    assert describe(read_error_body(body)[0]) == text


_EMBEDDED = json.dumps({"ErrorCode": "Y", "Message": {"Value": "No answer from 10.0.0.1."}, "Values": ["net.tcp://a"]})


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (_EMBEDDED, "Y: No answer from [internal address]."),
        (f" {_EMBEDDED}\r\n", "Y: No answer from [internal address]."),
        (json.dumps({"error": {"code": "Y", "message": "M."}}), "Y: M."),
        (json.dumps({"code": "C", "message": "M."}), "M."),
        (json.dumps([{"code": "Y", "message": "M."}, {"code": "Z"}]), "Y: M."),
        ("[7] failed", "[7] failed"),
        ("[7]", "[7]"),
        (json.dumps({"code": "Y", "message": _EMBEDDED}), "Y: No answer from [internal address]."),
        (json.dumps({"host": "10.0.0.1"}), None),
        ('{"code": "Y", "mess', '{"code": "Y", "mess'),
        ("{0} failed", "{0} failed"),
        ("{" * 9, "{" * 9),
        ('"text"', '"text"'),
    ],
)
def test_json_in_a_message(message: str, text: str | None) -> None:
    """An error as a JSON string in a message is parsed, in HTTP responses and in jobs of both vault kinds."""
    error = {"code": "C", "message": message}
    details = {"properties": {"errorDetails": [{**error, "errorCode": "C", "errorString": message}]}}
    found = (
        read_error_body({"error": error}),
        data_protection.parse_job(details).errors,
        recovery_services.parse_job(details).errors,
    )

    described = {(each.message or "").removeprefix("C: ") or None for errors in found for each in errors}
    assert described == {text}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"error": None},
        {"error": {}},
        {"error": []},
        {"error": {"details": "text", "additionalInfo": {"info": INFO}}},
        {"Message": {"Values": []}},
        {"status": "InProgress"},
    ],
)
def test_no_error(body: dict[str, Any]) -> None:
    """Any other object contains no error."""
    assert read_error_body(body) == ()


def test_contained_errors() -> None:
    """Repeated errors are merged with their recommendations. Nested ones follow without duplicates, up to a limit."""
    others = [{"code": "D"}, {"code": "D"}, {"message": "No code."}, None, {}]
    error = {"code": "C", "message": "Top.", "additionalInfo": [{"info": INFO}], "details": others}
    first, *rest = read_errors(error)

    assert (first.code, first.message, first.recommendations) == ("C", "Top.", ("Retry.", "Call."))
    assert (first.cause, first.retryable) == ("Inner", False)
    assert [(each.code, each.message) for each in rest] == [("D", None), (None, "No code.")]
    assert len(read_errors({"details": [{"code": str(number)} for number in range(99)]})) == MAX_ERRORS


def test_nested_errors() -> None:
    """Errors are read from a limited number of levels, even if they are nested deeply."""
    error: dict[str, Any] = {"code": "C0"}
    for level in range(1, 500):
        error = {"code": f"C{level}", "details": [error]}

    assert [each.code for each in read_errors(error)] == [f"C{level}" for level in range(499, 492, -1)]


def test_failed_operation_in_the_status() -> None:
    """The status of a watch has the operation's errors, including Azure's recommendations."""
    failure = read_operation(payload("dp-opstatus-failed"))
    assert isinstance(failure, OperationFailure)
    status = settle(watch_body({"operationId": OPERATION, "vault": VAULT_REF}), failure, NOW)["status"]

    assert (status["phase"], status["reason"]) == ("Failed", "OperationFailed")
    (error,) = status["errors"]
    assert error["recommendations"][0].startswith("Install the extension")
    assert status["message"].endswith(error["recommendations"][0])
    assert error["cause"] == "GET [internal address] no answer from [internal address]"


def test_operation_without_job_and_with_error() -> None:
    """If a Backup vault's operation succeeds with an error and without a job, the message quotes Azure."""
    operation = {"status": "Succeeded", "error": {"code": "C", "message": "M.", "additionalInfo": [{"info": INFO}]}}
    with pytest.raises(OperationWithoutJob, match=r"names no job that it started\. C: M\. Retry\.$"):
        read_operation(operation)
