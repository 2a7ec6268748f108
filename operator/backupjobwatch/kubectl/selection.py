"""Select the watches of a command as kubectl selects objects: by name, by label, or all of a namespace."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from backupjobwatch.constants import API_VERSION, GROUP, KIND, PLURAL
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.kubectl.candidates import watches
from backupjobwatch.kubectl.cluster import Scope
from backupjobwatch.terminal.option_groups import option_group

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STDIN: Final = "-"
_MOST: Final = 1 << 20
_VERSION: Final = API_VERSION.partition("/")[2]
_TYPES: Final = frozenset(
    {
        "bjw",
        *(f"{word}{suffix}" for word in (KIND.lower(), PLURAL) for suffix in ("", f".{GROUP}", f".{_VERSION}.{GROUP}")),
    }
)
"""What kubectl accepts as the type of a watch."""
_SHOWN: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Names of watches, or a selector of labels; neither means all watches of the namespace."""

    names: tuple[str, ...] = ()
    selector: str | None = None

    def scope(self, namespace: str) -> Scope:
        """Return the scope to list, if the watches are not selected by name."""
        return Scope(namespace=namespace, selector=self.selector)

    def nothing(self, namespace: str) -> str:
        """Return the message for a selection that matches no watch."""
        which = f"matches the selector {self.selector}" if self.selector else "exists"
        return f"no watch {which} in the namespace {namespace}. Check with `kubectl get bjw --namespace {namespace}`."


def _read_selection(values: dict[str, Any]) -> Selection:
    names, selector = values.pop("names"), values.pop("selector")
    given = [bool(names), selector is not None, values.pop("every")]
    if sum(given) > 1:
        raise click.UsageError("NAME, --selector and --all exclude each other. Use one of them.")
    if not any(given):
        raise click.UsageError("NAME is missing. Pass the name of a watch, --selector or --all.")
    if selector is not None and not selector.strip():
        raise click.UsageError("--selector is empty. Write a label, such as team=payroll, or use --all.")
    return Selection(names=tuple(dict.fromkeys(_names(names))), selector=selector)


selection_options: Final = option_group(
    "selection",
    _read_selection,
    click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=watches),
    click.option("-l", "--selector", help="Select watches by their labels: team=payroll,stage!=test."),
    click.option("--all", "every", is_flag=True, help="Select all watches of the namespace."),
)
"""The argument NAME… and the options ``--selector`` and ``--all``. The command gets them as ``selection``."""


def _names(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word == _STDIN:
            piped = sys.stdin.buffer.read(_MOST).decode(errors="replace").split()
            if not piped:
                raise click.UsageError("Standard input has no names. Check the command before the pipe.")
            yield from map(_name, piped)
        else:
            yield _name(word)


def _name(word: str) -> str:
    """Return the name in ``NAME`` or ``TYPE/NAME``."""
    kind, slash, name = word.rpartition("/")
    if (slash and kind not in _TYPES) or not name:
        raise click.UsageError(
            f"{sanitize(word, _SHOWN) or 'An empty name'} is not a BackupJobWatch. Write NAME or bjw/NAME."
        )
    return name
