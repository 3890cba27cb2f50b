"""What the table shows: the rows of an experiment and what became of their runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING, TypeVar

from benchmark.config.faster import in_title
from benchmark.data.dataset import Dataset
from benchmark.experiment.experiment import Experiment, Row
from benchmark.experiment.published import Judge
from benchmark.job.measure import Reading
from benchmark.leaderboard.values_on_test import OnTest, TestSplit
from benchmark.run.record import Metrics, RunRecord, State, Validations
from benchmark.run.tested import Tested

if TYPE_CHECKING:
    from benchmark.statistics.intervals import Interval
    from benchmark.statistics.ranks import Rank

_T = TypeVar("_T", float, str)

# Only this profile is the published schedule; numbers of any other compare with nothing published. Those of this one
# do on the published data only, see `benchmark.leaderboard.published`.
COMPARABLE_PROFILE = "full"
OTHER_IMAGES = "not evaluated on the images of the other rows"

# A row without a complete run shows the first of these that one of its runs is in.
_MOST_TELLING = (
    State.RUNNING,
    State.QUEUED,
    State.FAILED,
    State.DAMAGED,
    State.LOST,
    State.INTERRUPTED,
    State.PRUNED,
    State.WAITING,
)


@dataclass(frozen=True)
class RowResult:
    """One row and its runs, one a seed, or one a seed and fold.

    Attributes:
        row: The line of the leaderboard.
        seeds: The seed of each run that is asked for.
        records: The record of each run, None where there is none.
        states: The state of each run.
        interval: Where mAP50 lies, None where that is not known.
        rank: The row's place among those with an interval.
        stale: Ids of finished runs of a seed that has no other: made with another config than the row has now.
        unpaired: Why the row has no interval although its runs are complete, empty if there is no such reason.
        unlike: Why it is held against no published value although its table is, empty if there is no such reason.
        reached: How far each run was when it was interrupted, in words; empty where that is not said.
        differs: What it has that rows of the same labels have not, empty if there is nothing, or there are none.
        changes: What was changed of the config that it is made from, see `benchmark.run.spec.RunSpec`.
        folds: The fold of each run; empty where the data is not divided.
        test: What its runs came to on the test split; None where the table has none.
        unranked: Why it has no rank although it has an interval, empty if there is no such reason.

    Raises:
        ValueError: If there are not as many of each, or there is no seed.
    """

    row: Row
    seeds: tuple[int, ...]
    records: tuple[RunRecord | None, ...]
    states: tuple[State, ...]
    interval: Interval | None = None
    rank: Rank | None = None
    stale: tuple[str, ...] = ()
    unpaired: str = ""
    unlike: str = ""
    reached: tuple[str, ...] = ()
    differs: str = ""
    changes: tuple[str, ...] = ()
    folds: tuple[int, ...] = ()
    test: OnTest | None = None
    unranked: str = ""

    def __post_init__(self) -> None:
        counts = {len(self.seeds), len(self.records), len(self.states)}
        counts |= {len(self.folds)} if self.folds else set()
        if counts == {0} or len(counts) > 1:
            raise ValueError(f"row {self.row.name}: one record and one state for each run, please")

    @property
    def fold_of_each(self) -> tuple[int | None, ...]:
        """The fold of each run; None where the data is not divided."""
        return self.folds or (None,) * len(self.seeds)

    @cached_property
    def recorded(self) -> tuple[RunRecord, ...]:
        """The records that exist, in the order of the runs."""
        return tuple(record for record in self.records if record is not None)

    @cached_property
    def done(self) -> tuple[RunRecord, ...]:
        """Records of the complete runs."""
        return tuple(record for record in self.recorded if record.state is State.COMPLETE)

    @cached_property
    def complete(self) -> tuple[RunRecord, ...]:
        """Records of the complete runs that make up the row's values: none before every fold has one.

        A mean over some of the folds is another number than the mean over all: no value is shown of it.
        """
        return self.done if self.folds_done == len(set(self.folds)) else ()

    @property
    def seeds_complete(self) -> int:
        """How many seeds are complete: of folds with a run of each, else with one."""
        if not self.folds:
            return len(self.done)
        runs = zip(self.seeds, self.folds, self.records, strict=True)
        done = [(seed, fold) for seed, fold, r in runs if r and r.state is State.COMPLETE]
        count = len(set(self.folds))
        return sum(n == count for n in Counter(seed for seed, _ in done).values())

    @property
    def folds_done(self) -> int:
        """How many folds have a complete run."""
        return len(set(self._fold_of.values()))

    @cached_property
    def _fold_of(self) -> dict[str, int]:
        """The fold of each complete run, by its id; empty where the data is not divided."""
        of = zip(self.records, self.folds, strict=False)
        return {r.run_id: fold for r, fold in of if r and r.state is State.COMPLETE}

    @cached_property
    def by_fold(self) -> tuple[tuple[RunRecord, ...], ...]:
        """The records of `complete`, fold by fold; all together where the data is not divided."""
        if not self.folds:
            return (self.complete,)
        found: dict[int, list[RunRecord]] = {fold: [] for fold in sorted(set(self.folds))}
        for record in self.complete:
            found[self._fold_of[record.run_id]].append(record)
        return tuple(map(tuple, found.values()))

    def mean_of(self, read: Callable[[RunRecord], float | None]) -> float | None:
        """The mean of a number over the runs of `complete` that have it: within each fold first, then over these."""
        return _mean([_mean([read(record) for record in records]) for records in self.by_fold])

    @cached_property
    def failures(self) -> tuple[RunRecord, ...]:
        """Records of the failed runs."""
        return tuple(record for record in self.recorded if record.state is State.FAILED)

    @property
    def map50(self) -> float | None:
        """Mean mAP50 of the complete runs, a fraction in 0..1."""
        return self.mean("mAP50")

    def mean(self, score: str) -> float | None:
        """Mean of a score over the complete runs that have it."""
        return self.mean_of(lambda record: record.score(score))

    def test_mean(self, score: str) -> float | None:
        """Mean of a score on the test split over the complete runs that have it; None unless all were evaluated."""
        return self.test_mean_of(lambda tested: tested.score(score))

    def test_mean_of(self, read: Callable[[Tested], float | None]) -> float | None:
        """As `mean_of`, of what the runs came to on the test split."""
        found = self.test.found if self.test else {}
        return self.mean_of(lambda record: read(found[record.run_id])) if found else None

    @property
    def validations(self) -> tuple[Validations, ...]:
        """What the records of the complete runs say of their validations."""
        return tuple(r.validations for r in self.complete if r.validations is not None)

    @property
    def best_map50(self) -> float | None:
        """Mean over the complete runs of the best mAP50 of any validation; None where one does not say."""
        if len(self.validations) < len(self.complete):
            return None
        return self.mean_of(lambda r: r.validations.best_mAP50 if r.validations else None)

    @property
    def per_class(self) -> dict[str, dict[str, float | None]]:
        """By class name: the means of ``mAP50`` and ``mAP`` over the complete runs."""
        return self._by_class(lambda record: record.metrics)

    @property
    def test_per_class(self) -> dict[str, dict[str, float | None]]:
        """As `per_class`, on the test split; empty unless all of its complete runs were evaluated."""
        found = self.test.found if self.test else {}
        return self._by_class(lambda record: found[record.run_id].metrics) if found else {}

    def _by_class(self, of: Callable[[RunRecord], Metrics]) -> dict[str, dict[str, float | None]]:
        names = dict.fromkeys(name for record in self.complete for name in of(record).per_class)
        return {
            name: {metric: self._of_class(of, name, metric) for metric in ("mAP50", "mAP")}
            for name in names
        }

    def _of_class(self, of: Callable[[RunRecord], Metrics], name: str, metric: str) -> float | None:
        """Over the folds whose validation images have an object of the class."""
        return self.mean_of(lambda record: of(record).per_class.get(name, {}).get(metric))

    @property
    def difference(self) -> float | None:
        """Measured minus published mAP50, on the split that the latter is of.

        It means something where the table compares with published values only.
        """
        published = self.row.published
        if published is None or self.unlike:
            return None
        measured = self.test_mean("mAP50") if published.split == "test" else self.map50
        return None if measured is None else measured - published.value

    @property
    def published_inside(self) -> str | None:
        """``yes`` or ``no``: whether the published value lies inside the interval of mAP50 on its split."""
        published = self.row.published
        if published is None or self.unlike:
            return None
        on_test = self.test.interval if self.test else None
        interval = on_test if published.split == "test" else self.interval
        return None if interval is None else "yes" if published.value in interval else "no"

    def over(self, reading: Reading[_T]) -> _T | None:
        """A measured value over the complete runs that have it."""
        values = [reading.read(record) for record in self.complete]
        known = [value for value in values if value is not None]
        return reading.over(known) if known else None

    @property
    def missing(self) -> dict[str, str]:
        """Why a measurement of a complete run is missing, by the measurement's name."""
        known = {"bootstrap": self.unpaired} if self.unpaired else {}
        known |= (
            {"map50": self.complete[0].scoreless} if self.complete and self.map50 is None else {}
        )
        for record in self.complete:
            known.update(record.missing or {})
        unranked = self.unranked or known.get("bootstrap", "")
        return known | self._missing_on_test | ({"rank": unranked} if unranked else {})

    @property
    def _missing_on_test(self) -> dict[str, str]:
        test = self.test
        if test is None:
            return {}
        lacking = (one.missing for one in test.found.values() if one.missing)
        tide = next((why["tide"] for why in lacking if "tide" in why), "")
        found = {"test": test.why, "test_bootstrap": test.why or test.unpaired}
        found["test_tide"] = test.why or tide
        return {key: why for key, why in found.items() if why}

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
        states = self.states
        if (
            self.folds and len(set(states)) > 1
        ):  # some folds are complete, and say nothing of the others
            states = tuple(state for state in states if state is not State.COMPLETE)
        return {State.LOST if s is State.COMPLETE else s for s in states}

    @property
    def failure_kinds(self) -> tuple[str, ...]:
        """The kinds of the failures, sorted, each once."""
        kinds = {record.failure.kind.value for record in self.failures if record.failure}
        return tuple(sorted(kinds))

    @property
    def status(self) -> str:
        """The state in words: ``complete (2 of 3 seeds), no predictions``, ``failed (oom)``."""
        if self.state is State.COMPLETE:
            return f"complete{self._missing_seeds}{self._silent_seeds}{self._scoreless_seeds}"
        return f"{self._unfinished}{self._missing_folds}"

    @property
    def _unfinished(self) -> str:
        if self.state is State.FAILED and self.failure_kinds:
            return f"failed ({', '.join(self.failure_kinds)})"
        if self.state is State.INTERRUPTED:
            return ", ".join([self.state.value, *filter(None, self.reached)][:2])
        return f"{self.state.value} (stale)" if self.stale else str(self.state.value)

    @property
    def _missing_folds(self) -> str:
        count = len(set(self.folds))
        return f", {self.folds_done} of {count} folds complete" if self.folds_done else ""

    @property
    def _missing_seeds(self) -> str:
        asked, done = len(self.seeds), len(self.complete)
        what = "runs" if self.folds else "seeds"
        return "" if done == asked else f" ({done} of {asked} {what})"

    @property
    def _silent_seeds(self) -> str:
        return self._some_seeds("no predictions", self.no_predictions)

    @property
    def _scoreless_seeds(self) -> str:
        unvalidated = sum(bool(r.unvalidated) for r in self.complete)
        scoreless = sum(bool(r.scoreless) for r in self.complete) - unvalidated
        without = self._some_seeds("no val score", unvalidated)
        return without + self._some_seeds("no mAP50", scoreless)

    def _some_seeds(self, what: str, count: int) -> str:
        done = len(self.complete)
        return f", {what}" + ("" if count == done else f" in {count} of {done}") if count else ""


@dataclass(frozen=True)
class Table:
    """The rows of an experiment in one setting.

    Attributes:
        name: Name of the experiment.
        title: Heading.
        profile: The profile that every record was made under.
        dataset: The dataset that every record was made on.
        rows: The lines, in order.
        unlike: Why full runs are held against no published value, empty if they are.
        board: What the names of the files begin with.
        file: The experiment file, relative to the results folder.
        elsewhere: Whether the dataset is known not to be the experiment's own, and rows have scores of a leaderboard.
        test: The test split that rows are evaluated on, None where there is none.
        judge: By which split the rows are ranked.

    Raises:
        ValueError: If a record was made under another profile.
    """

    name: str
    title: str
    profile: str
    dataset: Dataset
    rows: tuple[RowResult, ...]
    unlike: str = ""
    board: str = ""
    file: str = ""
    elsewhere: bool = False
    test: TestSplit | None = None
    judge: Judge = "val"

    def __post_init__(self) -> None:
        records = [record for result in self.rows for record in result.recorded]
        strange = [record.run_id for record in records if record.profile != self.profile]
        if strange:
            raise ValueError(f"not made under the {self.profile} profile: {', '.join(strange)}")

    @property
    def caveat(self) -> str:
        """Why the measured values do not compare with the published ones; empty if they do."""
        if self.profile == COMPARABLE_PROFILE:
            return self.unlike
        return (
            f"{self.profile} profile: shortened training, not comparable with the published values"
        )

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every seed of any row, sorted."""
        return tuple(sorted({seed for result in self.rows for seed in result.seeds}))


def titled(
    experiment: Experiment, dataset: Dataset, overrides: Mapping[str, object] | None = None
) -> str:
    """The heading of an experiment's table.

    It has the number of folds where the data is divided, and what all rows are changed by: the experiment's
    ``precision`` and ``compile``, and the ``overrides`` of a command line.
    """
    title = f"{experiment.title}, {dataset.fold.count} folds" if dataset.fold else experiment.title
    changed = in_title(experiment, overrides or {})
    return f"{title} with {changed}" if changed else title


def _mean(values: Sequence[float | None]) -> float | None:
    # fmean sums exactly: one seed keeps every digit, and the order of several does not matter.
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
