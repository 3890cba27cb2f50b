"""``detboard compare``: two rows or runs held against each other, from the results folder alone."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import OOM
from command import run
from evaluated import CLASSES, dataset, make_matches, write_board, write_run
from rich.console import Console

from benchmark.comparison.find import Comparison, compare
from benchmark.comparison.show import json_text, renderables
from benchmark.errors import UserError
from benchmark.run.folder import RunFolder
from benchmark.run.record import State
from benchmark.statistics.intervals import difference
from benchmark.statistics.resample import class_precision, image_precision


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of clearly different quality, with three seeds and with one."""
    folder = tmp_path_factory.mktemp("results")
    qualities = {"good": 0.9, "poor": 0.4}
    rows = {
        row: [write_run(folder, row, make_matches(quality, seed), seed) for seed in range(3)]
        for row, quality in qualities.items()
    }
    rows["single"] = [write_run(folder, "single", make_matches(0.6, 7))]
    write_board(folder, rows)
    return folder


def text_of(found: Comparison, images: int = 10, width: int = 80) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width)
    for part in renderables(found, images):
        console.print(part)
    return out.getvalue()


def refusal(*arguments: Any) -> list[str]:
    with pytest.raises(UserError) as caught:
        compare(*arguments)
    return caught.value.problems


def run_of(results: Path, row: str, seed: int = 0) -> str:
    (found,) = results.glob(f"runs/{row}-s{seed}-*")
    return found.name


class TestNumbers:
    def test_known_better_row_is_better(self, results: Path) -> None:
        found = compare("good", "poor", results)
        assert found.better == "a"
        assert found.difference is not None
        assert 0 < found.difference.low < found.gap < found.difference.high
        assert found.difference.p < 0.001
        assert compare("poor", "good", results).better == "b"

    def test_same_runs_tie(self, results: Path) -> None:
        found = compare("good", "good", results)
        assert (found.gap, found.better, found.images) == (0, None, ())
        assert found.difference is not None and found.difference.p == 1
        assert {line.gap for line in found.classes} == {0, None}

    def test_rows_have_all_their_seeds_and_runs_one(self, results: Path) -> None:
        found = compare("good", run_of(results, "poor", 2), results)
        assert (found.a.seeds, found.b.seeds) == ((0, 1, 2), (2,))
        assert found.b.row == "poor"
        assert found.a.map50 == pytest.approx(np.mean([run.map50 for run in found.a.runs]))

    def test_difference_is_that_of_the_statistics(self, results: Path) -> None:
        found = compare("single", "poor", results)
        assert found.difference == difference(found.a.sample, found.b.sample)

    def test_sorts_classes_by_difference_with_absent_ones_last(self, results: Path) -> None:
        found = compare("good", "poor", results)
        gaps = [abs(line.gap) for line in found.classes if line.gap is not None]
        assert gaps == sorted(gaps, reverse=True)
        assert {line.name for line in found.classes} == set(CLASSES)
        last = found.classes[-1]
        assert (last.name, last.objects, last.a, last.difference) == ("Never there", 0, None, None)

    def test_classes_are_those_of_the_matches(self, results: Path) -> None:
        found = compare("good", "single", results)
        for line in found.classes[:-1]:
            k = CLASSES.index(line.name)
            mine = [class_precision(run.matches)[k] for run in found.a.runs]
            assert line.a == pytest.approx(np.mean(mine))
            assert line.objects == found.a.runs[0].matches.objects[:, k].sum()
            assert line.difference is not None
            assert line.difference.low < line.gap < line.difference.high

    def test_mean_of_the_classes_is_map50(self, results: Path) -> None:
        found = compare("good", "single", results)
        assert found.gap == pytest.approx(np.mean([c.gap for c in found.classes[:-1]]))

    def test_sorts_images_by_difference(self, results: Path) -> None:
        found = compare("good", "poor", results)
        gaps = [abs(image.gap) for image in found.images]
        assert gaps == sorted(gaps, reverse=True)
        assert gaps[-1] > 0
        first = found.images[0]
        i = found.a.runs[0].matches.files.index(first.file)
        assert first.a == pytest.approx(
            np.mean([image_precision(run.matches)[i] for run in found.a.runs])
        )
        assert "val/000.jpg" not in {image.file for image in found.images}  # it has no object

    def test_classes_in_another_order_are_matched_by_name(self, tmp_path: Path) -> None:
        matches = make_matches(0.7)
        write_run(tmp_path, "one", matches)
        turned = matches.label.max() + 1 - matches.label  # 0, 1, 2 to 3, 2, 1
        order = np.lexsort((-matches.score, turned))
        values = {name: getattr(matches, name)[order] for name in ("image", "score", "hit")}
        other = type(matches)(
            matches.image_ids,
            matches.files,
            matches.classes[::-1],
            matches.objects[:, ::-1],
            label=turned[order],
            **values,
        )
        write_run(tmp_path, "two", other)
        found = compare(run_of(tmp_path, "one"), run_of(tmp_path, "two"), tmp_path)
        assert found.gap == pytest.approx(0)
        assert all(line.a == pytest.approx(line.b) for line in found.classes if line.objects)

    def test_without_stored_draws_the_same(self, results: Path, tmp_path: Path) -> None:
        for row, quality in (("one", 0.8), ("two", 0.5)):
            write_run(tmp_path, row, make_matches(quality))
        names = run_of(tmp_path, "one"), run_of(tmp_path, "two")
        stored = compare(*names, tmp_path)
        (tmp_path / "runs" / names[0] / "bootstrap.npy").unlink()
        (tmp_path / "runs" / names[1] / "bootstrap.npy").write_bytes(b"cut")
        assert compare(*names, tmp_path).difference == stored.difference

    def test_model_that_predicts_nothing(self, results: Path, tmp_path: Path) -> None:
        full = make_matches(0.7)
        none = {name: getattr(full, name)[:0] for name in ("label", "image", "score", "hit")}
        empty = type(full)(full.image_ids, full.files, full.classes, full.objects, **none)
        write_run(tmp_path, "silent", empty, no_predictions=True, metrics={})
        write_run(tmp_path, "one", full)
        found = compare(run_of(tmp_path, "silent"), run_of(tmp_path, "one"), tmp_path)
        assert (found.a.map50, found.better) == (0, "b")

    def test_one_image_gives_no_interval(self, tmp_path: Path) -> None:
        full = make_matches(0.7, images=2)
        for row, kept in (("one", full.hit), ("two", full.hit & False)):
            inside = full.image == 1
            parts = {name: getattr(full, name)[inside] for name in ("label", "image", "score")}
            alone = type(full)(
                full.image_ids[1:],
                full.files[1:],
                full.classes,
                full.objects[1:],
                **{**parts, "image": parts["image"] - 1, "hit": kept[inside]},
            )
            write_run(tmp_path, row, alone)
        found = compare(run_of(tmp_path, "one"), run_of(tmp_path, "two"), tmp_path)
        assert (found.difference, found.intervals, found.better) == (None, (None, None), None)
        assert "1 image give no interval" in text_of(found).replace("gives", "give")
        assert json.loads(json_text(found, 10))["mAP50"]["low"] is None


class TestText:
    def test_says_who_how_much_and_whether(self, results: Path) -> None:
        found = compare("good", "poor", results)
        text = text_of(found)
        for part in (
            "0 1 2",
            f"{found.a.map50:.4f}",
            f"A - B  {found.gap:+.4f}  (95 % interval",
            "p < 0.0001",
            "A is better: separated on these 40 images.",
            *CLASSES,
            found.images[0].file,
        ):
            assert part in text, part
        assert all(run.spec.run_id in text.replace("\n", "") for run in found.a.runs)

    @pytest.mark.parametrize("width", [80, 60])
    def test_fits_a_narrow_terminal(self, results: Path, width: int) -> None:
        text = text_of(compare("good", "single", results), width=width)
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text

    def test_names_neither_steer_the_terminal_nor_break_a_line(self, results: Path) -> None:
        found = compare("good", "poor", results)
        classes = tuple(replace(line, name="a\x1b[31m\n[bold]b") for line in found.classes)
        images = tuple(replace(line, file="c\x1b[31m\n[bold]d") for line in found.images)
        text = text_of(replace(found, classes=classes, images=images))
        assert "a\\x1b[31m\\n[bold]b" in text
        assert "c\\x1b[31m\\n[bold]d" in text

    def test_tie_in_words(self, results: Path) -> None:
        text = text_of(compare("single", "single", results))
        assert "Not separated on these 40 images." in text
        assert "No image differs." in text

    def test_one_seed_is_said(self, results: Path) -> None:
        assert "one seed" in text_of(compare("good", "single", results))
        assert "one seed" not in text_of(compare("good", "poor", results))

    def test_run_on_both_sides_is_said(self, results: Path) -> None:
        for name in ("good", run_of(results, "good", 1)):
            text = " ".join(text_of(compare(run_of(results, "good"), name, results)).split())
            assert ("not independent" in text) == (name == "good")
        assert "not independent" not in text_of(compare("good", "good", results))

    def test_number_of_images(self, results: Path) -> None:
        found = compare("good", "poor", results)
        assert f"3 of {len(found.images)} that differ" in text_of(found, images=3)
        assert "that differ" not in text_of(found, images=0)
        assert len(json.loads(json_text(found, 3))["most_different_images"]) == 3

    def test_smoke_profile_is_said(self, tmp_path: Path) -> None:
        for row in ("one", "two"):
            write_run(tmp_path, row, make_matches(0.5), profile="smoke")
        found = compare(run_of(tmp_path, "one"), run_of(tmp_path, "two"), tmp_path)
        assert "smoke profile: shortened training" in text_of(found)

    def test_json_says_the_same_at_full_precision(self, results: Path) -> None:
        found = compare("good", "poor", results)
        plain = json.loads(json_text(found, 10))
        assert plain["mAP50"] == {
            "difference": found.gap,
            "low": found.difference.low,
            "high": found.difference.high,
            "p": found.difference.p,
        }
        assert (plain["better"], plain["images"], plain["profile"]) == ("a", 40, "full")
        assert [run["seed"] for run in plain["a"]["runs"]] == [0, 1, 2]
        assert [line["class"] for line in plain["classes"]] == [c.name for c in found.classes]
        assert plain["most_different_images"][0]["file"] == found.images[0].file


class TestRefusals:
    def test_unknown_names_at_once_with_the_nearest(self, results: Path) -> None:
        problems = refusal("goood", "single-s1-full-12345678", results)
        assert len(problems) == 2
        assert "did you mean 'good'?" in problems[0]
        assert "allowed: good, poor, single" in problems[0]
        assert "the nearest run is 'single-s0-full-12345678'" in problems[1]

    @pytest.mark.parametrize("name", ["../runs/poor-s0-full-12345678", ".", "..", ""])
    def test_a_path_is_no_run(self, results: Path, name: str) -> None:
        (problem,) = refusal("good", name, results)
        assert "no row of a leaderboard and no run" in problem

    def test_empty_folder(self, tmp_path: Path) -> None:
        (problem,) = refusal("good", "good", tmp_path)
        assert "--results" in problem

    def test_row_of_two_leaderboards(self, results: Path, tmp_path: Path) -> None:
        records = [write_run(tmp_path, "twice", make_matches(0.5))]
        for name in ("first", "second"):
            write_board(tmp_path, {"twice": records}, name)
        (problem,) = refusal("twice", "twice", tmp_path)
        assert "first, second" in problem and "--experiment NAME" in problem
        assert compare("twice", "twice", tmp_path, "second").gap == 0
        (problem,) = refusal("twice", "twice", tmp_path, "secnd")[:1]
        assert "did you mean 'second'?" in problem

    def test_other_profile_data_and_images(self, results: Path, tmp_path: Path) -> None:
        write_run(tmp_path, "base", make_matches(0.5))
        write_run(tmp_path, "smoke", make_matches(0.5), data=dataset(val="c3"), profile="smoke")
        write_run(tmp_path, "fewer", make_matches(0.5, images=20))
        base, smoke, fewer = (run_of(tmp_path, row) for row in ("base", "smoke", "fewer"))
        problems = refusal(base, smoke, tmp_path)
        assert f"'{base}' under full, '{smoke}' under smoke" in problems[0]
        assert "b2b2b2b2b2b2" in problems[1] and "c3c3c3c3c3c3" in problems[1]
        (problem,) = refusal(base, fewer, tmp_path)
        assert "40 images" in problem and "20 images" in problem

    def test_other_training_data_is_noted(self, tmp_path: Path) -> None:
        write_run(tmp_path, "one", make_matches(0.5))
        write_run(tmp_path, "two", make_matches(0.5), data=dataset(train="d4"))
        found = compare(run_of(tmp_path, "one"), run_of(tmp_path, "two"), tmp_path)
        assert "trained on different annotations" in text_of(found)

    def test_runs_without_matches_are_named(self, tmp_path: Path) -> None:
        old = [write_run(tmp_path, "old", None, seed) for seed in range(2)]
        broken = write_run(tmp_path, "broken", None, missing={"bootstrap": "MemoryError: no"})
        write_board(tmp_path, {"old": old, "broken": [broken]})
        problems = refusal("old", "broken", tmp_path)
        assert len(problems) == 3
        assert all(
            f"run {run.run_id} has no matches.npz" in problems[i] for i, run in enumerate(old)
        )
        assert "MemoryError: no" in problems[2]

    def test_a_run_without_a_validation_is_to_be_compared_on_test(self, tmp_path: Path) -> None:
        why = "trained on train and val: no val score"
        made = {"unvalidated": why, "missing": {"bootstrap": why}}
        write_board(tmp_path, {"all": [write_run(tmp_path, "all", None, **made)]})
        told = refusal("all", "all", tmp_path)[0]
        assert told.endswith(f"{why}; compare on the test split with --split test")

    def test_a_run_that_lost_its_files_is_left_out_of_its_row(self, tmp_path: Path) -> None:
        runs = [write_run(tmp_path, "row", make_matches(0.5, seed), seed) for seed in range(4)]
        write_board(tmp_path, {"row": runs})
        folders = [RunFolder(tmp_path / "runs" / run.run_id) for run in runs]
        folders[0].matches_file.unlink()
        folders[1].record_file.unlink()
        folders[2].spec_file.unlink()
        found = compare("row", "row", tmp_path)
        assert found.a.seeds == (3,)
        expected = ("has no matches.npz", "is not finished", "spec.json: is missing")
        assert all(words in note for words, note in zip(expected, found.a.notes, strict=True))

    def test_a_board_that_cannot_be_read_costs_no_other(self, tmp_path: Path) -> None:
        record = write_run(tmp_path, "row", make_matches(0.5))
        write_board(tmp_path, {"row": [record]})
        for name in ("cut.json", "cut.csv"):
            (tmp_path / name).write_text("{")
        (note,) = compare("row", record.run_id, tmp_path).a.notes
        assert "left out" in note and "cut.json" in note
        problems = refusal("row", "nothing", tmp_path)
        assert "cut.json" in problems[0] and "'nothing' is no row" in problems[1]

    def test_runs_on_images_without_objects_are_no_zeros(self, tmp_path: Path) -> None:
        full = make_matches(0.5)
        nothing = replace(full, objects=np.zeros_like(full.objects), hit=full.hit & False)
        record = write_run(tmp_path, "empty", nothing)
        assert record.score("mAP50") is None
        (problem,) = refusal(record.run_id, record.run_id, tmp_path)
        assert f"run {record.run_id} has no mAP50" in problem

    def test_failed_and_unfinished_runs(self, tmp_path: Path) -> None:
        failed = write_run(tmp_path, "failed", None, state=State.FAILED, failure=OOM)
        lost = write_run(tmp_path, "lost", None)
        RunFolder(tmp_path / "runs" / lost.run_id).record_file.unlink()
        problems = refusal(failed.run_id, lost.run_id, tmp_path)
        assert "failed (CUDA out of memory)" in problems[0]
        assert "--retry failed" in problems[0]
        assert "not finished" in problems[1]
        write_board(tmp_path, {"failed": [failed]})
        (problem,) = refusal("failed", "failed", tmp_path)
        assert "no complete run" in problem

    def test_what_is_left_out_is_noted(self, tmp_path: Path) -> None:
        runs = [write_run(tmp_path, "row", make_matches(0.5))]
        runs.append(write_run(tmp_path, "row", None, 1, state=State.FAILED, failure=OOM))
        write_board(tmp_path, {"row": runs}, stale=("row-s2-full-99999999",))
        found = compare("row", "row", tmp_path)
        assert found.a.seeds == (0,)
        text = " ".join(text_of(found).split())
        assert "no complete run of seed 1" in text
        assert "another config: row-s2-full-99999999" in text

    def test_broken_leaderboard_is_named(self, results: Path, tmp_path: Path) -> None:
        content = json.loads((results / "board.json").read_text())
        (tmp_path / "board.json").write_text(json.dumps({**content, "schema_version": 99}))
        (tmp_path / "datasets.json").write_text("[]")
        assert "board.json" in refusal("good", "poor", tmp_path)[0]


def test_needs_neither_torch_nor_pandas(results: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from benchmark.comparison.find import compare; "
        "from benchmark.comparison.show import json_text; "
        f"print(json_text(compare('good', 'poor', Path({str(results)!r})), 1)); "
        "print(sorted({'torch', 'mmdet', 'mmengine', 'pandas', 'wandb', 'optuna', 'matplotlib'} "
        "& set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert json.loads(done.stdout)["better"] == "a"
    assert done.stderr.strip() == "[]"


class TestCommand:
    def command(self, results: Path, *more: str) -> subprocess.CompletedProcess[str]:
        options = ["--results", str(results), *more]
        return run([sys.executable, "-m", "benchmark", "compare", *options])

    def test_prints_the_comparison(self, results: Path) -> None:
        done = self.command(results, "good", "poor", "--images", "3")
        assert done.returncode == 0, done.stderr
        assert "A is better" in done.stdout
        assert "3 of" in done.stdout

    def test_prints_one_json_document(self, results: Path) -> None:
        done = self.command(results, "good", "poor", "--json", "--experiment", "board")
        assert json.loads(done.stdout)["better"] == "a"

    def test_refuses_unknown_names(self, results: Path) -> None:
        done = self.command(results, "goood", "pooor")
        assert done.returncode == 2
        assert done.stderr.count("error: ") == 2
        assert "Traceback" not in done.stderr


def test_best_validations_are_said_to_be_too_high(tmp_path: Path) -> None:
    chosen, last = (write_run(tmp_path, row, make_matches(0.5)) for row in ("chosen", "last"))
    folder = RunFolder(tmp_path / "runs" / chosen.run_id)
    folder.write_spec(replace(folder.read_spec(), given={"select": "best"}))
    words = "A run that records its best validation is too high"
    assert words in text_of(compare(chosen.run_id, last.run_id, tmp_path), width=200)
    assert words not in text_of(compare(last.run_id, last.run_id, tmp_path), width=200)
