"""Logging: text for people, JSON for collectors, and kopf's and Azure's chatter turned down."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from pythonjsonlogger.json import JsonFormatter

if TYPE_CHECKING:
    from backupjobwatch.settings import Settings

_QUIET: Final = {
    # "Timer 'poll' succeeded" at every tick of every watch.
    "kopf.objects": logging.WARNING,
    "kopf": logging.WARNING,
    # Requests with their headers, one line each.
    "azure": logging.WARNING,
    "msal": logging.WARNING,
    # Warns of broken answers with their URLs and a traceback; what matters of them is in the status.
    "urllib3": logging.ERROR,
    "aiohttp.access": logging.WARNING,
    "asyncio": logging.WARNING,
}


class _WithoutTracebacks(logging.Filter):
    """Leaves tracebacks out of kopf's errors: they are of the API server's bad moments, and a line tells as much."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] == "kopf":
            record.exc_info = record.exc_text = None
        return True


def configure_logs(settings: Settings) -> None:
    """Send all logs to standard error in the chosen format, times in UTC."""
    handler = logging.StreamHandler()
    if settings.log_format == "json":
        formatter: logging.Formatter = JsonFormatter(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            datefmt="%Y-%m-%dT%H:%M:%SZ",
        )
    else:
        formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", datefmt="%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    if settings.log_level != "debug":
        handler.addFilter(_WithoutTracebacks())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, root.level))
