"""Log lines: text or JSON, times in UTC, and fewer messages from libraries."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import warnings
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import kopf
import pytest

from backupjobwatch.observability.logs import configure_logs, log_uncaught, watch_fields
from backupjobwatch.settings import Settings
from tests.support.builders import watch as make_watch

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("logging_restored")

QUIET = ("kopf", "kopf.objects", "azure", "msal", "urllib3", "aiohttp.access", "asyncio")


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A text line has the time in UTC, the level and the message, and goes to standard error."""
    configure_logs(Settings())
    logging.getLogger("backupjobwatch.controller.reconciler").info("team-a/%s: done", "nightly")
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO    team-a/nightly: done\n", err)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A JSON line is one object with the extra fields of the record. Tracebacks have their own field."""
    configure_logs(Settings(log_format="json"))
    logger = logging.getLogger("backupjobwatch.arm.client")
    logger.warning("two\nlines “ü”", extra={"request_id": "one", "seconds": 0.25})
    try:
        int("broken")
    except ValueError:
        logger.exception("failed")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first.pop("time"))
    assert first == {
        "level": "WARNING",
        "logger": "backupjobwatch.arm.client",
        "message": "two\nlines “ü”",
        "request_id": "one",
        "seconds": 0.25,
    }
    assert "ValueError: invalid literal" in second["exc_info"]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_level(capsys: pytest.CaptureFixture[str], level: str) -> None:
    """Messages below the level are not logged."""
    configure_logs(Settings(log_level=level))  # type: ignore[arg-type]
    names = ["debug", "info", "warning", "error"]
    for name in names:
        logging.getLogger("backupjobwatch").log(getattr(logging, name.upper()), name)
    logged = [line.split()[-1] for line in capsys.readouterr().err.splitlines()]
    assert logged == names[names.index(level) :]


@pytest.mark.parametrize("name", QUIET)
def test_libraries_are_quiet(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Ticks and requests that libraries log are dropped at any level. Their warnings and errors are kept."""
    configure_logs(Settings(log_level="debug"))
    logging.getLogger(f"{name}.part").info("chatter")
    # urllib3 logs broken responses as warnings, with their URLs. The status already has the essential part.
    logging.getLogger(f"{name}.part").log(logging.ERROR if name == "urllib3" else logging.WARNING, "news")
    assert "chatter" not in (err := capsys.readouterr().err)
    assert "news" in err


def test_level_applies_to_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    """If only errors are logged, warnings of libraries are dropped too."""
    configure_logs(Settings(log_level="error"))
    logging.getLogger("kopf.objects").warning("news")
    assert capsys.readouterr().err == ""


def test_may_be_configured_again(capsys: pytest.CaptureFixture[str]) -> None:
    """A second call replaces the first, so no line appears twice."""
    configure_logs(Settings())
    configure_logs(Settings())
    logging.getLogger("backupjobwatch").info("once")
    assert capsys.readouterr().err.count("once") == 1


class Unreadable:
    """An object whose representation raises."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize(
    "extra",
    [
        {
            "settings": kopf.OperatorSettings(),
            "k8s_skip": True,
            "k8s_ref": {"namespace": "team-a", "name": "n", "uid": "u"},
        },
        {"lock": threading.Lock()},
        {"options": kopf.OperatorSettings()},
        {"number": float("nan")},
        {"by_pair": {("a", "b"): 1}},
        {"unreadable": Unreadable()},
        {"half": "\ud800"},
        {"raw": b"\xff", "error": ValueError("x"), "set": {1}},
    ],
    ids=["kopf", "lock", "dataclass", "nan", "key", "unreadable", "surrogate", "bytes"],
)
def test_json_takes_any_extra(capsys: pytest.CaptureFixture[str], extra: dict[str, Any]) -> None:
    """A library's record becomes one JSON object, whatever its `extra` contains."""
    configure_logs(Settings(log_format="json"))
    logging.getLogger("kopf.objects").warning("news", extra=extra)
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line, parse_constant=pytest.fail)
    assert told["message"].endswith("news")
    assert (told["level"], told["logger"]) == ("WARNING", "kopf.objects")
    assert not {"settings", "k8s_ref", "k8s_skip"} & told.keys()


def test_json_takes_any_message(capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments that do not match the message, circular values and mappings as messages do not raise."""
    configure_logs(Settings(log_format="json"))
    circle: dict[str, Any] = {}
    circle["self"] = circle
    logger = logging.getLogger("library")
    logger.warning("%d jobs", "many")
    logger.warning("a circle", extra={"circle": circle})
    logger.warning({"message": "a mapping", "circle": circle})
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["message"] for line in told][:2] == ["%d jobs", "a circle"]
    assert len(told) == 3


def log_wrong_arguments(logger: logging.Logger) -> None:
    logger.warning("a %d", "x")


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (log_wrong_arguments, "a %d"),
        (lambda logger: logger.warning(Unreadable()), "<Unreadable without text>"),
        (lambda logger: logger.warning("%s", Unreadable()), "%s"),
        (lambda logger: logger.warning({"key": Unreadable()}), "<dict without text>"),
    ],
    ids=["arguments", "message", "argument", "mapping"],
)
@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("level", ["info", "debug"])
@pytest.mark.parametrize("library", ["backupjobwatch", "kopf.objects", "azure.core"])
def test_messages_that_cannot_be_printed(
    capsys: pytest.CaptureFixture[str],
    *,
    log: Callable[[logging.Logger], None],
    message: str,
    log_format: str,
    level: str,
    library: str,
) -> None:
    """A message that cannot be formatted does not raise, and is still logged."""
    configure_logs(Settings(log_format=log_format, log_level=level))  # type: ignore[arg-type]
    log(logging.getLogger(library))
    (line,) = capsys.readouterr().err.splitlines()
    assert (json.loads(line)["message"] if log_format == "json" else line.partition("WARNING ")[2]) == message


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"name": "n", "uid": "u"}, "n: news"),
        ({"namespace": None, "name": "n", "uid": "u"}, "n: news"),
        ({"namespace": "a", "uid": "u"}, "a: news"),
        ({"namespace": "a", "name": Unreadable()}, "a/<Unreadable without text>: news"),
        ({"uid": "u"}, "news"),
        ("a/n", "news"),
        (["a", "n"], "news"),
    ],
)
@pytest.mark.parametrize("field", ["k8s_ref", "watch"])
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_references_of_any_shape(
    capsys: pytest.CaptureFixture[str], reference: object, message: str, field: str, log_format: str
) -> None:
    """A reference to an object may be incomplete or of any other type."""
    configure_logs(Settings(log_format=log_format))  # type: ignore[arg-type]
    logging.getLogger("kopf.objects").warning("news", extra={field: reference})
    (line,) = capsys.readouterr().err.splitlines()
    assert (json.loads(line)["message"] if log_format == "json" else line.partition("WARNING ")[2]) == message


def test_a_record_that_json_cannot_hold_names_its_watch(capsys: pytest.CaptureFixture[str]) -> None:
    """Only the field that JSON cannot represent is dropped."""
    configure_logs(Settings(log_format="json"))
    reference = {"namespace": "team-a", "name": "n", "uid": "u"}
    logging.getLogger("library").warning("%d news", 2, extra={"k8s_ref": reference, "broken": Unreadable()})
    (line,) = capsys.readouterr().err.splitlines()
    logged = json.loads(line)
    assert {name: logged[name] for name in ("message", *reference)} == {"message": "2 news", **reference}


def test_fields_of_a_watch(capsys: pytest.CaptureFixture[str]) -> None:
    """A record names its watch in fields of its own, whether this package or kopf logs it."""
    configure_logs(Settings(log_format="json"))
    watch = make_watch({"jobResourceId": "x"})
    logging.getLogger("backupjobwatch.controller.reconciler").info(
        "one", extra=watch_fields(watch, reason="JobFailed", phase="Failed")
    )
    reference = {"apiVersion": "v1", "kind": "BackupJobWatch", "namespace": "b", "name": "w", "uid": "2"}
    logging.getLogger("kopf.objects").warning("two", extra={"k8s_ref": reference})
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert {name: first[name] for name in ("namespace", "name", "uid", "reason", "phase")} == {
        "namespace": watch.namespace, "name": watch.name, "uid": watch.uid, "reason": "JobFailed", "phase": "Failed",
    }  # fmt: skip
    assert second["message"] == "b/w: two"
    assert (second["namespace"], second["name"], second["uid"]) == ("b", "w", "2")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "Request attempt #3 failed; will retry: GET https://10.0.0.1:443/apis/x?a=b -> ServerDisconnectedError()",
            "Request to the API server failed (attempt 3, will retry): GET /apis/x?a=b ServerDisconnectedError()",
        ),
        (
            "Request attempt #1/9 failed; TCP closed; will re-authenticate: GET https://host/apis",
            "Request to the API server failed (attempt 1, TCP closed; will re-authenticate): GET /apis",
        ),
        ("Watcher for backupjobwatches.v1alpha1@None has failed: boom", None),
        ("Multidimensional multitasker has failed: ('not found', {'code': 404})", None),
        (
            "Unresolved resources cannot be served (try creating their CRDs): backupjobwatches",
            "The CRD of BackupJobWatch is not installed. Install it from crds/ and restart the operator.",
        ),
        (
            "Throttling for 1 seconds due to an unexpected error: KeyError('x')",
            "Processing of the watch failed and is paused for 1 seconds: KeyError('x')",
        ),
        ("Timer 'poll-30s' did not exit in time. Leaving it orphaned.", "The poll timer of the watch did not stop in time."),
        ("Anything else", "Anything else"),
        ("Timer 'poll-30s' is cancelled. Will escalate.", None),
    ],
)  # fmt: skip
def test_messages_of_kopf(capsys: pytest.CaptureFixture[str], message: str, words: str | None) -> None:
    """kopf's messages are reworded for users who do not know kopf. What is not an error or is logged by app.py is dropped."""
    configure_logs(Settings(log_format="json"))
    logging.getLogger("kopf.objects").warning(message)
    told = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert told == ([] if words is None else [words])


@pytest.mark.parametrize("level", ["info", "debug"])
@pytest.mark.parametrize("library", ["kopf.objects", "azure.core", "msal.application", "urllib3.pool"])
def test_errors_of_libraries_have_one_line(capsys: pytest.CaptureFixture[str], library: str, level: str) -> None:
    """The traceback of a library's error is logged only at debug level."""
    configure_logs(Settings(log_level=level))  # type: ignore[arg-type]
    try:
        int("broken")
    except ValueError:
        logging.getLogger(library).exception("failed:\nbadly")
    err = capsys.readouterr().err
    assert ("Traceback" in err) == (level == "debug")
    if level == "info":
        assert len(err.splitlines()) == (0 if library.startswith("msal") else 1)


def test_uncaught_exceptions_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings and uncaught exceptions of the process and its threads are logged too."""
    configure_logs(Settings(log_format="json"))
    log_uncaught()
    error = ValueError("broken")
    sys.excepthook(ValueError, error, None)
    threading.excepthook(threading.ExceptHookArgs((ValueError, error, None, None)))
    sys.unraisablehook(SimpleNamespace(exc_type=ValueError, exc_value=error, exc_traceback=None))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["level"] for line in told] == ["CRITICAL", "ERROR", "ERROR", "WARNING"]
    assert all("broken" in line["exc_info"] for line in told[:3])
    assert "old" in told[3]["message"]
