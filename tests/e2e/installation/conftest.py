"""A cluster that the tests of one file share, for installations of the whole operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.installations import Site, running_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.controlplane import ControlPlane


@pytest.fixture(scope="module")
def cluster_site(control_plane: ControlPlane) -> Iterator[Site]:
    del control_plane  # skips these tests if there is no embedded control plane
    with running_site() as site:
        yield site


@pytest.fixture
def site(cluster_site: Site) -> Iterator[Site]:
    """A cluster that the tests of this file share. After each test, it has no CRD and no operator."""
    yield cluster_site
    cluster_site.clear()
