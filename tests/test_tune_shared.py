"""Two drivers on one PostgreSQL study: they share the trials, and neither repeats nor loses one."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import optuna
import postgresql
import pytest
from command import Bench, kill_group, run, study, wait_until
from optuna.trial import FrozenTrial, TrialState

pytestmark = pytest.mark.trains

SHORT = ("--set", "train_cfg.max_epochs=2", "--wandb", "off")


def _drivers(data: Path, folder: Path, **content: object) -> list[Bench]:
    """Two drivers, each with the same files and a results folder of its own, as two machines have."""
    benches = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        benches.append(Bench(data, folder / name / "results", study(folder / name, **content)))
    return benches


def _trials(url: str, name: str) -> list[FrozenTrial]:
    try:
        return optuna.load_study(study_name=name, storage=url).get_trials()
    except KeyError:  # not there yet
        return []


def _ran(bench: Bench, name: str) -> set[str]:
    return {path.parent.name for path in bench.results.glob(f"runs/{name}-s*/record.json")}


@pytest.mark.slow
def test_two_drivers_share_a_study(
    postgresql_url: str, synthetic_data: Path, tmp_path: Path
) -> None:
    first, second = _drivers(synthetic_data, tmp_path, name="shared", n_trials=6)
    options = ("--storage", postgresql_url, *SHORT)
    started = [bench.start("tune", *options) for bench in (first, second)]
    outputs = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    found = _trials(postgresql_url, "shared")
    assert len(found) == 6
    assert all(trial.state.is_finished() for trial in found)
    assert sum("published" in trial.user_attrs for trial in found) == 1
    assert len({json.dumps(trial.params) for trial in found}) == 6  # none was drawn twice
    ours, theirs = _ran(first, "shared"), _ran(second, "shared")
    assert ours
    assert theirs
    assert not ours & theirs  # none was run twice
    assert ours | theirs == {trial.user_attrs["run_id"] for trial in found}
    for bench in (first, second):  # each knows of all
        summary = (bench.results / "studies" / "shared" / "summary.md").read_text()
        assert all(trial.user_attrs["run_id"] in summary for trial in found)
    password = postgresql_url.split(":")[2].split("@")[0]
    kinds = {".json", ".jsonl", ".md", ".txt", ".csv", ".html", ".yaml", ".py"}
    written = [path for path in tmp_path.rglob("*") if path.suffix in kinds]
    assert written
    assert not any(password in path.read_text(errors="replace") for path in written)
    assert not any(password in output for output in outputs)


def test_stock_optuna_command_reads_postgresql(
    postgresql_url: str, synthetic_data: Path, tmp_path: Path
) -> None:
    bench = _drivers(synthetic_data, tmp_path, name="stock", n_trials=1)[0]
    assert bench.here("tune", "--storage", postgresql_url, *SHORT).returncode == 0
    stock = str(Path(sys.executable).parent / "optuna")
    listed = run([stock, "studies", "--storage", postgresql_url, "-f", "json"])
    assert "stock" in [found["name"] for found in json.loads(listed.stdout)]


@pytest.mark.slow
def test_trial_goes_on_while_the_storage_is_away(
    postgresql_programs: Path, synthetic_data: Path, tmp_path: Path
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results", study(tmp_path, name="away", n_trials=1))
    long = ("--set", "train_cfg.max_epochs=12", "--wandb", "off")
    with postgresql.server(postgresql_programs) as storage:
        driver = bench.start("tune", "--storage", storage.url, *long)
        wait_until(lambda: _validations(bench) >= 2, "two validations")
        storage.stop()
        seen = _validations(bench)
        wait_until(lambda: _validations(bench) >= seen + 4, "four more without a storage")
        storage.start()
        output, _ = driver.communicate(timeout=200)
        assert driver.returncode == 0, output
        (trial,) = _trials(storage.url, "away")
    assert trial.state is TrialState.COMPLETE
    assert list(trial.intermediate_values) == list(range(1, 13))
    assert "Traceback" not in output


def _validations(bench: Bench) -> int:
    journals = list(bench.results.glob("runs/*/metrics.jsonl"))
    return sum(path.read_text().count('"kind": "val"') for path in journals)


@pytest.mark.slow
def test_survivor_takes_over_what_a_dead_driver_left(
    postgresql_url: str, synthetic_data: Path, tmp_path: Path
) -> None:
    survivor, victim = _drivers(synthetic_data, tmp_path, name="taken", n_trials=2)
    options = ("--storage", postgresql_url, "--set", "train_cfg.max_epochs=8", "--wandb", "off")
    dying = victim.start("tune", *options)
    wait_until(lambda: bool(_running(postgresql_url)), "a trial of the victim")
    kill_group(dying)
    (left,) = _running(postgresql_url)
    done = survivor.run("tune", *options, DETBOARD_PATIENCE_S="6")
    assert done.returncode == 0, done.stdout + done.stderr
    found = _trials(postgresql_url, "taken")
    assert [trial.state for trial in found] == [TrialState.COMPLETE] * 2
    assert found[left.number].params == left.params
    assert found[left.number].user_attrs["run_id"] == left.user_attrs["run_id"]
    assert found[left.number].user_attrs["owner"] != left.user_attrs["owner"]
    late = victim.here("tune", *options)  # comes back, and finds nothing to do
    assert late.returncode == 0, late.stdout + late.stderr
    assert len(_trials(postgresql_url, "taken")) == 2


def _running(url: str) -> list[FrozenTrial]:
    found = _trials(url, "taken")
    return [t for t in found if t.state is TrialState.RUNNING and "run_id" in t.user_attrs]


def test_message_names_the_extra_that_is_missing(synthetic_data: Path, tmp_path: Path) -> None:
    bench = Bench(synthetic_data, tmp_path / "results", study(tmp_path))
    shadow = tmp_path / "shadow" / "psycopg"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("raise ImportError('No module named psycopg')\n")
    url = "postgresql://u:secret@127.0.0.1:1/d"
    refused = bench.run("tune", "--storage", url, PYTHONPATH=str(shadow.parent))
    shutil.rmtree(shadow)
    assert refused.returncode == 2, refused.stderr
    assert "detboard[postgresql]" in refused.stderr
    assert "secret" not in refused.stderr
