"""Where the jobs of a sweep stand: said when it changes."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.launchers import Job
from benchmark.run.standing import Standing
from benchmark.run.state import Planned, standing_run


class Standings:
    """Says where jobs stand when that changes.

    Args:
        say: Hears of a run that is ``queued`` or ``running`` now, with what its scheduler says.
    """

    def __init__(self, say: Callable[[Planned], None]) -> None:
        self._say = say
        self._known: dict[str, Standing] = {}

    def begin(self, run: Planned, standing: Standing) -> None:
        """Takes in where a job stands that was just submitted or found."""
        self._known[run.spec.run_id] = standing

    def look(self, run: Planned, job: Job) -> None:
        """Says where the job stands, if it is elsewhere than before."""
        found = job.standing()
        if self._known.get(run.spec.run_id) != found:
            self._known[run.spec.run_id] = found
            self._say(standing_run(run, found))
