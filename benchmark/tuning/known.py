"""Which studies a results folder has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import optuna

from benchmark.tuning.database import OUTAGES, open_storage, storage_url, unanswered
from benchmark.tuning.storage import MADE_FOR, STUDY_ID


@dataclass(frozen=True)
class Known:
    """A study of ``studies.db``.

    Attributes:
        study_id: Its own id, as specs of its trials' runs have it; empty of a study that DetBoard did not make.
        name: Its name.
        row: Name of the row that it tunes; empty where it does not say.
        trials: Number of its trials.
    """

    study_id: str
    name: str
    row: str
    trials: int


def known_studies(results: Path) -> list[Known]:
    """The studies of ``studies.db``, by name; none without that file.

    Raises:
        UserError: The file holds something else.
        MachineError: It cannot be used.
    """
    if not (results / "studies.db").is_file():
        return []
    url = storage_url(None, results)
    storage = open_storage(url)
    try:
        found = optuna.get_all_study_summaries(storage, include_best_trial=False)
    except OUTAGES as error:
        raise unanswered(url, error) from None
    finally:
        storage.engine.dispose()
    return sorted(map(_known, found), key=lambda study: study.name)


def _known(summary: optuna.study.StudySummary) -> Known:
    said, made_for = summary.user_attrs, summary.user_attrs.get(MADE_FOR)
    row = made_for.get("row", "") if isinstance(made_for, dict) else ""
    return Known(str(said.get(STUDY_ID, "")), summary.study_name, str(row), summary.n_trials)
