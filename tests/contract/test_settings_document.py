"""docs/settings.md matches settings.py: variables, defaults, meanings and clouds."""

from __future__ import annotations

import ast
import dataclasses
from typing import Final

from backupjobwatch.clouds import CLOUDS
from backupjobwatch.settings import PREFIX, Settings
from tests.contract.markdown import plain, table
from tests.contract.project import PACKAGE, read

DOCUMENT: Final = read("docs/settings.md")
VARIABLES: Final = table(DOCUMENT, "variable")


def docstrings() -> dict[str, str]:
    """Return the docstring of each Settings field."""
    module = ast.parse((PACKAGE / "settings.py").read_text(encoding="utf-8"))
    (settings,) = (node for node in module.body if isinstance(node, ast.ClassDef) and node.name == Settings.__name__)
    found = {}
    for field, text in zip(settings.body, settings.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            assert isinstance(text.value, ast.Constant)
            found[field.target.id] = str(text.value.value)
    return found


def test_lists_the_settings_with_their_defaults() -> None:
    """The table has each setting in the code's order, with the default that ``check`` prints."""
    listed = {plain(row["variable"]): plain(row["default"]) for row in VARIABLES}
    assert list(listed) == list(Settings().describe())
    assert listed == Settings().describe()
    assert len(VARIABLES) == len(listed)


def test_table_matches_the_code() -> None:
    """The table explains each setting as the code does."""
    explained = {plain(row["variable"]): plain(row["meaning"]) for row in VARIABLES}
    assert explained == {PREFIX + name.upper(): plain(text) for name, text in docstrings().items()}


def test_lists_the_clouds() -> None:
    """The table of clouds matches the code."""
    listed = [{name: plain(cell) for name, cell in row.items()} for row in table(DOCUMENT, f"`{PREFIX}CLOUD`")]
    assert listed == [{f"`{PREFIX}CLOUD`": name, **dataclasses.asdict(cloud)} for name, cloud in CLOUDS.items()]
