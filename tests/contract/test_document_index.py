"""docs/index.md and the site navigation list every page of docs/ in the same order."""

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
"""All pages except the individual runbooks, which have their own index."""
LISTED: Final = links(read("docs/index.md"))


def pages_of(navigation: list[Any]) -> list[str]:
    """Return the pages of a navigation, section by section."""
    targets = [target for entry in navigation for target in entry.values()]
    return [page for target in targets for page in (pages_of(target) if isinstance(target, list) else [target])]


def test_index_lists_every_page() -> None:
    """The list has each page once and no other page."""
    assert sorted(LISTED) == sorted(PAGES - {"index.md"})


def test_navigation_is_the_index() -> None:
    """The navigation starts with the index, followed by its pages in the same order."""
    navigation = tomllib.loads(read("zensical.toml"))["project"]["nav"]
    assert pages_of(navigation) == ["index.md", *LISTED]
