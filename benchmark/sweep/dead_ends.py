"""Jobs of a cluster that end before DetBoard begins in them: a sweep does not send all of its runs the same way.

A set-up line that fails, or an environment that the nodes do not have, would end one job after the other in a second.
So after the first that ends like this nothing is started until another one has begun: then it was its node alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from benchmark.errors import MachineError
from benchmark.run.starts import began, starts
from benchmark.run.state import stop_is_users
from benchmark.sweep.progress import name_of
from benchmark.sweep.unbegun import log_tail, refused, remedy

if TYPE_CHECKING:
    from benchmark.sweep.loop import Active

_MOST_IN_A_ROW = (
    3  # where others have begun: a node that swallows jobs is free at once for the next
)


class DeadEnds:
    """What is known of jobs that have ended before they began.

    Args:
        say: Shows a line to the user.
        launcher: Name of the launcher, for what is said.
    """

    def __init__(self, say: Callable[[str], None], launcher: str) -> None:
        self._say = say
        self._launcher = launcher
        self._begun: set[str] = set()
        self._spared: set[str] = set()
        self._in_a_row = 0
        self._refused = False
        self._first: tuple[str, str, str] | None = None

    @property
    def holds(self) -> bool:
        """Whether no job is to be started."""
        return self._in_a_row >= (_MOST_IN_A_ROW if self._begun else 1)

    def look(self, living: Sequence[Active]) -> None:
        """Takes in which jobs have begun; where it is clear that none will, those that are queued are ended.

        Raises:
            MachineError: None has begun, and none lives any more.
        """
        if not self._in_a_row:
            return
        held = self.holds
        self._note_begun(living)
        if held and not self.holds:
            self._say("other jobs have begun: going on")
        if not self.holds:
            return
        if not living:
            raise self._error()
        # Of those that run some may yet begin, and what was taken is not refused.
        if not self._refused and all(active.job.standing().queued for active in living):
            for active in living:
                self._spared.add(active.run.spec.run_id)
                active.job.kill()

    def ended(self, active: Active, living: Sequence[Active]) -> str:
        """Takes in a job that has ended, by no scheduler's doing; how it did, in words."""
        self._note_begun([active, *living])
        text = active.job.exit_text()
        if not is_one(active):
            return text
        self._in_a_row += 1
        if self._first is not None and active.run.spec.run_id in self._spared:
            return f"its job was ended before it began, for that of {self._first[0]} had come to nothing"
        if self._first is not None:
            return f"its job ended like that of {self._first[0]}"
        self._tell_first(active, text)
        return text

    def _tell_first(self, active: Active, text: str) -> None:
        name, folder = name_of(active.run), active.run.folder
        self._first, self._refused = (name, text.rstrip(";"), remedy(folder, text)), refused(folder)
        shown = [f"    {line}" for line in log_tail(folder) if line not in text]
        end = "its log ends:" if shown else "no other is started until one begins"
        self._say("\n".join([f"{name}: its job ended before DetBoard began: {end}", *shown]))

    def _note_begun(self, some: Sequence[Active]) -> None:
        new = {a.run.spec.run_id for a in some if starts(a.run.folder) > a.starts} - self._begun
        if new:
            self._begun |= new
            self._in_a_row, self._first = 0, None

    def _error(self) -> MachineError:
        name, text, do = self._first or ("", "", "")
        return MachineError(
            f"{name}: its job ended before DetBoard began in it, and so would those of other runs",
            text,
            f"{do}. 'detboard doctor --launcher {self._launcher}' tries that with one job; then give the same command "
            "again",
        )


def is_one(active: Active) -> bool:
    """Whether a job that has ended never began: one of a cluster, for these note in the folder that they begin."""
    folder = active.run.folder
    stopped = stop_is_users(folder.stop_file)
    if folder.finished or stopped or not active.job.outlives_driver:
        return False
    return starts(folder) == active.starts and not began(
        folder
    )  # also where another driver found it
