"""A stand-in for `az` on PATH that records its calls and returns a configured output and exit status."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Az:
    """The command, in a separate folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._calls = folder / "calls"
        self.answer()

    def answer(self, text: str = "", *, status: int = 0) -> None:
        """Print *text* from now on unless the call disables output, and exit with *status*."""
        lines = (
            "#!/bin/sh",
            f'{{ for each in "$@"; do printf "%s\\n" "$each"; done; echo; }} >> {shlex.quote(str(self._calls))}',
            'case " $* " in *" --output none "*) exit 0 ;; esac',
            f"echo {shlex.quote(text)}" if status == 0 else "echo 'ERROR: AuthorizationFailed' >&2",
            f"exit {status}",
        )
        command = self.folder / "az"
        command.write_text("\n".join(lines) + "\n", "utf-8")
        command.chmod(0o755)

    def path(self, path: str) -> str:
        """Return a PATH that starts with this folder."""
        return f"{self.folder}:{path}"

    def calls(self) -> list[list[str]]:
        """Return the arguments of each call so far."""
        if not self._calls.exists():
            return []
        return [call.splitlines() for call in self._calls.read_text("utf-8").split("\n\n") if call]


def option(call: list[str], name: str) -> str:
    """Return the value of an option of a call."""
    return call[call.index(name) + 1]
