"""Trials that the machine has ended rather than their own setting: they are made again, and do not count.

A job that meets a full disk is put back, and its trial goes on. What is left are trials that earlier versions have told
as failed, and those whose job was lost time and again.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmark.errors import fault_of

LOST = "lost"  # the first word of the cause
_OF = "again"
_KILLED = re.compile(r"killed by signal")
# The system's words without its number, and torch's and SQLite's for a full disk.
_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)
_OTHERS = ("PytorchStreamWriter failed", r"unexpected pos \d+", "disk is full")
_WORDS = re.compile("|".join([*map(os.strerror, _FAULTS), *_OTHERS]))


def make_again(study: optuna.Study, published: Mapping[str, Any]) -> list[int]:
    """Asks once more, with the same parameters, for each trial that the machine has ended.

    Args:
        study: The study; its lock is held.
        published: Parameters of the row's own setting.

    Returns:
        Numbers of the trials that are asked for once more.
    """
    trials = study.get_trials(deepcopy=False)
    ended = [trial for trial in trials if trial.number not in replaced(trials)]
    ended = [trial for trial in ended if _ended_by_machine(trial)]
    for trial in ended:
        own = {"published": True} if trial.user_attrs.get("published") else {}
        params = dict(published) if own else trial.params
        study.enqueue_trial(params, user_attrs={**own, _OF: trial.number})
    return [trial.number for trial in ended]


def replaced(trials: Iterable[FrozenTrial]) -> set[int]:
    """Numbers of the trials that were asked for once more: they count no longer."""
    return {trial.user_attrs[_OF] for trial in trials if _OF in trial.user_attrs}


def begun(trials: Iterable[FrozenTrial]) -> int:
    """How many trials of a study have begun, in work or ended, less those that were asked for once more."""
    trials = list(trials)
    waiting = sum(trial.state is TrialState.WAITING for trial in trials)
    return len(trials) - waiting - len(replaced(trials))


def _ended_by_machine(trial: FrozenTrial) -> bool:
    """Whether a trial has failed for a full disk and the like, or was lost.

    A job that was killed each time may have needed too much memory, and so fails for its setting. All trials are held
    against the row's own setting, which is made again whatever it was lost for.
    """
    cause = str(trial.user_attrs.get("cause", ""))
    if trial.state is not TrialState.FAIL:
        return False
    if cause.startswith(f"{LOST} "):
        return bool(trial.user_attrs.get("published")) or not _KILLED.search(cause)
    return fault_of(OSError(cause)) is not None or bool(_WORDS.search(cause))
