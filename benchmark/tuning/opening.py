"""Opens a study: in its storage, where it is begun if it is new, or in memory, for what is only tried out."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import URL

from benchmark.errors import UserError
from benchmark.tuning.again import make_again
from benchmark.tuning.database import OPENING, OPENING_PATIENCE_S, Lock, open_storage
from benchmark.tuning.prior import Prior, try_first
from benchmark.tuning.storage import (
    DEFAULTS,
    MADE_FOR,
    PLACE,
    STUDY_ID,
    Store,
    Strategies,
    StudyKey,
    Unshared,
    note_exhaustion,
)

_MEMORY = "memory"  # the owner of trials that nobody else sees


def open_study(url: URL, key: StudyKey, owner: str, strategies: Strategies) -> Store:
    """The study, created with its first trial if it is new.

    Raises:
        UserError: The storage cannot be used, or the study was made for something else.
    """
    storage = open_storage(url)
    with Lock(url, OPENING).held(OPENING_PATIENCE_S):
        if problems := _differences(storage, key):
            raise UserError(problems)
        # Before anything is made: what is wrong with it leaves nothing behind.
        prior = key.prior(storage) if key.prior and _is_new(storage, key) else None
        study = _made(storage, key, strategies)
        _begin(study, key, prior)
        again = make_again(study, key.published)
    note_exhaustion(study, strategies)
    lock = Lock(url, zlib.crc32(key.name.encode()))
    return Store(study, storage, lock, owner, strategies, tuple(again))


def preview(
    storage: optuna.storages.RDBStorage | None, key: StudyKey, strategies: Strategies
) -> Store:
    """A study in memory that is what `open_study` would have made of the one in a storage, which is only read.

    Args:
        storage: What is there, see `benchmark.tuning.database.reading`; None if nothing is.
        key: What the study is created with, and may be gone on with.
        strategies: Sampler and pruner.

    Raises:
        UserError: The study was made for something else.
    """
    memory = optuna.storages.InMemoryStorage()
    if storage is not None and (problems := _differences(storage, key)):
        raise UserError(problems)
    is_new = storage is None or _is_new(storage, key)
    prior = key.prior(storage) if key.prior and is_new else None
    if storage is not None and key.name in optuna.get_all_study_names(storage):
        optuna.copy_study(from_study_name=key.name, from_storage=storage, to_storage=memory)
    study = _made(memory, key, strategies)
    _begin(study, key, prior)
    again = make_again(study, key.published)
    note_exhaustion(study, strategies)
    return Store(study, memory, Unshared(), _MEMORY, strategies, tuple(again))


def study_in_memory(key: StudyKey, strategies: Strategies) -> Store:
    """A study that nobody else sees and that ends with this process: for what is only tried out."""
    return preview(None, key, strategies)


def as_left(store: Store, strategies: Strategies) -> Store:
    """Another study in memory, of one objective, with the trials of a study; those in work are asked for anew."""
    memory = optuna.storages.InMemoryStorage()
    study = optuna.create_study(
        storage=memory,
        sampler=strategies.sampler,
        pruner=strategies.pruner,
        study_name=store.study.study_name,  # Hyperband draws a trial's bracket from it
        direction=store.study.directions[0],
    )
    for name, value in store.study.user_attrs.items():
        study.set_user_attr(name, value)
    for trial in store.study.get_trials(deepcopy=False):
        study.add_trial(_as_left(trial))
    note_exhaustion(study, strategies)
    return Store(study, memory, Unshared(), _MEMORY, strategies)


def _as_left(trial: FrozenTrial) -> FrozenTrial:
    """A trial as a driver finds it that is alone: with its first value if it has ended, else to be begun anew."""
    own = {
        name: v for name, v in trial.user_attrs.items() if name not in ("owner", "run_id", PLACE)
    }
    system = dict(trial.system_attrs)
    if trial.state is TrialState.RUNNING:
        system["fixed_params"] = dict(trial.params)
    ended = trial.state.is_finished()
    return optuna.trial.create_trial(
        state=trial.state if ended else TrialState.WAITING,
        value=trial.values[0] if trial.values else None,
        params=trial.params if ended else None,
        distributions=trial.distributions if ended else None,
        user_attrs=own,
        system_attrs=system,
        intermediate_values=trial.intermediate_values if ended else None,
    )


def _begin(study: optuna.Study, key: StudyKey, prior: Prior | None) -> None:
    """Gives a study that has no trials yet what it is, and its first trials."""
    if not study.get_trials(deepcopy=False):
        if prior is not None:
            prior.give(study)
        study.set_user_attr(MADE_FOR, dict(key.made_for))
        study.set_user_attr(STUDY_ID, uuid.uuid4().hex)
        study.set_user_attr(DEFAULTS, dict(key.defaults))
        study.enqueue_trial(dict(key.published), user_attrs={"published": True})
    try_first(study)


def _made(
    storage: optuna.storages.BaseStorage, key: StudyKey, strategies: Strategies
) -> optuna.Study:
    """The study, created if the storage has none of that name; one that is there is only read."""
    named: dict[str, Any] = {
        "storage": storage,
        "study_name": key.name,
        "sampler": strategies.sampler,
        "pruner": strategies.pruner,
    }
    if key.name in optuna.get_all_study_names(storage):
        return optuna.load_study(**named)
    return optuna.create_study(**named, directions=list(key.directions))


def _is_new(storage: optuna.storages.BaseStorage, key: StudyKey) -> bool:
    if key.name not in optuna.get_all_study_names(storage):
        return True
    known = optuna.load_study(study_name=key.name, storage=storage)
    return not known.get_trials(deepcopy=False)


def _differences(storage: optuna.storages.BaseStorage, key: StudyKey) -> list[str]:
    """Why a study of this name in the storage cannot be continued."""
    if key.name not in optuna.get_all_study_names(storage):
        return []
    known = optuna.load_study(study_name=key.name, storage=storage)
    if not known.get_trials(deepcopy=False):
        return _other_directions(known, key)
    made_for = known.user_attrs.get(MADE_FOR)
    if made_for is None:
        return [f"study '{key.name}': the storage has one that DetBoard did not make; {_WAY_OUT}"]
    return [
        f"study '{key.name}' was made for another {name}: {words}; {_WAY_OUT}"
        for name, words in compare(made_for, key.made_for)
    ]


_WAY_OUT = "put it back, or give this study another 'name'"


def _other_directions(known: optuna.Study, key: StudyKey) -> list[str]:
    directions = [direction.name.lower() for direction in known.directions]
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
