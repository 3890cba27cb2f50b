"""``detboard tune --dry-run`` says how far a budget goes, and makes nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from command import Bench, study
from records import record

from benchmark.files import write_json
from benchmark.run.journal import Journal
from benchmark.run.plan import Request
from benchmark.run.prepare import prepare
from benchmark.tuning.dry_run import dry_run
from benchmark.tuning.study import Study, read_study

PRUNER = {"type": "SuccessiveHalvingPruner", "min_resource": 1, "reduction_factor": 2}


def studied(folder: Path, data: Path, **content: Any) -> Study:
    return read_study(Request(study(folder, **content), folder / "results", data_root=data))


def number(text: str, line: str) -> float:
    """The median that stands in a line of the table."""
    found = re.search(rf"^ *{re.escape(line)}  +(\d+)", text, re.MULTILINE)
    assert found, text
    return float(found[1])


def trained(made: Study, curves: Sequence[Sequence[float]], seconds: float) -> None:
    """Leaves complete trials of a study in the results folder, with these validations."""
    for count, values in enumerate(curves):
        run = made.plan_trial("an id", count, {"lr": 0.001 * (count + 1)})
        prepare(run)
        journal = Journal(run.folder.metrics_file)
        for epoch, value in enumerate(values, start=1):
            journal.write({"kind": "val", "iter": epoch, "epoch": float(epoch), "mAP50": value})
        of_run = {"row": run.spec.row, "seed": run.spec.seed, "profile": run.spec.profile}
        content = record(run_id=run.spec.run_id, train_seconds=seconds, **of_run)
        write_json(run.folder.record_file, content.to_json())


def test_how_far_a_budget_goes_is_said_and_nothing_is_made(
    synthetic_data: Path, tmp_path: Path
) -> None:
    file = study(tmp_path, n_trials=8, pruner=PRUNER)
    bench = Bench(synthetic_data, tmp_path / "results", file)
    before = sorted(tmp_path.rglob("*"))
    done = bench.here("tune", "--dry-run", "--slots", "2")
    assert done.returncode == 0, done.stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert max(map(len, done.stdout.splitlines())) <= 80
    words = " ".join(done.stdout.split())
    assert "nothing is trained, and nothing is made" in words
    assert "8 trials of row plain, 2 at a time; a training takes 4 epochs, with 4 vali" in words
    assert "of a family, by lot" in words
    assert "No run of this row in the results folder says how long" in words
    given_up, whole = number(done.stdout, "given up"), number(done.stdout, "trained to the end")
    assert given_up + whole == number(done.stdout, "trials") == 8
    assert given_up >= 2
    epochs = number(done.stdout, "epochs in all")
    assert 4 * whole + given_up <= epochs < 4 * 8
    assert bench.here("tune", "--dry-run", "--slots", "2").stdout == done.stdout
    refused = bench.here("tune", "--dry-run", "--promote")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--dry-run trains nothing: drop --promote" in refused.stderr


def test_trials_that_there_are_say_what_others_come_to(
    synthetic_data: Path, tmp_path: Path
) -> None:
    made = studied(tmp_path, synthetic_data, n_trials=10, pruner=PRUNER)
    rising = [[0.1 * n, 0.2 * n, 0.3 * n, 0.4 * n] for n in (1.0, 1.2, 1.4, 1.6)]
    trained(made, rising, seconds=60.0)
    few = " ".join(dry_run(made, 2, True, None).split())
    assert "only 4 trials of this row in the results folder were trained to the end, and 5" in few
    assert "A training takes 1 min 00 s: the median of 4 complete runs" in few
    # All alike: halving cannot tell one from another, and gives up none.
    for run in (made.request.results / "runs").iterdir():
        (run / "metrics.jsonl").unlink()
    trained(made, [rising[0]] * 5, seconds=60.0)
    alike = dry_run(made, 1, True, None)
    assert "two of the 5 trials of this row" in " ".join(alike.split())
    assert (number(alike, "given up"), number(alike, "epochs in all")) == (0, 40)
    assert re.search(r"^time +10 min 00 s", alike, re.MULTILINE)


def test_a_grid_ends_and_a_launcher_that_sees_nothing_prunes_nothing(
    synthetic_data: Path, tmp_path: Path
) -> None:
    search = {"lr": {"choices": [0.01, 0.02, 0.03]}}
    made = studied(
        tmp_path, synthetic_data, n_trials=20, search=search, sampler="GridSampler", pruner=PRUNER
    )
    text = dry_run(made, 1, False, None)
    assert "pruner: none: the launcher looks at a trial when it has ended" in text
    assert number(text, "trials") == 4  # the row's own setting, and the grid
    assert number(text, "with the result of an earlier one") == 1
    assert number(text, "epochs in all") == 12


def test_conditional_parameters_and_two_objectives(synthetic_data: Path, tmp_path: Path) -> None:
    search = {
        "optimizer": {
            "path": "optim_wrapper.optimizer",
            "choices": {"own": {}, "adam": {"_delete_": True, "type": "Adam", "lr": 0.001}},
        },
        "momentum": {
            "path": "optim_wrapper.optimizer.momentum",
            "type": "float",
            "low": 0.8,
            "high": 0.98,
            "when": {"optimizer": "own"},
        },
    }
    made = studied(
        tmp_path, synthetic_data, n_trials=6, search=search, objective=["mAP50", "params"]
    )
    text = dry_run(made, 4, True, trials=9)
    assert "pruner: none (two objectives: no trial is pruned)" in text
    reused = number(text, "with the result of an earlier one")
    assert (number(text, "trials"), number(text, "given up")) == (9, 0)
    assert reused > 0  # adam is one setting
    assert number(text, "epochs in all") == 4 * (9 - reused)
