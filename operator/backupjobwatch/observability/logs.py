"""Configure logging: text or JSON lines on standard error, with reduced output of libraries."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

if TYPE_CHECKING:
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.status.transitions import Transition
    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)

_TEXT: Final = "%(asctime)s %(levelname)-7s %(message)s"
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_QUIET: Final = {
    # "Timer 'poll' succeeded" at every tick of every watch.
    "kopf.objects": logging.WARNING,
    "kopf": logging.WARNING,
    # Requests with their headers, one line each.
    "azure": logging.WARNING,
    # Both log each failure, several times and with tracebacks. arm.credentials logs it once.
    "azure.identity": logging.CRITICAL,
    "msal": logging.CRITICAL,
    # Warnings about broken responses, with URLs and a traceback. The status has the reason.
    "urllib3": logging.ERROR,
    "aiohttp.access": logging.WARNING,
    "asyncio": logging.WARNING,
}
_LIBRARIES: Final = frozenset(("kopf", "azure", "msal", "urllib3"))
_WATCH_FIELDS: Final = ("namespace", "name", "uid", "reason", "phase")
_KOPF_MESSAGES: Final = (
    (r"Request attempt #(\d+)\S* failed; ([^:]*): (\w+) https?://[^/\s]+(\S*)(?: -> )?(.*)",
     r"Request to the API server failed (attempt \1, \2): \3 \4 \5"),
    (r"Unresolved resources cannot be served .*",
     "The CRD of BackupJobWatch is not installed. Install it from crds/ and restart the operator."),
    (r"Non-(watch|patch)able resources will not be served.*",
     r"The API server does not allow BackupJobWatches to be \1ed, so the operator receives no changes."),
    (r"Unprocessed streams left for .*", "Stopped before all pending changes were processed. The next start reads them again."),
    (r"Throttling for (\S+) seconds due to an unexpected error: (.*)",
     r"Processing of the watch failed and is paused for \1 seconds: \2"),
    (r"Timer '.*' did not exit in time.*", "The poll timer of the watch did not stop in time."),
    (r"Timer '.*' (failed .*)", r"The poll timer of the watch \1"),
    (r"Event processing has failed with an unrecoverable error.*", "Processing of an API server event failed."),
    (r"Activity 'log_in' (failed .*)", r"Reading the credentials for the API server \1"),
)  # fmt: skip
"""Patterns of kopf's messages, with replacements that require no knowledge of kopf."""
_DROPPED: Final = re.compile(
    r"Timer '.*' is cancelled\. Will escalate\.|(Watcher for .*|Multidimensional multitasker) has failed: .*"
)
"""The normal end of a timer: the object was deleted, or the operator stops. And failures that app.py logs."""


def watch_fields(watch: Watch, **fields: str) -> dict[str, Any]:
    """Return the ``extra`` of a log record about *watch*, with more *fields* such as reason and phase."""
    # In one attribute: logging reserves "name".
    return {"watch": {"namespace": watch.namespace, "name": watch.name, "uid": watch.uid, **fields}}


def log_transition(logger: logging.Logger, watch: Watch, transition: Transition) -> None:
    """Log *transition* at the level of its Event."""
    phase = {"phase": transition.phase} if transition.phase else {}
    logger.log(
        logging.WARNING if transition.type == "Warning" else logging.INFO,
        "%s/%s: %s: %s", watch.namespace, watch.name, transition.reason, transition.message,
        extra=watch_fields(watch, reason=transition.reason, **phase),
    )  # fmt: skip


def configure_logs(settings: Settings) -> None:
    """Send all logs to standard error in the chosen format, with times in UTC."""
    debug = settings.log_level == "debug"
    handler = logging.StreamHandler()
    formatter = _Json() if settings.log_format == "json" else logging.Formatter(_TEXT, datefmt=_TIME)
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(_make_printable)
    handler.addFilter(partial(_edit_library_record, debug=debug))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for name, usual in _QUIET.items():
        level = logging.WARNING if debug and usual == logging.CRITICAL else usual
        logging.getLogger(name).setLevel(max(level, root.level))


def log_uncaught() -> None:
    """Log what Python would print to standard error: warnings, and exceptions that no code catches."""
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, error, trace: _log.critical("The process failed", exc_info=(kind, error, trace))
    threading.excepthook = lambda failed: _log_exception("A thread failed", failed.exc_value)
    sys.unraisablehook = lambda failed: _log_exception("An exception was ignored", failed.exc_value)


def _log_exception(message: str, error: BaseException | None) -> None:
    _log.error(message, exc_info=error)


class _Json(JsonFormatter):
    """Format every record as one JSON object, for any message, arguments and ``extra`` of a library."""

    def __init__(self) -> None:
        super().__init__(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            datefmt=_TIME,
            # kopf adds its settings and the object to each record. "watch" becomes fields of its own.
            reserved_attrs=[*RESERVED_ATTRS, "settings", "k8s_skip", "k8s_ref", "watch"],
            json_default=str,
            json_serializer=partial(json.dumps, allow_nan=False),
        )

    def format(self, record: logging.LogRecord) -> str:
        try:
            return super().format(record)
        except Exception:  # noqa: BLE001 -- an extra that JSON cannot hold
            message = record.getMessage()
            plain = logging.LogRecord(
                record.name, record.levelno, record.pathname, record.lineno, message, None, record.exc_info
            )
            plain.created, plain.watch = record.created, _watch_of(record)
            return super().format(plain)

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        super().add_fields(log_data, record, message_dict)
        log_data.update(_watch_of(record))


def _watch_of(record: logging.LogRecord) -> dict[str, str]:
    about = getattr(record, "watch", None) or getattr(record, "k8s_ref", None)
    if not isinstance(about, Mapping):
        return {}
    return {name: _printed(about[name]) for name in _WATCH_FIELDS if about.get(name)}


def _printed(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 -- a library's __str__ can raise anything
        return f"<{type(value).__name__} without text>"


def _make_printable(record: logging.LogRecord) -> bool:
    """Replace a message that cannot be formatted. An exception in a filter would reach the code that logs."""
    try:
        record.getMessage()
    except Exception:  # noqa: BLE001 -- arguments that do not fit the message, or a __str__ that raises
        record.msg, record.args = _printed(record.msg), None
    return True


def _edit_library_record(record: logging.LogRecord, *, debug: bool) -> bool:
    """Reduce a library's record to one line that names the watch. Drop duplicates, and records about timers that end normally."""
    library = record.name.partition(".")[0]
    if library not in _LIBRARIES or debug:
        return True
    record.exc_info = record.exc_text = record.stack_info = None
    message = " ".join(record.getMessage().split())
    if library == "kopf":
        if _DROPPED.fullmatch(message):
            return False
        message = _translate(message, _watch_of(record))
    record.msg, record.args = message, None
    return True


def _translate(message: str, about: Mapping[str, str]) -> str:
    for pattern, words in _KOPF_MESSAGES:
        if match := re.fullmatch(pattern, message):
            message = match.expand(words).rstrip()
            break
    watch = "/".join(about[name] for name in ("namespace", "name") if name in about)
    return f"{watch}: {message}" if watch else message
