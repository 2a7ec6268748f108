"""docs/index.md and the navigation of the site list every page of docs/, in the same order."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from tests.contract.markdown import links
from tests.contract.project import DOCUMENTS, ROOT, read

PAGES: Final = {
    str(path.relative_to(ROOT / "docs"))
    for path in DOCUMENTS
    if path.is_relative_to(ROOT / "docs") and not re.search(r"runbooks/(?!README)", str(path))
}
"""The pages without the single runbooks, which the runbooks' own list has."""
LISTED: Final = links(read("docs/index.md"))


def pages_of(navigation: list[Any]) -> list[str]:
    """Return the pages of a navigation, section by section."""
    targets = [target for entry in navigation for target in entry.values()]
    return [page for target in targets for page in (pages_of(target) if isinstance(target, list) else [target])]


def test_index_lists_every_page() -> None:
    """Each page is listed once, and the list names no other."""
    assert sorted(LISTED) == sorted(PAGES - {"index.md"})


def test_navigation_is_the_index() -> None:
    """The navigation has the index and then its pages, in its order."""
    navigation = tomllib.loads(read("zensical.toml"))["project"]["nav"]
    assert pages_of(navigation) == ["index.md", *LISTED]
