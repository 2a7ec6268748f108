"""The container that a Recovery Services job protects, and its restore target."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.builders import job


def test_containers() -> None:
    """Each of Azure's names for the container has its own field. The first one identifies the container."""
    names = ("containerName", "storageAccountName", "mabServerName", "dpmServerName")
    read = job(**{name: f"{name}.10.0.0.4" for name in names})

    assert read.container == "containerName.10.0.0.4"
    assert [read.container_name, read.storage_account_name, read.mab_server_name, read.dpm_server_name] == [
        f"{name}.10.0.0.4" for name in names
    ]
    for name in names:
        assert job(**{name: "c1"}).container == "c1"
    assert job().container is None


@pytest.mark.parametrize(
    ("bag", "location"),
    [
        ({"restoreLocationType": "AlternateLocation", "AdHoc": "AdHoc"}, "AlternateLocation"),
        ({"restoreLocationType": None}, None),
        ({}, None),
        (None, None),
        ("text", None),
    ],
)
def test_restore_location(bag: Any, location: str | None) -> None:
    """A restore has the type of its target location."""
    assert job(extendedInfo={"internalPropertyBag": bag}).restore_location_type == location
