"""A warm start: reads what an earlier study over a similar row has found, as prior knowledge of a new one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import URL

from benchmark.errors import UserError, allowed
from benchmark.files import is_file
from benchmark.tuning.database import (
    OUTAGES,
    is_sqlite,
    named,
    reading,
    storage_url,
    unanswered,
)
from benchmark.tuning.informed import InformedSampler
from benchmark.tuning.prior import Prior, prior_of
from benchmark.tuning.search.knobs import Unfit
from benchmark.tuning.search.space import Space
from benchmark.tuning.storage import MADE_FOR
from benchmark.tuning.study_file import StudyFile

TRIED = 3  # of the earlier study's trials that are tried first, after the row's own setting


@dataclass(frozen=True)
class Warm:
    """The warm start of a study file.

    Args:
        file: The study file, with ``warm_start``.
        space: What it searches.
        url: The storage of its own study.
    """

    file: StudyFile
    space: Space
    url: URL

    @classmethod
    def of(cls, file: StudyFile, space: Space, url: URL) -> Warm | None:
        """That of a study file; None where it has none."""
        return cls(file, space, url) if file.warm_start else None

    @property
    def name(self) -> str:
        """Name of the earlier study."""
        return str(self.file.warm_start).rpartition("#")[2]

    @property
    def place(self) -> str:
        """Where the study file says that it is; empty for the storage of the study itself."""
        return str(self.file.warm_start).rpartition("#")[0]

    @property
    def storage(self) -> URL:
        """Its storage: that of the study itself, unless the file names another, or a results folder.

        Raises:
            UserError: The file names a URL that is none of a storage.
        """
        if not self.place:
            return self.url
        if "://" in self.place:
            return _url(self.place)
        folder = self.file.path.parent / self.place
        return URL.create("sqlite", database=str(folder / "studies.db"))

    @property
    def words(self) -> str:
        """Which study that is, as the file says it, without any password."""
        where = named(self.storage) if "://" in self.place else self.place
        return f"{self.name} in {where}" if where else self.name

    def reader(self) -> Callable[[optuna.storages.RDBStorage | None], Prior]:
        """Reads the earlier study, given the storage of the study itself if that is open.

        Where the study itself has no storage yet it is read at once, so that nothing is made if it is of no use.

        Raises:
            UserError: As what is given does: there is no such study, it searched for something else, or none of its
                trials is of use.
        """
        if _there(self.url):
            return self._read
        found = self._read(None)
        return lambda _: found

    def _read(self, own: optuna.storages.RDBStorage | None) -> Prior:
        url = self.storage
        if not _there(url):
            raise UserError(f"warm_start: there is no {url.database}")
        try:
            if own is not None and url == self.url:
                return _prior(self, own)
            with _of_warm_start(), reading(url) as storage:
                return _prior(self, storage)
        except OUTAGES as error:
            raise unanswered(url, error) from None


@contextmanager
def _of_warm_start() -> Iterator[None]:
    """Whatever is wrong, it is what the study file says: its own storage may be another."""
    head = "warm_start: "
    try:
        yield
    except UserError as error:
        problems = [head + problem.removeprefix(head) for problem in error.problems]
        raise UserError(problems) from None


def _there(url: URL) -> bool:
    """Whether a file is there; of a server it is not known yet."""
    return not is_sqlite(url) or is_file(str(url.database))


def _url(place: str) -> URL:
    try:
        return storage_url(place, Path())
    except UserError as error:
        raise UserError([p.replace("--storage", "warm_start", 1) for p in error.problems]) from None


def inform(study: optuna.Study, space: Space) -> None:
    """Has the sampler of a study know the trials that it was begun with."""
    prior = prior_of(study)
    if prior is not None:
        known = [_frozen(space, params, values) for _, params, values in prior.trials]
        study.sampler = InformedSampler(study.sampler, known)


def _frozen(space: Space, params: Mapping[str, Any], values: Sequence[float]) -> FrozenTrial:
    """Raises `Unfit` or a ValueError if the parameters do not lie within the space."""
    distributions = space.distributions(params)
    return optuna.trial.create_trial(
        params=dict(params), distributions=distributions, values=list(values)
    )


def _prior(warm: Warm, storage: optuna.storages.RDBStorage | None) -> Prior:
    """The complete trials of the earlier study that lie within the space; no storage has no study."""
    name, file, space, where = warm.name, warm.file, warm.space, named(warm.storage)
    names = [] if storage is None else optuna.get_all_study_names(storage)
    if warm.storage == warm.url and name == file.name:
        raise UserError(f"warm_start: '{name}' is this study itself")
    if storage is None or name not in names:
        raise UserError(f"warm_start: {where} has no study '{name}'; {allowed(name, names)}")
    earlier = optuna.load_study(study_name=name, storage=storage)
    if problems := _differences(earlier.user_attrs.get(MADE_FOR), file, space):
        raise UserError([f"warm_start: study '{name}': {problem}" for problem in problems])
    complete = earlier.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    fitting = {t.number: found for t in complete if (found := _fitting(t, space)) is not None}
    left_out = len(complete) - len(fitting)
    if not fitting:
        out = f"all {left_out} lie outside of what is searched here" if complete else "wait for one"
        raise UserError(f"warm_start: study '{name}' has no complete trial that is of use: {out}")
    first = _first(fitting, file, space.published())
    trials = tuple((n, dict(t.params), list(t.values)) for n, t in fitting.items())
    return Prior(name, where, trials, first, left_out)


def _fitting(trial: FrozenTrial, space: Space) -> FrozenTrial | None:
    if not all(map(math.isfinite, trial.values)):
        return None
    try:
        return _frozen(space, trial.params, trial.values)
    except (Unfit, ValueError):
        return None


def _first(
    fitting: Mapping[int, FrozenTrial], file: StudyFile, own: Mapping[str, Any]
) -> tuple[int, ...]:
    """Numbers of the best trials, or of those on the front, other than the row's own setting, each setting once."""
    sign = -1 if file.directions[0] == "maximize" else 1
    ranked = sorted(fitting, key=lambda number: (sign * fitting[number].values[0], number))
    if len(file.objectives) > 1:
        judge = optuna.create_study(directions=file.directions)
        judge.add_trials([fitting[number] for number in ranked])
        front = {trial.number for trial in judge.best_trials}
        ranked = [number for place, number in enumerate(ranked) if place in front]
    chosen: dict[int, Mapping[str, Any]] = {}
    for number in ranked:
        params = fitting[number].params
        if params != own and params not in chosen.values() and len(chosen) < TRIED:
            chosen[number] = params
    return tuple(chosen)


def _differences(made_for: Any, file: StudyFile, space: Space) -> list[str]:
    """Why the earlier study says nothing of this one's settings."""
    if not isinstance(made_for, dict):
        return ["DetBoard did not make it"]
    problems = []
    was, now = made_for["objective"], list(file.objectives)
    if was != now:
        problems.append(f"its objective is {' and '.join(was)}, here it is {' and '.join(now)}")
    theirs, ours = made_for["search space"], space.to_json()
    problems += [
        f"it has no parameter '{key}', which is searched here"
        for key in ours.keys() - theirs.keys()
    ]
    problems += [
        f"its parameter '{key}' is not searched here" for key in theirs.keys() - ours.keys()
    ]
    for key in ours.keys() & theirs.keys():
        problems += [
            f"'{key}': '{what}' is {theirs[key][what]!r} there, {ours[key][what]!r} here"
            for what in ("type", "when")
            if theirs[key][what] != ours[key][what]
        ]
    return sorted(problems)
