"""Jobs that have outlived their driver."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Sequence

from benchmark import locks
from benchmark.errors import UserError
from benchmark.launchers.processes import is_python, kill_group
from benchmark.run.state import Planned

# A job says "stop" and lets go of its folder in this time; a lock that is held longer is a living job's.
_GRACE_S = 5.0


def wait_for_orphans(runs: Iterable[Planned]) -> list[Planned]:
    """Waits for jobs whose driver was killed a moment ago; returns the runs whose job still lives."""
    end = time.monotonic() + min(_GRACE_S, locks.patience_s())
    held = [run for run in runs if locks.is_held(run.folder.lock_file)]
    while held and time.monotonic() < end:
        time.sleep(0.1)
        held = [run for run in held if locks.is_held(run.folder.lock_file)]
    return held


def end_orphans(runs: Sequence[Planned]) -> None:
    """Ends jobs that have outlived their driver.

    Raises:
        UserError: A job holds a folder on another machine.
    """
    for run in wait_for_orphans(runs):
        held = locks.Held(run.folder.lock_file)
        if held.pid is None or held.host != socket.gethostname():
            raise UserError(f"{run.folder.path}: its job ({held.who}) still runs: end it first")
        if is_python(held.pid):
            kill_group(held.pid)
        if wait_for_orphans([run]):
            raise UserError(f"{run.folder.path}: its job ({held.who}) cannot be ended")
