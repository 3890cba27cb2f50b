"""Trials that the machine has ended are made again by the same command, and do not count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from command import Bench, study
from disks import remount, small_disk
from optuna.trial import TrialState
from studies import QUICK, recorded, states, trials

from benchmark.tuning.database import storage_url
from benchmark.tuning.opening import open_study
from benchmark.tuning.storage import Store, Strategies, StudyKey

KEY = StudyKey("s", ["maximize"], {"row": "plain"}, {"lr": 0.02})
RANDOM = Strategies(
    optuna.samplers.RandomSampler(0), optuna.pruners.NopPruner(), "RandomSampler", "none", 4
)


def opened(folder: Path) -> Store:
    return open_study(storage_url(None, folder), KEY, "a", RANDOM)


def taken(store: Store, target: int) -> optuna.Trial | None:
    """The next trial, with its parameters."""
    trial = store.next_trial(target)
    if trial is not None:
        trial.suggest_float("lr", 0.001, 0.1)
    return trial


def ended(folder: Path, causes: list[str]) -> list[dict[str, Any]]:
    """Ends a study's trials as failed, the row's own setting first; returns their parameters."""
    store, params = opened(folder), []
    for cause in causes:
        trial = taken(store, len(causes))
        assert trial is not None
        params.append(trial.params)
        store.tell(trial, TrialState.FAIL, None, {"cause": cause})
    store.close()
    return params


FULL = "error: OSError: [Errno 28] No space left on device: 'results/runs/a/metrics.jsonl'"
KILLED = "lost 3 times: killed by signal 9 without a record; the next sweep continues it"
GONE = "lost 3 times: exit status 1 without a record; the next sweep continues it"


@pytest.mark.parametrize(
    ("cause", "own", "others"),
    [
        (FULL, True, True),
        ("error: RuntimeError: PytorchStreamWriter failed writing file data/3", True, True),
        ("error: OSError: [Errno 5] Input/output error", True, True),
        ("data: RuntimeError: unable to write to file: No space left on device (28)", True, True),
        ("data: OSError: [Errno 2] No such file or directory: 'a.jpg'", False, False),
        (GONE, True, True),
        (KILLED, True, False),
        ("diverged: the loss is nan", False, False),
        ("oom: RuntimeError: CUDA out of memory", False, False),
    ],
)
def test_what_the_machine_has_ended_is_made_again(
    cause: str, own: bool, others: bool, tmp_path: Path
) -> None:
    before = ended(tmp_path, [cause, cause])
    store = opened(tmp_path)
    made = [trial for _ in range(3) if (trial := taken(store, 2)) is not None]
    wanted = [params for params, again in zip(before, (own, others), strict=True) if again]
    assert [trial.params for trial in made] == wanted
    assert [bool(trial.user_attrs.get("published")) for trial in made] == [own, False][: len(made)]
    for trial in made:
        assert store.tell(trial, TrialState.COMPLETE, [0.5], {})
    store.close()
    assert opened(tmp_path).next_trial(2) is None  # nothing is left to do


def test_row_that_is_lost_again_is_made_again_by_the_next_command(tmp_path: Path) -> None:
    ended(tmp_path, [KILLED])
    for _ in range(2):
        store = opened(tmp_path)
        assert len(store.again) == 1
        trial = taken(store, 1)
        assert trial is not None
        store.tell(trial, TrialState.FAIL, None, {"cause": KILLED})
        assert store.next_trial(1) is None  # not by this command
        store.close()


def test_grid_that_was_visited_in_vain_is_visited_again(tmp_path: Path) -> None:
    """A sampler that has seen all points has none left; those that are made again are not drawn by it."""
    ended(tmp_path, [FULL, FULL])
    store = opened(tmp_path)
    store.study.set_user_attr("exhausted", RANDOM.sampler_words)
    assert len([trial for _ in range(3) if (trial := taken(store, 2)) is not None]) == 2


@pytest.mark.slow
@pytest.mark.trains
def test_study_waits_for_room_and_goes_on(synthetic_data: Path, tmp_path: Path) -> None:
    """A full disk costs no trial, and with no room for too long ends the command; the same one goes on afterwards."""
    study(tmp_path, n_trials=1)
    with small_disk(tmp_path, "2500k") as disk:
        bench = Bench(synthetic_data, disk / "results", tmp_path / "tune.yaml")
        stopped = bench.run("tune", *QUICK, DETBOARD_PATIENCE_S="1")
        assert stopped.returncode == 1, stopped.stdout + stopped.stderr
        (line,) = stopped.stderr.strip().splitlines()
        assert "disk full" in line
        assert "paused: jobs cannot write" in stopped.stdout
        assert states(bench) == [TrialState.RUNNING]
        remount(disk, "size=200m")
        done = bench.here("tune", *QUICK)
        assert done.returncode == 0, done.stdout + done.stderr
        (trial,) = trials(bench)
        assert trial.state is TrialState.COMPLETE
        assert recorded(bench, trial)["state"] == "complete"
