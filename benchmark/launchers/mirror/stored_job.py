"""The driver's side of a mirror: a job elsewhere, whose folder comes home while it works and when it has ended."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

from benchmark.errors import told
from benchmark.files import read_bytes
from benchmark.launchers.base import Job
from benchmark.launchers.mirror.fetching import Fetcher
from benchmark.launchers.mirror.listing import Listing
from benchmark.launchers.mirror.sending import CHECKPOINTS
from benchmark.launchers.mirror.sent import Sent
from benchmark.launchers.mirror.store import Store, StoreTrouble
from benchmark.launchers.mirror.turn import is_held, newest_claim
from benchmark.locks import patience_s
from benchmark.run.folder import RunFolder
from benchmark.run.standing import Standing

LOOK_S = 3.0
"""Seconds between two looks into the store for one job."""

PATIENCE_S = 600.0
"""Seconds in which the store may not answer after a job has ended, before that counts as a fault of the machine."""

_OWN = ("spec.json", "config.py")  # a job writes neither


class Home:
    """A run's folder on this machine, and what of the store is to come there.

    Args:
        store: Where it was sent.
        folder: The run.
        sent: What was sent.
        listing: As it was put, if that was now.
    """

    def __init__(
        self, store: Store, folder: RunFolder, sent: Sent, listing: Listing | None = None
    ) -> None:
        self.store = store
        self.folder = folder
        self.sent = sent
        self._fetcher = Fetcher(store, sent.run, folder.path, _OWN)
        if listing is not None:
            self._fetcher.knows(listing)
        self._stop = b""

    @property
    def to_tell(self) -> bool:
        """Whether somebody wants the job to end, who has not been passed on."""
        return self.folder.stop_file.exists() and self._wanted() != self._stop

    def tell(self) -> None:
        """Passes on that the job is to end.

        Raises:
            StoreTrouble: The store does not answer.
        """
        wanted = self._wanted()
        if wanted:
            self.store.write(f"{self.sent.run}/stop", wanted)
            self._stop = wanted

    def _wanted(self) -> bytes:
        try:
            return read_bytes(self.folder.stop_file)
        except OSError:
            return b""

    def bring(self, everything: bool) -> None:
        """Brings home what is new; ``everything`` of a job that has ended, after which the store is not asked again.

        Raises:
            StoreTrouble: The store does not answer.
        """
        listing = self._fetcher.bring(everything)
        if not everything:
            return
        if listing is not None:
            self._tidy(set(listing.files))
        elif self.sent.number:
            where = f"{self.store.url}/{self.sent.run}"
            raise StoreTrouble(where, "what was sent there is not there any more")
        self.sent = replace(self.sent, home=True)
        self.sent.note(self.folder)

    def _tidy(self, there: set[str]) -> None:
        """Removes what the job has removed of what it was given, and what a run that has ended does without."""
        gone = set(self.sent.files) - there
        if self.folder.finished:
            self.folder.stop_file.unlink(missing_ok=True)
            here = self.folder.checkpoints.glob("*.pth")
            gone |= {f"{CHECKPOINTS}/{path.name}" for path in here} - there
        for name in gone:
            (self.folder.path / name).unlink(missing_ok=True)

    def cpu_seconds(self) -> float | None:
        """CPU time of the job, as it has last said.

        Raises:
            StoreTrouble: The store does not answer.
        """
        claim = newest_claim(self.store, self.sent.run)
        return claim.cpu_s if claim and claim.number > self.sent.number else None


class StoredJob:
    """A job whose run's folder lies in a store.

    Args:
        job: As its launcher has it; None where that cannot be asked, and its turn in the store tells whether it lives.
        home: The run's folder here.
    """

    def __init__(self, job: Job | None, home: Home) -> None:
        self._job = job
        self._home = home
        self._over = False
        self._due = 0.0
        self._trouble = ""
        self._ended_at: float | None = None
        self._used: tuple[float, float] = (0.0, time.monotonic())

    @property
    def outlives_driver(self) -> bool:
        """See `benchmark.launchers.base.Job`."""
        return self._job is None or self._job.outlives_driver

    def ended(self) -> bool:
        """See `benchmark.launchers.base.Job`: once it has ended, and what it came to is here."""
        if self._over:
            return True
        over = self._job is not None and self._job.ended()
        if (
            time.monotonic() < self._due
            and not self._home.to_tell
            and not (over and not self._trouble)
        ):
            return False
        try:
            self._over = self._look(over)
            self._trouble = ""
        except StoreTrouble as trouble:
            self._trouble = told(trouble)
            self._over = over and (trouble.lasts or self._waited())
        self._due = time.monotonic() + LOOK_S
        return self._over

    def _look(self, over: bool) -> bool:
        """Passes on and brings what is new; whether the job has ended."""
        home = self._home
        if home.to_tell:
            home.tell()
        if self._job is None:
            over = not is_held(home.store, home.sent.run)
        home.bring(everything=over)
        return over

    def _waited(self) -> bool:
        """Whether the store has not answered for so long that the job is given up."""
        self._ended_at = self._ended_at or time.monotonic()
        return time.monotonic() - self._ended_at > PATIENCE_S

    def exit_text(self) -> str:
        """See `benchmark.launchers.base.Job`."""
        if self._trouble:
            return f"the store does not answer: {self._trouble}"
        return self._job.exit_text() if self._job else "its turn in the store has ended"

    def met_fault(self) -> bool:
        """See `benchmark.launchers.base.Job`: that what it came to cannot be had is one."""
        return bool(self._trouble) or (self._job is not None and self._job.met_fault())

    def standing(self) -> Standing:
        """See `benchmark.launchers.base.Job`."""
        found = self._job.standing() if self._job else Standing()
        words = "its store does not answer" if self._trouble else ""
        return replace(found, words="; ".join(filter(None, [found.words, words])))

    def cut_off(self) -> str:
        """See `benchmark.launchers.base.Job`: of one that is known by its turn alone nobody tells why it has ended."""
        return (
            self._job.cut_off() if self._job else "its job is gone, of which the store alone told"
        )

    def cpu_seconds(self) -> float | None:
        """See `benchmark.launchers.base.Job`: while the store does not answer it is taken to be at work."""
        used, at = self._used
        try:
            found = self._home.cpu_seconds()
        except StoreTrouble:
            return used + time.monotonic() - at
        if found is not None:
            self._used = found, time.monotonic()
        return found

    def kill(self) -> None:
        """See `benchmark.launchers.base.Job`; what was put before comes home."""
        if self._job is None:
            self._ask_to_end()
            return
        self._job.kill()
        with suppress(StoreTrouble):
            if not self._over:
                self._home.bring(everything=True)
                self._over = True

    def _ask_to_end(self) -> None:
        """All that can be done to a job that is known by its turn alone."""
        end = time.monotonic() + patience_s()
        with suppress(StoreTrouble):
            self._home.store.write(f"{self._home.sent.run}/stop", b'{"state": "interrupted"}')
            while not self.ended() and time.monotonic() < end:
                time.sleep(LOOK_S / 3)
