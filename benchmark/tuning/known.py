"""Which studies a results folder has."""

from __future__ import annotations

from pathlib import Path

import optuna

from benchmark.tuning.database import open_storage, storage_url
from benchmark.tuning.storage import STUDY_ID


def known_studies(results: Path) -> dict[str, str]:
    """Names of the studies of ``studies.db`` by their ids; none without that file.

    Raises:
        UserError: The file cannot be used.
    """
    if not (results / "studies.db").is_file():
        return {}
    storage = open_storage(storage_url(None, results))
    found = optuna.get_all_study_summaries(storage, include_best_trial=False)
    return {
        str(one.user_attrs[STUDY_ID]): one.study_name for one in found if STUDY_ID in one.user_attrs
    }
