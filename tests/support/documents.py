"""Parse YAML with libyaml if PyYAML has it, which is ten times as fast for CRDs and kustomize output."""

from __future__ import annotations

from typing import Any, Final

import yaml

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_document(text: str) -> Any:
    """Return the only document of a text."""
    return yaml.load(text, _LOADER)


def load_documents(text: str) -> list[Any]:
    """Return all non-empty documents of a text."""
    return [value for value in yaml.load_all(text, _LOADER) if value is not None]
