"""Run a real Prometheus for tests and for the dashboard picture. See ``binaries`` and ``server``."""

from __future__ import annotations

from .binaries import Binaries, PrometheusUnavailable, find_binaries
from .server import Prometheus, running_prometheus

__all__ = ["Binaries", "Prometheus", "PrometheusUnavailable", "find_binaries", "running_prometheus"]
