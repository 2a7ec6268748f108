"""Draw the output of a terminal as SVG."""

from __future__ import annotations

import io
import re
from typing import Final

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from demo.pictures.terminal import COLUMNS

_FONTS: Final = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)
"""Rich's SVG loads fonts from a web server. This removes them, so that the reader's own fonts are used."""


def draw(name: str, title: str, prompt: str, shown: str, *, columns: int = COLUMNS) -> str:
    """Draw *shown* with its ANSI colors below a prompt with the command. Each picture needs its own *name*."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ {prompt}", style="bold"))
    console.print(Text.from_ansi(shown.replace("\r\n", "\n").rstrip()))
    return console.export_svg(title=title, unique_id=name, code_format=_FONTS.sub("", CONSOLE_SVG_FORMAT))
