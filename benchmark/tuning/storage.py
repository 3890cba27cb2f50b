"""A study in its storage: who works on which trial, also when drivers die or several share the study.

Optuna leaves a trial of `Study.ask` in the state RUNNING for ever if its process is killed. So each trial names its
owner, the results folder whose driver runs it, and each driver leaves a sign of life. A trial goes to another driver
once its own has given no sign for `LEASE_S`; a results folder has one driver at a time, so that what belongs to this
folder and is not in work here was left behind by a driver that is dead. Whoever changes owners or states holds the
study's lock meanwhile.
"""

from __future__ import annotations

import socket
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import optuna
import sqlalchemy
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from benchmark.errors import UserError
from benchmark.journal import now

BEAT_S = 10.0
LEASE_S = 60.0
LOCK_PATIENCE_S = 120.0

# What the driver is told when the storage does not answer: it goes on with its jobs and tries again.
OUTAGES = (optuna.exceptions.StorageInternalError, SQLAlchemyError)

_BACKENDS = ("sqlite", "postgresql")
_OPENING = 0x0DE7B0A4D  # the advisory lock of whoever creates tables or studies
_MADE_FOR = "detboard"


def storage_url(option: str | None, results: Path) -> URL:
    """The URL of ``--storage``, or of ``studies.db`` in the results folder.

    Raises:
        UserError: It is no URL of SQLite or PostgreSQL.
    """
    if option is None:
        results.mkdir(parents=True, exist_ok=True)
        return URL.create("sqlite", database=str(results / "studies.db"))
    problem = "--storage: {}; give sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    try:
        url = sqlalchemy.make_url(option)
    except ArgumentError:
        raise UserError(problem.format("this is no database URL")) from None
    if url.get_backend_name() not in _BACKENDS or not url.database:
        raise UserError(problem.format(f"{url.render_as_string()} cannot hold a study"))
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).parent.is_dir():
        raise UserError(problem.format(f"there is no folder {Path(str(url.database)).parent}"))
    # The driver that the extra `postgresql` installs, whichever is SQLAlchemy's default.
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


@dataclass(frozen=True)
class Lock:
    """Lets one driver at a time change a study; freed when its holder dies, however it dies."""

    url: URL
    key: int

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the lock.

        Raises:
            UserError: Somebody else has held it for two minutes.
        """
        with self._file() if self.url.get_backend_name() == "sqlite" else self._advisory():
            yield

    @contextmanager
    def _file(self) -> Iterator[None]:
        try:
            with FileLock(f"{self.url.database}.lock", timeout=LOCK_PATIENCE_S):
                yield
        except Timeout:
            raise UserError(f"{self.url.database}: another process has locked it") from None

    @contextmanager
    def _advisory(self) -> Iterator[None]:
        engine = _engine(self.url)
        end = time.monotonic() + LOCK_PATIENCE_S
        query = sqlalchemy.text("SELECT pg_try_advisory_lock(:key)")
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                while not connection.execute(query, {"key": self.key}).scalar():
                    if time.monotonic() > end:
                        raise UserError("another driver has locked the study for two minutes")
                    time.sleep(0.05)
                yield  # closing the connection frees the lock
        finally:
            engine.dispose()


def _engine(url: URL) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(
        url, poolclass=sqlalchemy.NullPool, connect_args=_connect_args(url)
    )


def _connect_args(url: URL) -> dict[str, Any]:
    # SQLite: somebody else's long read (a dashboard) is waited for. PostgreSQL: a host that does not answer is not.
    return {"timeout": 60} if url.get_backend_name() == "sqlite" else {"connect_timeout": 10}


def open_storage(url: URL) -> optuna.storages.RDBStorage:
    """Connects, and creates the tables where there are none: by one driver, once.

    Raises:
        UserError: The storage cannot be reached, or holds another version's tables.
    """
    shown = url.render_as_string()
    try:
        with Lock(url, _OPENING).held():
            return optuna.storages.RDBStorage(
                url.render_as_string(hide_password=False),
                engine_kwargs={"connect_args": _connect_args(url), "pool_pre_ping": True},
            )
    except ImportError as error:
        raise UserError(
            f"--storage {shown}: {error}; install it: pip install 'detboard[postgresql]'"
        ) from None
    except (*OUTAGES, OSError, RuntimeError) as error:
        words = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise UserError(f"--storage {shown}: cannot be used: {' '.join(words)}") from None


@dataclass(frozen=True)
class StudyKey:
    """What a study is created with.

    Attributes:
        name: Its name in the storage.
        directions: ``maximize`` or ``minimize``, one an objective.
        made_for: What its trials depend on, as plain values: another study file may not continue it.
        published: Parameters of the row's own setting, the first trial.
    """

    name: str
    directions: Sequence[Literal["maximize", "minimize"]]
    made_for: Mapping[str, Any]
    published: Mapping[str, Any]


@dataclass
class Store:
    """One driver's hands on a study.

    Attributes:
        study: Optuna's study.
        lock: Held while owners or states change.
        owner: Id of the results folder that this driver works for.
        active: Numbers of the trials in work here.
    """

    study: optuna.Study
    lock: Lock
    owner: str
    active: set[int] = field(default_factory=set)
    _signs: dict[str, tuple[Any, float]] = field(default_factory=dict)
    _next_beat: float = 0.0

    @property
    def exhausted(self) -> bool:
        """Whether the sampler has visited all that there is."""
        return bool(self.study.user_attrs.get("exhausted"))

    def next_trial(self, target: int) -> optuna.Trial | None:
        """A trial that was left behind, or else a new one; None if there is neither.

        Args:
            target: Number of trials, those that run or ended included, up to which new ones are asked for.
        """
        with self.lock.held():
            left_behind = self._left_behind()
            if left_behind is None and not self._more_wanted(target):
                return None
            trial = self.study.ask() if left_behind is None else self._taken_up(left_behind)
            trial.set_user_attr("owner", self.owner)
            self.active.add(trial.number)
        return trial

    def _left_behind(self) -> FrozenTrial | None:
        return next((trial for trial in self._running_elsewhere() if self._is_free(trial)), None)

    def _is_free(self, trial: FrozenTrial) -> bool:
        owner = trial.user_attrs.get("owner")
        return owner in (None, self.owner) or self._is_silent(str(owner))

    def _is_silent(self, owner: str) -> bool:
        """Whether a driver has given no sign of life for the time of a lease; by this machine's clock alone."""
        sign = self.study.user_attrs.get(f"driver:{owner}")
        known = self._signs.get(owner)
        if known is None or known[0] != sign:
            self._signs[owner] = (sign, time.monotonic())
            return False
        return time.monotonic() - known[1] > LEASE_S

    def _more_wanted(self, target: int) -> bool:
        trials = self.study.get_trials(deepcopy=False)
        waiting = any(trial.state is TrialState.WAITING for trial in trials)
        return waiting or (len(trials) < target and not self.exhausted)

    def _taken_up(self, left_behind: FrozenTrial) -> optuna.Trial:
        return optuna.Trial(self.study, left_behind._trial_id)

    def _running_elsewhere(self) -> list[FrozenTrial]:
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [trial for trial in running if trial.number not in self.active]

    def others_work(self) -> bool:
        """Whether other drivers' trials still run."""
        return bool(self._running_elsewhere())

    def beat(self) -> set[int]:
        """Gives a sign of life when one is due; returns active trials that another driver has taken over.

        A driver that slept for longer than a lease may have lost its trials.
        """
        if time.monotonic() < self._next_beat:
            return set()
        self._next_beat = time.monotonic() + BEAT_S
        self.study.set_user_attr(
            f"driver:{self.owner}", {"at": now(), "host": socket.gethostname()}
        )
        return {
            trial.number
            for trial in self.study.get_trials(deepcopy=False)
            if trial.number in self.active and trial.user_attrs.get("owner") != self.owner
        }

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
            found = self.study.get_trials(deepcopy=False)[trial.number]
            mine = found.user_attrs.get("owner") == self.owner and not found.state.is_finished()
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


def open_study(
    url: URL,
    key: StudyKey,
    owner: str,
    sampler: optuna.samplers.BaseSampler,
    pruner: optuna.pruners.BasePruner,
) -> Store:
    """The study, created with its first trial if it is new.

    Raises:
        UserError: The storage cannot be used, or the study was made for something else.
    """
    storage = open_storage(url)
    with Lock(url, _OPENING).held():
        if problems := _differences(storage, key):
            raise UserError(problems)
        study = optuna.create_study(
            storage=storage,
            sampler=sampler,
            pruner=pruner,
            study_name=key.name,
            directions=list(key.directions),
            load_if_exists=True,
        )
        if not study.get_trials(deepcopy=False):
            study.set_user_attr(_MADE_FOR, dict(key.made_for))
            study.enqueue_trial(dict(key.published), user_attrs={"published": True})
    # Samplers that have visited everything stop the loop of `Study.optimize`; there is none here.
    study.stop = lambda: study.set_user_attr("exhausted", True)  # type: ignore[method-assign]
    return Store(study, Lock(url, _lock_key(key.name)), owner)


def _lock_key(name: str) -> int:
    return zlib.crc32(name.encode())


def _differences(storage: optuna.storages.RDBStorage, key: StudyKey) -> list[str]:
    """Why a study of this name in the storage cannot be continued."""
    if key.name not in optuna.get_all_study_names(storage):
        return []
    found = optuna.load_study(study_name=key.name, storage=storage)
    if not found.get_trials(deepcopy=False):
        return _other_directions(found, key)
    made_for = found.user_attrs.get(_MADE_FOR)
    if made_for is None:
        return [f"study '{key.name}': the storage has one that DetBoard did not make; {_WAY_OUT}"]
    return [
        f"study '{key.name}' was made for another {name}: {words}; {_WAY_OUT}"
        for name, words in compare(made_for, key.made_for)
    ]


_WAY_OUT = "put it back, or give this study another 'name'"


def _other_directions(found: optuna.Study, key: StudyKey) -> list[str]:
    directions = [direction.name.lower() for direction in found.directions]
    if directions == list(key.directions):
        return []
    return [f"study '{key.name}' has other objectives ({', '.join(directions)}); {_WAY_OUT}"]


def compare(was: Mapping[str, Any], now_: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What differs between two sets of plain values: the name of each, and how, in words."""
    return [
        (name, _difference(was.get(name), now_.get(name)))
        for name in {**was, **now_}
        if was.get(name) != now_.get(name)
    ]


def _difference(was: Any, is_now: Any) -> str:
    if isinstance(was, Mapping) and isinstance(is_now, Mapping):
        return "; ".join(f"{name} ({words})" for name, words in compare(was, is_now))
    if was is None or is_now is None:
        return f"{is_now} is new" if was is None else f"{was} is gone"
    return f"was {was}, is {is_now}"
