"""What a study knows before its first trial, kept with it in the storage: complete trials of an earlier study.

It keeps a copy of them as an attribute, and never as trials: whatever counts, ranks, draws or prunes trials sees its
own alone, and a resume draws the same, whatever becomes of the other study.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import optuna

from benchmark.writing.words import counted

PRIOR = "warm_start"  # the attribute of a study that holds what it was begun with
WARM = "warm"  # the attribute of a trial that is tried first: number of the earlier study's trial with its parameters


@dataclass(frozen=True)
class Prior:
    """What an earlier study knows of a search space.

    Attributes:
        study: Its name.
        where: Its storage, in words.
        trials: Its complete trials that lie within the space: number, parameters as Optuna holds them, values.
        first: Numbers of those that are tried first, the best before others.
        left_out: How many complete ones lie outside.
    """

    study: str
    where: str
    trials: tuple[tuple[int, dict[str, Any], list[float]], ...]
    first: tuple[int, ...]
    left_out: int

    def give(self, study: optuna.Study) -> None:
        """Has a new study keep it."""
        study.set_user_attr(PRIOR, vars(self))

    def words(self, learns: bool) -> str:
        """What the study knows from where, in words.

        Args:
            learns: Whether its sampler learns from all of them.
        """
        best = f"the best {len(self.first)} are" if len(self.first) > 1 else "the best is"
        use = f"{best if self.first else 'none is'} tried first"
        how = "the sampler knows all" if learns else "the sampler does not learn from others"
        out = f"; {self.left_out} lie outside of what is searched here" if self.left_out else ""
        known = (
            f"{counted(len(self.trials), 'complete trial')} of study '{self.study}' in {self.where}"
        )
        return f"{known}: {use}, {how}{out}"


def prior_of(study: optuna.Study) -> Prior | None:
    """What a study was begun with; None if with nothing."""
    kept = study.user_attrs.get(PRIOR)
    if kept is None:
        return None
    trials = tuple((number, params, values) for number, params, values in kept["trials"])
    return Prior(kept["study"], kept["where"], trials, tuple(kept["first"]), kept["left_out"])


def try_first(study: optuna.Study) -> None:
    """Asks for those trials that are tried first, each once; the study's lock is held."""
    prior = prior_of(study)
    if prior is None:
        return
    asked = {trial.user_attrs.get(WARM) for trial in study.get_trials(deepcopy=False)}
    params = {number: params for number, params, _ in prior.trials}
    for number in prior.first:
        if number not in asked:
            study.enqueue_trial(params[number], user_attrs={WARM: number})
