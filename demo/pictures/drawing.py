"""Draws the output of a terminal as an SVG."""

from __future__ import annotations

import io
import re
from typing import Final

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from demo.pictures.terminal import COLUMNS

_FONTS: Final = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)
"""Rich's SVG loads a font from a web server. Ours loads nothing and uses the fonts of the reader."""


def draw(name: str, title: str, prompt: str, shown: str, *, columns: int = COLUMNS) -> str:
    """Draw *shown*, with its ANSI colors, below the command at a prompt. *name* is unique among the pictures."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ {prompt}", style="bold"))
    console.print(Text.from_ansi(shown.replace("\r\n", "\n").rstrip()))
    return console.export_svg(title=title, unique_id=name, code_format=_FONTS.sub("", CONSOLE_SVG_FORMAT))
