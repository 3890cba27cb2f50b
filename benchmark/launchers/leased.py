"""A job of which nobody can be asked from here, on whatever machine: its lease tells whether it lives."""

from __future__ import annotations

import time

from benchmark.files import NotAFile
from benchmark.run.folder import RunFolder
from benchmark.run.lease import Watch, glance, take_away
from benchmark.run.standing import Standing

_LOOK_S = 1.0


class LeaseHolder:
    """The job that holds a folder's lease: submitted to a scheduler that cannot be asked from here.

    Args:
        folder: Its run folder.
        who: Whose the lease is, in words.
    """

    outlives_driver = True

    def __init__(self, folder: RunFolder, who: str) -> None:
        self._folder = folder
        self._who = who
        self._watch = Watch(folder.lease_file)
        self._looked = float("-inf")
        self._lives = True

    def ended(self) -> bool:
        """See `benchmark.launchers.base.Job`: it has given its lease back, or has not renewed it all the while."""
        if self._lives and time.monotonic() - self._looked >= _LOOK_S:
            self._looked = time.monotonic()
            self._lives = self._looks_alive()
        return not self._lives

    def _looks_alive(self) -> bool:
        try:
            return self._watch.living() is not None
        except NotAFile:  # no job renews what is none
            return False
        except OSError:  # nothing new is known
            return True

    def exit_text(self) -> str:
        """See `benchmark.launchers.base.Job`."""
        return f"{self._who}: {self.cut_off() or 'it has let go of the folder'}"

    def met_fault(self) -> bool:
        """See `benchmark.launchers.base.Job`: its status is not known."""
        return False

    def standing(self) -> Standing:
        """See `benchmark.launchers.base.Job`."""
        return Standing(queued=False, words=f"{self._who}, by its lease")

    def cut_off(self) -> str:
        """See `benchmark.launchers.base.Job`: who does not renew a lease is gone, or was cut off from the folder."""
        ran_out = not self._lives and self._watch.seen is not None
        return "its lease has run out" if ran_out else ""

    def cpu_seconds(self) -> None:
        """See `benchmark.launchers.base.Job`."""

    def kill(self) -> None:
        """See `benchmark.launchers.base.Job`: it ends when it next renews its lease, which is taken away."""
        if not self.ended():
            take_away(self._folder.lease_file)
            self._lives = False


def lease_holder(folder: RunFolder) -> LeaseHolder | None:
    """Who holds the folder's lease, as it seems at a glance; None if nobody does."""
    seen = glance(folder.lease_file)
    return LeaseHolder(folder, seen.who) if seen is not None else None
