"""Whose turn a run in a store is: each job that takes it over has the next number, which only one can take.

The holder puts its object again every few seconds. Another may take the run over where the object has not changed for a
while; it puts an object with the next number, which the store accepts once. No clocks of two machines are compared. Who
holds a number writes under it alone, and nobody reads what is under an older one once there is a newer: a job that was
cut off, and is there again, cannot spoil anything before it finds that it has been replaced.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from benchmark.launchers.mirror.store import Store, StoreTrouble

RENEW_S = 10.0
SILENT_S = 60.0
"""Seconds after the last renewal in which nobody takes a run over: six renewals, of which some may fail."""

_LOOK_S = 2.0
_OWN = re.compile(r"/[0-9]+\.json$")  # whatever else lies there is nobody's claim


class Taken(Exception):
    """Another job has taken the run over."""


@dataclass(frozen=True)
class Claim:
    """What the object of a turn says.

    Attributes:
        number: The how manieth holder it is, from 1.
        who: The holder in words.
        token: Of the holder alone.
        beat: How often it was renewed.
        cpu_s: Seconds of CPU time that its job has used; None if it is not known.
        released: The holder has ended, and another need not wait.
    """

    number: int
    who: str
    token: str
    beat: int = 0
    cpu_s: float | None = None
    released: bool = False

    def to_bytes(self) -> bytes:
        """As it lies in the store."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, store: Store, key: str) -> Claim | None:
        """The claim at a key; None if there is none. One that cannot be read is nobody's, and may be renewed.

        Raises:
            StoreTrouble: The store does not answer.
        """
        content = store.read(key)
        if content is None:
            return None
        number = int(key.rpartition("/")[2].partition(".")[0])
        try:
            return replace(cls(**json.loads(content)), number=number)
        except (ValueError, TypeError):
            return cls(number, "an unknown job", "")


def turn_key(run: str, number: int) -> str:
    """The object of a holder; in stores turns were called leases from the first."""
    return f"{run}/leases/{number:06}.json"


def newest_claim(store: Store, run: str) -> Claim | None:
    """Who holds a run, or held it last; None if nobody ever has.

    Raises:
        StoreTrouble: The store does not answer.
    """
    keys = [key for key in store.keys(f"{run}/leases") if _OWN.search(key)]
    return Claim.read(store, keys[-1]) if keys else None


def require(store: Store, run: str, number: int) -> None:
    """Sees to it that nobody has taken a run over from the holder of a number.

    The newest holder is looked for, not the next: of many the old ones are removed.

    Raises:
        Taken: Somebody has.
        StoreTrouble: The store does not answer.
    """
    newest = newest_claim(store, run)
    if newest is not None and newest.number > number:
        raise Taken(f"{newest.who} has taken the run over")


def age_s(store: Store, claim: Claim, run: str) -> float | None:
    """Seconds since a claim was renewed, by the store's clock alone; None where it does not say.

    Raises:
        StoreTrouble: The store does not answer.
    """
    probe = f"{run}/clocks/{secrets.token_hex(8)}"
    store.write(probe, b"")
    try:
        now = store.written_s(probe)
    finally:
        with suppress(StoreTrouble):
            store.remove(probe)
    renewed = store.written_s(turn_key(run, claim.number))
    return None if now is None or renewed is None else now - renewed


def is_held(store: Store, run: str) -> bool:
    """Whether a job seems to hold a run, at a glance.

    Raises:
        StoreTrouble: The store does not answer.
    """
    claim = newest_claim(store, run)
    if claim is None or claim.released:
        return False
    age = age_s(store, claim, run)
    return age is None or age <= SILENT_S


class Turn:
    """A turn of this process: the run is its own while that lasts.

    Args:
        store: Where.
        run: The run's key there.
        claim: What was put.
    """

    def __init__(self, store: Store, run: str, claim: Claim) -> None:
        self._store = store
        self._run = run
        self._claim = claim

    @property
    def number(self) -> int:
        """Which number it holds."""
        return self._claim.number

    def check(self) -> None:
        """Looks whether another has taken the run over.

        Raises:
            Taken: So it is.
            StoreTrouble: The store does not answer.
        """
        require(self._store, self._run, self.number)

    def renew(self, cpu_s: float | None = None) -> None:
        """Says that the holder lives, and what CPU time it has used, if nobody has replaced it; see `check`."""
        self.check()
        self._put(replace(self._claim, beat=self._claim.beat + 1, cpu_s=cpu_s))

    def release(self) -> None:
        """Says that the holder has ended.

        Raises:
            StoreTrouble: The store does not answer; it is over by itself, after `SILENT_S`.
        """
        self._put(replace(self._claim, released=True))

    def _put(self, claim: Claim) -> None:
        self._store.write(turn_key(self._run, claim.number), claim.to_bytes())
        self._claim = claim


def take(store: Store, run: str, who: str) -> Turn | None:
    """Takes a run at once, whoever may hold it; None if another has done so at the same moment.

    Raises:
        StoreTrouble: The store does not answer.
    """
    return _next(store, run, who, newest_claim(store, run))


def _next(store: Store, run: str, who: str, last: Claim | None) -> Turn | None:
    claim = Claim(last.number + 1 if last else 1, who, secrets.token_hex(8))
    if not store.create(turn_key(run, claim.number), claim.to_bytes()):
        return None
    for number in range(max(1, claim.number - 3), claim.number - 1):
        store.remove(turn_key(run, number))  # the one before may still be looked at
    for probe in store.keys(
        f"{run}/clocks"
    ):  # of who was killed in `age_s`; who is at it looks again
        store.remove(probe)
    return Turn(store, run, claim)


def wait_for(store: Store, run: str, who: str, say: Callable[[str], None]) -> Turn:
    """Takes a run as soon as nobody holds it: at once where the last one has ended, or is silent for `SILENT_S`.

    Raises:
        StoreTrouble: The store does not answer.
    """
    seen: Claim | None = None
    since = time.monotonic()
    while True:
        claim = newest_claim(store, run)
        if claim is None or claim.released or (claim == seen and _over(since)):
            if (turn := _next(store, run, who, claim)) is not None:
                return turn
        elif claim != seen:
            since = time.monotonic() - (age_s(store, claim, run) or 0.0)
            if seen is None and not _over(since):
                say(
                    f"{claim.who} holds the run: waiting until it has ended, or is silent for {SILENT_S:g} s"
                )
            seen = claim
            continue
        time.sleep(min(_LOOK_S, SILENT_S / 4))


def _over(since: float) -> bool:
    return time.monotonic() - since > SILENT_S
