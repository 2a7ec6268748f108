"""How seldom an unchanged status is written again: by how many watches are polled at the time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.polling.schedule import heartbeat

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from backupjobwatch.controller.watch_state import WatchState

COUNT_EVERY: Final = 10.0
"""Seconds between two counts of the watches that are polled."""


class Heartbeats:
    """The heartbeats of all watches that are followed."""

    def __init__(self, least: timedelta, states: Mapping[str, WatchState]) -> None:
        self._least = least
        self._states = states
        self._polled, self._counted = 0, float("-inf")

    def interval_for(self, uid: str) -> timedelta:
        """Return after how long the status of a watch is written again."""
        now = asyncio.get_running_loop().time()
        if now >= self._counted + COUNT_EVERY:  # of those that are kept, most have ended
            self._polled = sum(state.interval is not None for state in self._states.values())
            self._counted = now
        return heartbeat(self._least, self._polled, seed=uid)
