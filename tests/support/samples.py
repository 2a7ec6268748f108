"""The samples: their objects, including those embedded in objects and scripts, and their scripts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.support.builders import JOB_ID
from tests.support.documents import load_documents

if TYPE_CHECKING:
    from collections.abc import Iterator

Manifest = dict[str, Any]

SAMPLES: Final = Path(__file__).parents[2] / "manifests" / "samples"
SHARDED: Final = SAMPLES / "sharded"
"""A complete installation, which tests/contract/test_high_availability.py checks."""
FILES: Final = tuple(
    sorted(path for path in SAMPLES.rglob("*") if path.suffix in (".yaml", ".sh") and SHARDED not in path.parents)
)
SHEBANG: Final = "#!/bin/sh\n"
RUN_UID: Final = "11111111-1111-4111-8111-111111111111"
"""The UID of the TaskRun in samples that contain one."""

_HEREDOC: Final = re.compile(r"<<(\w+)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
_BLANK: Final = re.compile(r"\{\{([\w.-]+)\}\}|\$\(([\w.]+)\)|\$(\w+)")
_BLANKS: Final = {
    **dict.fromkeys(("job", "JOB", "inputs.parameters.job"), JOB_ID),
    **dict.fromkeys(("timeout", "TIMEOUT"), "14400"),
    "RUN": "run-1",
    **dict.fromkeys(("RUN_UID", "tt.params.uid"), RUN_UID),
}
"""Example values for the parameters that a run fills in, by their name in the sample."""


def name_of(path: Path) -> str:
    """Return the name of a sample in the index."""
    return path.relative_to(SAMPLES).as_posix()


def sample(name: str) -> Path:
    """Return the sample with that name in the index."""
    return SAMPLES / name


def objects(path: Path) -> list[Manifest]:
    """Return the objects of a file, or an empty list for a script."""
    return load_documents(path.read_text("utf-8")) if path.suffix == ".yaml" else []


def pick(path: Path, kind: str) -> Manifest:
    """Return the only object of that *kind* in a file."""
    (found,) = (each for each in objects(path) if each["kind"] == kind)
    return found


def every_object(path: Path) -> Iterator[Manifest]:
    """Yield the objects of a file, and those embedded as values, in strings or in here-documents."""
    if path.suffix == ".sh":
        yield from _within(path.read_text("utf-8"))
    for each in objects(path):
        yield each
        yield from _within({key: value for key, value in each.items() if key != "metadata"})


def _within(value: Any) -> Iterator[Manifest]:
    if isinstance(value, list):
        for each in value:
            yield from _within(each)
    elif isinstance(value, dict):
        if {"apiVersion", "kind", "metadata"} <= value.keys():
            yield value
        for each in value.values():
            yield from _within(each)
    elif isinstance(value, str) and "apiVersion:" in value:
        texts = [body for _, body in _HEREDOC.findall(value)] if value.startswith(SHEBANG) else [value]
        for text in texts:
            yield from _within(load_documents(filled_in(text)))


def filled_in(text: str) -> str:
    """Return a text with each parameter replaced by an example value."""
    return _BLANK.sub(lambda blank: _BLANKS[blank[1] or blank[2] or blank[3]], text)


def scripts(path: Path) -> list[str]:
    """Return the shell scripts of a file: the file itself, or those in its objects."""
    if path.suffix == ".sh":
        return [path.read_text("utf-8")]
    return [text for text in texts(objects(path)) if text.startswith(SHEBANG)]


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)
