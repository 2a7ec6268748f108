"""
Build the documentation site from docs/ in strict mode: a link to a missing page or heading fails.

    python -m tests.documents.site

Links from docs/ to other files of the repository become links to GitHub, because the site contains only docs/.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
CONFIGURATION: Final = ROOT / "zensical.toml"
SOURCE: Final = ROOT / "build" / "site-source"
REPOSITORY: Final = "https://github.com/OWNER/backupjobwatch/blob/main"
_LINK: Final = re.compile(r"(\]\()([^)\s]+)(\))")


def main() -> int:
    """Copy the pages, build the site, and return the exit status of the build."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(DOCS, SOURCE / "docs")
    for page in sorted(SOURCE.rglob("*.md")):
        original = DOCS / page.relative_to(SOURCE / "docs")
        page.write_text(relink(original.read_text(encoding="utf-8"), original), encoding="utf-8")
    shutil.copy(CONFIGURATION, SOURCE)
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
    if done.returncode:
        print(re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr).partition("Traceback")[0])
    return done.returncode


def relink(text: str, page: Path) -> str:
    """Rewrite the links of *page* to files outside docs/ as links to GitHub."""

    def target(match: re.Match[str]) -> str:
        link = match[2]
        path = (page.parent / link.partition("#")[0]).resolve()
        if "://" in link or link.startswith("#") or path.is_relative_to(DOCS):
            return match[0]
        return f"{match[1]}{REPOSITORY}/{path.relative_to(ROOT)}{link[len(link.partition('#')[0]) :]}{match[3]}"

    return _LINK.sub(target, text)


if __name__ == "__main__":
    sys.exit(main())
