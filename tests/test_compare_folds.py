"""``detboard compare`` over rows that have a run for each fold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from boards import make_row, make_table, result
from evaluated import CLASSES, dataset, make_matches, write_run

from benchmark.comparison.find import compare
from benchmark.comparison.show import json_text, verdict
from benchmark.data.dataset import Dataset, Fold, fold_file
from benchmark.errors import UserError
from benchmark.leaderboard.document import leaderboard_of
from benchmark.run.record import RunRecord
from benchmark.statistics.folds import difference, interval
from benchmark.statistics.matches import Matches
from benchmark.statistics.resample import class_precision

FOLDS = 3
QUALITIES = {"good": 0.9, "poor": 0.5}


def divided(number: int) -> Dataset:
    whole = dataset()
    parts = tuple((f"{n}a" * 32, f"{n}b" * 32) for n in range(FOLDS))
    fold = Fold(number, FOLDS, "f0" * 32, whole.train, parts)
    first = replace(whole.train, annotations=Path("/data", fold_file(0, "train")))
    return replace(whole, train=first, val=first, fold=fold).with_fold(number)


def matches_of(quality: float, fold: int, seed: int) -> Matches:
    """Of each fold other images; the third has no object of the third class."""
    made = make_matches(quality, 10 * fold + seed, images=30 + fold)
    files = tuple(f"fold{fold}/{name}" for name in made.files)
    if fold < 2:
        return replace(made, files=files)
    kept = made.label != 2
    columns = {key: getattr(made, key)[kept] for key in ("label", "image", "score", "hit")}
    objects = made.objects.copy()
    objects[:, 2] = 0
    return replace(made, files=files, objects=objects, **columns)


def write_row(results: Path, row: str, seeds: int = 1) -> list[RunRecord]:
    return [
        write_run(
            results,
            row,
            matches_of(QUALITIES[row], fold, seed),
            seed,
            divided(fold),
            run_id=f"{row}-s{seed}-f{fold}-full-12345678",
        )
        for seed in range(seeds)
        for fold in range(FOLDS)
    ]


def write_board(results: Path, rows: dict[str, list[RunRecord]]) -> None:
    lines = []
    for row, records in rows.items():
        folds = tuple(int(record.run_id.split("-f")[1][0]) for record in records)
        seeds = tuple(record.seed for record in records)
        lines.append(replace(result(make_row(row), *records), folds=folds, seeds=seeds))
    table = replace(make_table(*lines), name="board", dataset=divided(0))
    (results / "board.json").write_text(leaderboard_of(table).text())


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folds")
    write_board(
        folder, {"good": write_row(folder, "good", seeds=2), "poor": write_row(folder, "poor")}
    )
    return folder


def of_folds(row: str, seeds: int, label: int | None = None) -> list[float]:
    found = []
    for fold in range(FOLDS):
        values = [class_precision(matches_of(QUALITIES[row], fold, seed)) for seed in range(seeds)]
        chosen = [np.nanmean(v) if label is None else v[label] for v in values]
        found.append(float(np.mean(chosen)))
    return found


def test_rows_are_compared_fold_by_fold(results: Path) -> None:
    found = compare("good", "poor", results)
    good, poor = of_folds("good", 2), of_folds("poor", 1)
    assert found.a.map50 == pytest.approx(np.mean(good)) and found.a.seeds == (0, 1)
    assert found.difference == difference(good, poor) and found.better == "a"
    assert found.intervals == (interval(good), interval(poor))
    assert verdict(found) == "A is better: separated on these 3 folds."
    images = {image.file.partition("/")[0] for image in found.images}
    assert images == {"fold0", "fold1", "fold2"} and found.a.images == 30 + 31 + 32


def test_a_class_counts_where_a_fold_has_an_object_of_it(results: Path) -> None:
    by_name = {line.name: line for line in compare("good", "poor", results).classes}
    rare, never = by_name[CLASSES[2]], by_name[CLASSES[3]]
    assert rare.a == pytest.approx(np.mean(of_folds("good", 2, label=2)[:2]))
    assert rare.difference is not None and never.a is None and never.difference is None


def test_json_names_the_fold_of_each_run(results: Path) -> None:
    said = json.loads(json_text(compare("good", "poor", results), 3))
    assert [run["fold"] for run in said["b"]["runs"]] == [0, 1, 2]
    assert any("Over 3 folds" in note for note in said["notes"])
    assert not any("different annotations" in note for note in said["notes"])


def test_two_runs_of_one_fold_are_compared_as_ever(results: Path) -> None:
    found = compare("good-s0-f1-full-12345678", "poor-s0-f1-full-12345678", results)
    assert not found.a.folds and found.a.images == 31


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ("good", "poor-s0-f1-full-12345678", "'good' is over 3 folds and 'poor-s0-f1-full"),
        ("good-s0-f0-full-12345678", "poor-s0-f1-full-12345678", "different validation data"),
    ],
)
def test_what_is_not_of_the_same_folds_is_refused(
    results: Path, a: str, b: str, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        compare(a, b, results)


def test_a_row_without_every_fold_is_refused(tmp_path: Path) -> None:
    rows = {"good": write_row(tmp_path, "good"), "poor": write_row(tmp_path, "poor")[:2]}
    write_board(tmp_path, rows)
    with pytest.raises(UserError, match="'poor' has no complete run of fold 2 of 3"):
        compare("good", "poor", tmp_path)
