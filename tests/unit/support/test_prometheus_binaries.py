"""Where the programs of Prometheus come from, and the errors if there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo.prometheus import PrometheusUnavailable, find_binaries

if TYPE_CHECKING:
    from pathlib import Path


def programs(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (folder / name).chmod(0o755)


def test_a_named_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PROMETHEUS_ASSETS takes precedence over PATH."""
    programs(tmp_path / "named", "prometheus", "promtool")
    programs(tmp_path / "path", "prometheus", "promtool")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert find_binaries().promtool == tmp_path / "path" / "promtool"
    monkeypatch.setenv("PROMETHEUS_ASSETS", str(tmp_path / "named"))
    assert find_binaries().prometheus == tmp_path / "named" / "prometheus"


def test_a_folder_without_them_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without one of the programs is an error that names the file and the alternatives."""
    programs(tmp_path, "prometheus")
    monkeypatch.setenv("PROMETHEUS_ASSETS", str(tmp_path))
    with pytest.raises(
        PrometheusUnavailable, match=r"promtool does not exist.*put `prometheus` and `promtool` on PATH"
    ):
        find_binaries()


def test_a_machine_without_apt_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a cache and apt there is an error, and no test is skipped."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(PrometheusUnavailable, match="requires apt-get and dpkg-deb on PATH"):
        find_binaries()
