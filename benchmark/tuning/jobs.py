"""What the driver of a study has to do with the jobs of its trials: it hears their validations, and ends them."""

from __future__ import annotations

from typing import Protocol

from benchmark.run.journal import Point, Tail
from benchmark.run.record import State
from benchmark.run.state import Planned
from benchmark.sweep.ending import end_job
from benchmark.sweep.holders import end_orphans


class News(Protocol):
    """The journal of a run, heard as it grows."""

    def new_points(self) -> list[Point]:
        """The points that are new since the last look."""


class Jobs(Protocol):
    """The jobs of a study's trials, as its driver sees them; a launcher starts them."""

    def news(self, run: Planned) -> News:
        """The journal of a trial's run."""

    def begin(self, run: Planned) -> None:
        """A job of the run is about to start: none that was left behind may go on.

        Raises:
            UserError: One cannot be ended from here.
        """

    def end(self, run: Planned, state: State) -> None:
        """Asks the run's job to end, as ``pruned``, or ``interrupted`` to be continued later."""

    def over(self, run: Planned) -> None:
        """The run's job has ended, whatever it was asked."""


class FolderJobs:
    """Jobs that know their run's folder, and are known by it."""

    def news(self, run: Planned) -> News:
        """See `Jobs`."""
        return Tail(run.folder.metrics_file)

    def begin(self, run: Planned) -> None:
        """See `Jobs`."""
        end_orphans([run])

    def end(self, run: Planned, state: State) -> None:
        """See `Jobs`."""
        end_job(run.folder, state.value)

    def over(self, run: Planned) -> None:
        """See `Jobs`."""
        run.folder.stop_file.unlink(missing_ok=True)
