"""The kinds of AzureError that are raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from backupjobwatch.errors import AzureError, NoRequest

if TYPE_CHECKING:
    from collections.abc import Iterator


def _leaves(kind: type[AzureError]) -> Iterator[type[AzureError]]:
    children = kind.__subclasses__()
    if not children:
        yield kind
    for child in children:
        yield from _leaves(child)


KINDS: Final = tuple(_leaves(AzureError))
NO_REQUEST: Final = tuple(_leaves(NoRequest))
"""The kinds that are raised without a request to Azure."""
