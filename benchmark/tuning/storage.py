"""A study in its storage: who works on which trial, also when drivers die or several share the study.

Optuna leaves a trial of `Study.ask` in the state RUNNING for ever if its process is killed. So each trial names its
owner, the results folder whose driver runs it, and each driver leaves a sign of life. A trial goes to another driver
once its own has given no sign for `benchmark.locks.patience_s`; a results folder has one driver at a time, so that
what belongs to this folder and is not in work here was left behind by a driver that is dead. Whoever changes owners
or states holds the study's lock meanwhile.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmark.files import read_json
from benchmark.locks import patience_s
from benchmark.run.journal import now
from benchmark.tuning.again import begun
from benchmark.tuning.database import LOCK_PATIENCE_S
from benchmark.tuning.prior import Prior

_BEATS = 6  # signs of life in the time after which a silent driver is taken for dead
PLACE = "place"  # the attribute of a trial that says in which results folder it is run
MADE_FOR = "detboard"  # the attribute of a study that holds what its trials depend on
FOLDER_ID = ".folder-id"  # in runs/: a name for the results folder that no other folder has
STUDY_ID = "study_id"  # the attribute of a study that holds its id
DEFAULTS = "defaults"  # the attribute of a study that holds the defaults that it was begun with


class Locking(Protocol):
    """What lets one driver at a time change a study."""

    def held(self, patience_s: float = LOCK_PATIENCE_S) -> AbstractContextManager[None]:
        """Holds it.

        Raises:
            Busy: Somebody else has held it for so long.
        """


class Unshared:
    """Stands for the lock of a study that nobody else can see."""

    @contextmanager
    def held(self, patience_s: float = LOCK_PATIENCE_S) -> Iterator[None]:
        """See `Locking`."""
        yield


@dataclass(frozen=True)
class StudyKey:
    """What a study is created with.

    Attributes:
        name: Its name in the storage.
        directions: ``maximize`` or ``minimize``, one an objective.
        made_for: What its trials depend on, as plain values: another study file may not continue it.
        published: Parameters of the row's own setting, the first trial.
        defaults: Sampler and pruner of a file that names none, as plain values: it is gone on with these.
        prior: Reads what the study knows before its first trial, given its storage; None for nothing.
    """

    name: str
    directions: Sequence[Literal["maximize", "minimize"]]
    made_for: Mapping[str, Any]
    published: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    prior: Callable[[optuna.storages.RDBStorage | None], Prior] | None = None


@dataclass(frozen=True)
class Strategies:
    """How a study is searched.

    Attributes:
        sampler: Optuna's sampler.
        pruner: Optuna's pruner.
        sampler_words: The sampler with its arguments, in words.
        pruner_words: The pruner with its arguments, in words.
        most_twins: How many trials may wait for a run that another trial with the same parameters has started.
    """

    sampler: optuna.samplers.BaseSampler
    pruner: optuna.pruners.BasePruner
    sampler_words: str
    pruner_words: str
    most_twins: int


@dataclass
class Store:
    """One driver's hands on a study.

    Attributes:
        study: Optuna's study.
        storage: What holds it.
        lock: Held while owners or states change.
        owner: Id of the results folder that this driver works for.
        strategies: Sampler and pruner.
        again: Numbers of the trials that the machine had ended, which are made again.
        active: Numbers of the trials in work here.
        results: The results folder of this driver; None where nobody is to find its trials' runs.
        outlives: Whether its jobs go on without it: who takes over a trial of it then goes on with that job.
    """

    study: optuna.Study
    storage: optuna.storages.BaseStorage
    lock: Locking
    owner: str
    strategies: Strategies
    again: tuple[int, ...] = ()
    active: set[int] = field(default_factory=set)
    results: Path | None = None
    outlives: bool = False
    _signs: dict[str, tuple[Any, float]] = field(default_factory=dict)
    _next_beat: float = 0.0

    @property
    def study_id(self) -> str:
        """An id that no other study has, on whatever storage."""
        return str(self.study.user_attrs[STUDY_ID])

    @property
    def defaults(self) -> dict[str, Any]:
        """The defaults that the study was begun with; empty where an earlier version began it."""
        return dict(self.study.user_attrs.get(DEFAULTS, {}))

    def search_by(self, strategies: Strategies) -> None:
        """Goes on with another sampler and pruner."""
        self.strategies = strategies
        self.study.sampler, self.study.pruner = strategies.sampler, strategies.pruner
        note_exhaustion(self.study, strategies)

    @property
    def own(self) -> Path:
        """The results folder here."""
        return self.results or Path()

    @property
    def exhausted(self) -> bool:
        """Whether this sampler has visited all that there is."""
        return self.study.user_attrs.get("exhausted") == self.strategies.sampler_words

    def next_trial(self, target: int) -> optuna.Trial | None:
        """A trial that was left behind, or else a new one; None if there is neither.

        Args:
            target: Number of trials up to which new ones are asked for; `benchmark.tuning.again.begun` counts those
                that there are.
        """
        with self.lock.held():
            left_behind = self._left_behind()
            if left_behind is None and not self._more_wanted(target):
                return None
            self._sign()  # before anything is this driver's: an old sign would look like a dead one
            trial = self.study.ask() if left_behind is None else self._taken_up(left_behind)
            trial.set_user_attr("owner", self.owner)
            if self.outlives and PLACE not in trial.user_attrs:
                place = {"results": str(self.own.resolve()), "owner": self.owner}
                trial.set_user_attr(PLACE, place)
            self.active.add(trial.number)
        return trial

    def _left_behind(self) -> FrozenTrial | None:
        return next((trial for trial in self._running_elsewhere() if self._is_free(trial)), None)

    def _is_free(self, trial: FrozenTrial) -> bool:
        owner = trial.user_attrs.get("owner")
        if owner in (None, self.owner):
            return True
        return self._is_silent(str(owner)) and self.where(trial) is not None

    def where(self, trial: FrozenTrial | optuna.Trial) -> Path | None:
        """The results folder in which a trial is gone on with: where it was begun, if its job outlives its driver.

        Else, and where the folder here was that one under another name, it is the one here. None where the folder that
        it was begun in cannot be seen from here.
        """
        place, run_id = trial.user_attrs.get(PLACE), trial.user_attrs.get("run_id")
        if place is None or run_id is None or (self.own / "runs" / run_id).is_dir():
            return self.own
        results = Path(place["results"])
        return results if folder_id(results) == place["owner"] else None

    def _is_silent(self, owner: str) -> bool:
        """Whether a driver has given no sign of life for the time of a lease; by this machine's clock alone."""
        sign = self.study.user_attrs.get(f"driver:{owner}")
        known = self._signs.get(owner)
        if known is None or known[0] != sign:
            self._signs[owner] = (sign, time.monotonic())
            return False
        return time.monotonic() - known[1] > patience_s()

    def _more_wanted(self, target: int) -> bool:
        trials = self.study.get_trials(deepcopy=False)
        waiting = any(trial.state is TrialState.WAITING for trial in trials)
        return begun(trials) < target and (waiting or not self.exhausted)

    def _taken_up(self, left_behind: FrozenTrial) -> optuna.Trial:
        return optuna.Trial(self.study, left_behind._trial_id)

    def _running_elsewhere(self) -> list[FrozenTrial]:
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [trial for trial in running if trial.number not in self.active]

    def others_work(self) -> bool:
        """Whether other drivers' trials still run; those that are `out_of_reach` are not waited for."""
        return len(self._running_elsewhere()) > len(self.out_of_reach())

    def out_of_reach(self) -> list[FrozenTrial]:
        """Trials whose driver is gone while their jobs may go on, in a results folder that cannot be seen from here."""
        return [
            trial
            for trial in self._running_elsewhere()
            if self.where(trial) is None
            and trial.user_attrs.get("owner") not in (None, self.owner)
            and self._is_silent(str(trial.user_attrs["owner"]))
        ]

    def beat(self) -> set[int] | None:
        """Gives a sign of life when one is due.

        Returns:
            Active trials that another driver has taken over, because this one slept for longer than a lease; None
            if nothing was due.
        """
        if time.monotonic() < self._next_beat:
            return None
        self._sign()
        return {number for number in self.active if self.mine(number) is None}

    def _sign(self) -> None:
        self.study.set_user_attr(
            f"driver:{self.owner}", {"at": now(), "host": socket.gethostname()}
        )
        self._next_beat = time.monotonic() + patience_s() / _BEATS

    def mine(self, number: int) -> FrozenTrial | None:
        """The trial as it is; None if it has ended, or another driver owns it."""
        trial = self.study.get_trials(deepcopy=False)[number]
        owned = trial.user_attrs.get("owner") == self.owner and not trial.state.is_finished()
        return trial if owned else None

    def close(self) -> None:
        """Closes the connections, so that what SQLite wrote ahead is in the file."""
        self.storage.remove_session()
        if isinstance(self.storage, optuna.storages.RDBStorage):
            self.storage.engine.dispose()

    def let_go(self, number: int) -> None:
        """The trial is no longer in work here."""
        self.active.discard(number)

    def tell(
        self,
        trial: optuna.Trial,
        state: TrialState,
        values: Sequence[float] | None,
        attributes: Mapping[str, Any],
    ) -> bool:
        """Ends a trial, unless another driver owns it by now or it has ended already; returns whether it did."""
        with self.lock.held():
            mine = self.mine(trial.number) is not None
            if mine:
                for name, value in attributes.items():
                    trial.set_user_attr(name, value)
                self._tell(trial, state, values)
        self.let_go(trial.number)
        return mine

    def _tell(self, trial: optuna.Trial, state: TrialState, values: Sequence[float] | None) -> None:
        try:
            self.study.tell(trial, values if state is TrialState.COMPLETE else None, state)
        except KeyError:
            # GridSampler looks for the grid point of a trial that was enqueued, after the trial has ended.
            if not self.study.get_trials(deepcopy=False)[trial.number].state.is_finished():
                raise


def folder_id(results: Path) -> str:
    """The id of a results folder, as ``.folder-id`` has it; empty where that cannot be read."""
    try:
        return str(read_json(results / "runs" / FOLDER_ID)["id"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def note_exhaustion(study: optuna.Study, strategies: Strategies) -> None:
    """Samplers that have visited everything stop the loop of `Study.optimize`; there is none here."""
    words = strategies.sampler_words
    study.stop = lambda: study.set_user_attr("exhausted", words)  # type: ignore[method-assign]
