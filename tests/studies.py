"""What tests of studies look at: the trials in the storage, and the runs that they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
from command import Bench
from optuna.trial import FrozenTrial, TrialState

QUICK = ("--set", "train_cfg.max_epochs=2", "--wandb", "off")
LONG = ("--set", "train_cfg.max_epochs=6", "--wandb", "off")


def trials(bench: Bench, name: str = "tune") -> list[FrozenTrial]:
    url = f"sqlite:///{bench.results / 'studies.db'}"
    return optuna.load_study(study_name=name, storage=url).get_trials()


def states(bench: Bench) -> list[TrialState]:
    return [trial.state for trial in trials(bench)]


def folder_of(bench: Bench, trial: FrozenTrial) -> Path:
    return bench.results / "runs" / trial.user_attrs["run_id"]


def recorded(bench: Bench, trial: FrozenTrial) -> dict[str, Any]:
    return json.loads((folder_of(bench, trial) / "record.json").read_text())


def validations(folder: Path) -> int:
    path = folder / "metrics.jsonl"
    return path.read_text().count('"kind": "val"') if path.exists() else 0
