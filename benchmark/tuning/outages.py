"""A storage that does not answer for a while: the driver goes on with its jobs, and asks again later."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from benchmark.errors import why
from benchmark.locks import patience_s
from benchmark.tuning.database import OUTAGES

_LEASES = 15  # a storage is waited for longer than a driver is: 15 minutes
_AFTER_OUTAGE_S = 5.0

_T = TypeVar("_T")


class Outages:
    """Asks the storage, notes since when it does not answer, and says so.

    Args:
        say: Shows a line to the user.

    Attributes:
        not_before: When the storage is to be asked for a new trial again, on the monotonic clock.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.not_before = 0.0
        self._since: float | None = None

    @property
    def lasts(self) -> bool:
        """Whether the storage did not answer when it was last asked."""
        return self._since is not None

    def despite(self, action: Callable[[], _T], jobs_run: bool) -> _T | None:
        """The action's result; None while the storage does not answer, for which the jobs do not wait.

        Args:
            action: Asks the storage; False says that it had nothing to ask.
            jobs_run: Whether jobs run meanwhile, for which the driver goes on however long it takes.

        Raises:
            Exception: One of `benchmark.tuning.database.OUTAGES`: no job runs, and the storage has not answered for 15
                times `benchmark.locks.patience_s`.
        """
        try:
            result = action()
        except OUTAGES as error:
            self._note(error)
            if not jobs_run and self._lasted() >= _LEASES * patience_s():
                raise
            return None
        if result is not False and self.lasts:
            self._since = None
            self._say("the storage answers again")
        return result

    def _note(self, error: Exception) -> None:
        now = time.monotonic()
        if not self.lasts:
            self._since = now
            self._say(
                f"the storage does not answer ({why(error)}): jobs go on, and it is asked again"
            )
        self.not_before = now + _AFTER_OUTAGE_S

    def _lasted(self) -> float:
        return time.monotonic() - (self._since or time.monotonic())
