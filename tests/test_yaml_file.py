"""YAML files: what YAML itself would pass over without a word is refused, in every file that is read."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from command import Bench, here, study, variant

from benchmark.errors import UserError
from benchmark.experiment.experiment import load_experiment
from benchmark.tuning.study_file import load_study
from benchmark.yaml_file import read_yaml

# Ten lists of ten aliases each, seven times over.
BOMB = "\n".join(
    [f"a0: &a0 [{', '.join('x' * 10)}]"]
    + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 7)]
)


def read(folder: Path, text: str) -> dict[str, object]:
    path = folder / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path, "a mapping")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "lines 1 and 3: the key 'a' is given 2 times"),
        ("x:\n- {b: 1, c: {d: 1, d: 1}}\n", "line 2: the key 'd' is given 2 times"),
        ("a: 1\n'a': 1\n\"a\": 2\n", "lines 1 and 2 and 3: the key 'a' is given 3 times"),
        ("x: {1: a, '1': b}\n", "the key '1' is given 2 times"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n  <<: *x\n", "lines 3 and 4: the key '<<' is given 2 times"),
        ("yes: 1\n", "line 1: the key yes is a bool to YAML, not a text: write 'yes' in quotes"),
        ("x: {On: 1}\n", "line 1: the key On is a bool to YAML"),
        ("x: {2024-01-01: 1}\n", "the key 2024-01-01 is a timestamp to YAML"),
        ("x: {1.5: 1}\n", "the key 1.5 is a float to YAML"),
        ("x: {~: 1}\n", "the key ~ is a null to YAML"),
        ("x: {[1, 2]: 1}\n", "a key is a text; this is a list"),
        ("a: &a\n  b: *a\n", "line 1: this mapping is within itself, by an alias"),
        ("a: " + "[" * 3000 + "]" * 3000 + "\n", "nested too deeply"),
        ("a: " + "[" * 100_000, "line 1: is nested too deeply"),  # a crash of libyaml's
        ("a: " + "{b: " * 101 + "1" + "}" * 101, "nested too deeply; allowed: 100 levels"),
        (BOMB, "holds 12,345,678 values, its aliases written out; allowed: 1,000,000"),
    ],
)
def test_what_yaml_passes_over_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, text)
    assert message in caught.value.problems[0]
    assert all(
        problem.startswith(f"{tmp_path / 'file.yaml'}: ") for problem in caught.value.problems
    )


def test_merged_keys_may_be_given_anew(tmp_path: Path) -> None:
    text = (
        "base: &base {a: 1, b: 2}\nmore: &more\n  <<: *base\n  b: 3\n"
        "last:\n  <<: [*more, *base]\n  a: 4\nagain: *more\n"
    )
    content = read(tmp_path, text)
    assert content["more"] == content["again"] == {"a": 1, "b": 3}
    assert content["last"] == {"a": 4, "b": 3}


def test_every_file_of_a_command_is_refused(tmp_path: Path, synthetic_data: Path) -> None:
    made = study(tmp_path)
    bench = Bench(synthetic_data, tmp_path / "results", made)
    made.write_text(made.read_text() + "n_trials: 5\n")
    done = bench.here("tune")
    assert done.returncode == 2 and f"{made}: lines" in done.stderr and "'n_trials'" in done.stderr
    experiment = tmp_path / "tiny.yaml"
    rows = yaml.safe_load(experiment.read_text())["rows"]
    tuned = yaml.safe_dump({"rows": [{**rows[0], "name": "t", "study": "s", "trial": 1}]})
    (tmp_path / "tiny.tuned.yaml").write_text(tuned + "rows: []\n")
    done = here(["plan", str(experiment), "--data-root", str(synthetic_data)])
    assert done.returncode == 2 and "tiny.tuned.yaml: lines" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rows="], "--rows: is empty"),
        (["--rows", ""], "--rows: is empty"),
        (["--rows=,"], "--rows ,: a name is empty"),
        (["--rows=plain,"], "--rows plain,: a name is empty"),
        (["--seeds="], "--seeds: is empty"),
        (["--seeds=0,"], "--seeds 0,: give whole numbers"),
        (["--set="], "--set: is empty"),
        (["--set==1"], "--set =1: write KEY.PATH=VALUE"),
        (["--set==a=1"], "--set =a=1: write KEY.PATH=VALUE"),
        (["--set=+=1"], "--set +=1: write KEY.PATH=VALUE"),
        (["--set=load_from="], "an empty text is 'load_from=\"\"'"),
        (["--set=a.b=1", "--set=+a.b=2"], "--set a.b: given 2 times (a.b, +a.b)"),
        (["--set=a.b=1", "--set=a.b=2"], "--set a.b: given 2 times (a.b, a.b)"),
        (["--set=a={'b': 1}", "--set=a.b=2"], "--set a.b: is given in a, too; once is enough"),
        (["--set=a={'x': 1, 'x': 2}"], "the key 'x' is given twice"),
        (["--launcher="], "--launcher: is empty"),
        (["--launcher= "], "--launcher: is empty"),
        (["--launcher=slurn"], "no such launcher"),
        (["--retry="], "--retry: is empty"),
        (["--retry=failed,"], "--retry failed,: a name is empty"),
        (["--results="], "--results: is empty"),
        (["--data-root=", "--wandb="], "--wandb: is empty"),
        ([""], "an argument: is empty"),
        (["-o", ""], "-o: is empty"),
    ],
)
def test_options_that_a_script_left_empty(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    synthetic_data: Path,
    options: list[str],
    message: str,
) -> None:
    from benchmark.cli import main

    path = variant(tmp_path, lambda _: None)
    bench = Bench(synthetic_data, tmp_path / "results", path)
    monkeypatch.setattr("sys.argv", bench.arguments("sweep", *options)[2:])
    with pytest.raises(SystemExit) as caught:
        main()
    told = capsys.readouterr().err
    assert caught.value.code == 2
    assert message in told and "Traceback" not in told
    assert not (tmp_path / "results" / "runs").exists()


WRONG = """\
name: a b
titel: Mine
seeds: [0, x, -1]
dataset: {rot: here, classes: can}
tracking: {mode: of, images: 1.5}
rows:
- {name: a, parts: {backbone: resnet50}, published: 2, labels: [a]}
"""
SAID = [
    "name: must be letters, digits and _ . + - alone, the first one a letter or a digit (got 'a b')",
    "titel: no such key; allowed: cache, cluster, compile, dataset, folds, grid, judge, name, patience_min, precision, "
    "profile, rows, seeds, select, title, tracking, train_on, wandb; did you mean 'title'? (got 'Mine')",
    "seeds.1: must be a whole number (got 'x')",
    "seeds.2: must be 0 or more (got -1)",
    "dataset.rot: no such key; allowed: classes, name, part, root, sha256, test, train, val; "
    "did you mean 'root'? (got 'here')",
    "dataset.classes: must be a list (got 'can')",
    "tracking.mode: allowed: auto, off, offline, online; did you mean 'off'? (got 'of')",
    "tracking.images: must be a whole number (got 1.5)",
    "rows.0.parts.neck: is missing",
    "rows.0.parts.head: is missing",
    "rows.0.parts.schedule: is missing",
    "rows.0.published: must be a fraction in 0..1: 2 % is 0.02 (got 2)",
    "rows.0.labels: must be a mapping",
]


def test_what_a_key_must_be_is_said_in_our_words_with_the_keys_that_there_are(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(WRONG)
    with pytest.raises(UserError) as caught:
        load_experiment(path)
    assert sorted(caught.value.problems) == sorted(f"{path}: {said}" for said in SAID)
    path.write_text("experiment: tiny.yaml\nrow: plain\nn_trial: 3\nsearch: {}\n")
    with pytest.raises(UserError) as caught:
        load_study(path)
    [near] = [problem for problem in caught.value.problems if "n_trial:" in problem]
    assert "no such key; allowed: experiment, n_trials, name" in near
    assert "did you mean 'n_trials'?" in near
    assert f"{path}: n_trials: is missing" in caught.value.problems
