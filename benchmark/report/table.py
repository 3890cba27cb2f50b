"""What the table shows: the rows of an experiment and what became of their runs."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from benchmark.dataset import Dataset
from benchmark.experiment import Row
from benchmark.run import RunRecord, State

# Only this profile is the published schedule; numbers of any other compare with nothing published.
COMPARABLE_PROFILE = "full"

# A row without a complete run shows the first of these that one of its runs is in.
_MOST_TELLING = (State.RUNNING, State.FAILED, State.LOST, State.PRUNED, State.WAITING)


@dataclass(frozen=True)
class RowResult:
    """One row and its runs, one a seed.

    Attributes:
        row: The line of the leaderboard.
        seeds: The seeds asked for.
        records: The record of each seed's run, None where there is none.
        states: The state of each seed's run.

    Raises:
        ValueError: If the three are not of one length, or there is no seed.
    """

    row: Row
    seeds: tuple[int, ...]
    records: tuple[RunRecord | None, ...]
    states: tuple[State, ...]

    def __post_init__(self) -> None:
        if not len(self.seeds) == len(self.records) == len(self.states) > 0:
            raise ValueError(f"row {self.row.name}: one record and one state for each seed, please")

    @property
    def recorded(self) -> tuple[RunRecord, ...]:
        """The records that exist, in the order of the seeds."""
        return tuple(record for record in self.records if record is not None)

    @property
    def complete(self) -> tuple[RunRecord, ...]:
        """Records of the complete runs: the only ones that are measured values."""
        return tuple(record for record in self.recorded if record.state is State.COMPLETE)

    @property
    def failures(self) -> tuple[RunRecord, ...]:
        """Records of the failed runs."""
        return tuple(record for record in self.recorded if record.state is State.FAILED)

    @property
    def all_complete(self) -> bool:
        """Whether no seed is missing."""
        return len(self.complete) == len(self.seeds)

    @property
    def map50(self) -> float | None:
        """Mean mAP50 of the complete runs, a fraction in 0..1."""
        values = [record.metric("mAP50") for record in self.complete]
        return _mean([value for value in values if value is not None])

    @property
    def difference(self) -> float | None:
        """Measured minus published mAP50; it means something under the full schedule only."""
        if self.map50 is None or self.row.published is None:
            return None
        return self.map50 - self.row.published

    @property
    def params(self) -> int | None:
        """Number of parameters of the model, which no seed changes."""
        known = (record.params for record in self.complete if record.params is not None)
        return next(known, None)

    @property
    def train_seconds(self) -> float | None:
        """Mean wall-clock seconds of a complete run."""
        return _mean([record.train_seconds for record in self.complete])

    @property
    def no_predictions(self) -> int:
        """How many of the complete runs predicted nothing at all."""
        return sum(record.no_predictions for record in self.complete)

    @property
    def state(self) -> State:
        """``complete`` as soon as one seed is; else the most telling state of the runs."""
        if self.complete:
            return State.COMPLETE
        return next(state for state in _MOST_TELLING if state in self._states_left)

    @property
    def _states_left(self) -> set[State]:
        # A folder that lost its record between two looks at it still is not complete.
        return {State.LOST if s is State.COMPLETE else s for s in self.states}

    @property
    def failure_kinds(self) -> tuple[str, ...]:
        """The kinds of the failures, sorted, each once."""
        kinds = {record.failure["kind"] for record in self.failures if record.failure}
        return tuple(sorted(kinds))

    @property
    def status(self) -> str:
        """The state in words: ``complete (2 of 3 seeds), no predictions``, ``failed (oom)``."""
        if self.state is State.COMPLETE:
            return f"complete{self._missing_seeds}{self._silent_seeds}"
        if self.state is State.FAILED and self.failure_kinds:
            return f"failed ({', '.join(self.failure_kinds)})"
        return str(self.state.value)

    @property
    def _missing_seeds(self) -> str:
        asked, done = len(self.seeds), len(self.complete)
        return "" if done == asked else f" ({done} of {asked} seeds)"

    @property
    def _silent_seeds(self) -> str:
        silent, done = self.no_predictions, len(self.complete)
        if not silent:
            return ""
        return ", no predictions" + ("" if silent == done else f" in {silent} of {done}")


@dataclass(frozen=True)
class Table:
    """A leaderboard as it stands.

    Attributes:
        name: Name of the experiment: the stem of the files, and in the README's markers.
        title: Heading.
        profile: The profile that every record was made under.
        dataset: The dataset that every record was made on.
        rows: The lines, in order.

    Raises:
        ValueError: If a record was made under another profile.
    """

    name: str
    title: str
    profile: str
    dataset: Dataset
    rows: tuple[RowResult, ...]

    def __post_init__(self) -> None:
        records = [record for result in self.rows for record in result.recorded]
        strange = [record.run_id for record in records if record.profile != self.profile]
        if strange:
            raise ValueError(f"not made under the {self.profile} profile: {', '.join(strange)}")

    @property
    def comparable(self) -> bool:
        """Whether the measured values compare with the published ones."""
        return self.profile == COMPARABLE_PROFILE

    @property
    def caveat(self) -> str:
        """What a reader must know before comparing; empty under the full schedule."""
        if self.comparable:
            return ""
        return (
            f"{self.profile} profile: shortened training, not comparable with the published values"
        )

    @property
    def heading(self) -> str:
        """The title, with the caveat."""
        return f"{self.title} ({self.caveat})" if self.caveat else self.title

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every seed of any row, sorted."""
        return tuple(sorted({seed for result in self.rows for seed in result.seeds}))

    @property
    def progress(self) -> str:
        """``7 of 9``: the rows of which every seed is complete, of all."""
        return f"{sum(result.all_complete for result in self.rows)} of {len(self.rows)}"


def _mean(values: list[float]) -> float | None:
    # fmean sums exactly: one seed keeps every digit, and the order of several does not matter.
    return fmean(values) if values else None
