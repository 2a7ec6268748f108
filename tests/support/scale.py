"""How much of something: enough for every day, or as much as ``make soak`` wants."""

from __future__ import annotations

import os
from typing import Final, TypeVar

SOAK: Final = "SOAK" in os.environ
_T = TypeVar("_T")


def at_scale(usual: _T, soak: _T) -> _T:
    """Return *soak* under ``make soak``, else *usual*."""
    return soak if SOAK else usual
