"""The pictures in docs/pictures show real terminal output, match the documents, and load nothing."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET

from demo.pictures import __main__ as pictures
from demo.pictures.drawing import draw
from tests.contract.project import ROOT, read

SVG: Final = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> str:
    """Return the text of a picture, line by line."""
    lines: dict[str, list[str]] = {}
    for element in ET.fromstring(svg).iter(f"{SVG}text"):
        lines.setdefault(element.get("y", ""), []).append((element.text or "").replace("\xa0", " "))
    return "\n".join(" ".join(words) for words in lines.values())


def test_each_picture_has_its_function() -> None:
    """``make pictures`` draws every picture."""
    names = {path.stem for path in (ROOT / "docs" / "pictures").glob("*.svg")}
    assert names == {picture.__name__ for picture in pictures.ALL}


def test_watch() -> None:
    """The picture shows the documented live view: phases, tasks, a progress bar and the error."""
    written = texts(read("docs/pictures/watch.svg"))
    assert written.splitlines()[1].strip() == "$ backupjobwatch watch - < jobs.txt"
    for told in (
        "Running",
        "Failed",
        "Transfer data from vault",
        "━",
        " % ",
        " left",
        "UserErrorGuestAgentStatusUnavailable",
    ):
        assert told in written
    assert "Traceback" not in written


def test_bjw_list() -> None:
    """The list at 120 columns shows names, phases, reasons and items without truncation."""
    written = texts(read("docs/pictures/bjw_list.svg"))
    for told in ("kubectl bjw list", "with-warnings", "Running", "Failed", "NAME", "STARTED", "JobInProgress"):
        assert told in written
    assert "…" not in written
    assert "%" in written
    assert "Traceback" not in written


def test_bjw_tasks() -> None:
    """The tasks are indented under their job, with their details."""
    written = texts(read("docs/pictures/bjw_tasks.svg"))
    for told in (
        "kubectl bjw tasks restore",
        "Running",
        "Restore of ",
        "━",
        " % ",
        "Transfer data from vault",
        "Transferred",
    ):
        assert told in written
    assert "Traceback" not in written


def test_pictures_fetch_nothing() -> None:
    """No picture loads a font or style from a server."""
    for path in (ROOT / "docs" / "pictures").glob("*.svg"):
        svg = path.read_text(encoding="utf-8")
        assert re.findall(r"@import|@font-face|url\((?!#)|href", svg) == []
        assert len(svg) < 100_000


def test_output_is_drawn_as_text() -> None:
    """The picture draws any program output as text, in its own colors."""
    svg = draw("one", "title", "echo", "\x1b[31m</text><script>&\r\nnext\x1b[0m")
    assert "<script>" not in svg
    assert "</text><script>&" in texts(svg)
    assert "next" in texts(svg)
