"""How often Python's garbage collector looks through what a process has made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_USUAL, _SELDOM = gc.get_threshold(), (50_000, 10, 10)


def collect_seldom() -> None:
    """Has the collector look seldom, for a process that begins with importing torch and mmdet.

    Of a million objects that come of it next to none is garbage: looking for that took a fifth of the time.
    """
    gc.set_threshold(*_SELDOM)


def collect_as_usual() -> None:
    """Ends `collect_seldom`, if that was called: what has been imported is not looked at any more."""
    if gc.get_threshold() == _SELDOM:
        gc.freeze()
        gc.set_threshold(*_USUAL)


def leave_to_the_end() -> None:
    """Has the collector pass over all that there is, for a command that is done: it goes with the process.

    Python would look for garbage in it as it ends: up to a second with ten thousand records.
    """
    gc.freeze()


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector.

    Nothing is thrown away before the end, and with ten thousand records it takes a third of the time to find out.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
