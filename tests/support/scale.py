"""Choose the size of a test: a small one for every day, or a large one for ``make soak``."""

from __future__ import annotations

import os
from typing import Final, TypeVar

SOAK: Final = "SOAK" in os.environ
_T = TypeVar("_T")


def at_scale(usual: _T, soak: _T) -> _T:
    """Return *soak* under ``make soak``, else *usual*."""
    return soak if SOAK else usual
