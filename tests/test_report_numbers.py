"""Intervals, ranks, costs and their reasons: from records and draws on disk to the leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from boards import (
    draws,
    failed,
    judged_board,
    make_board,
    make_record,
    make_row,
    on_disk,
    result,
    write_draws,
)

from benchmark.errors import UserError
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.kept import read_leaderboard
from benchmark.leaderboard.outputs.markdown import page
from benchmark.leaderboard.results import RowResult
from benchmark.run.record import RunRecord, State


def measured(
    results: Path, row: str, *values: float, spread: float = 0.01, noise: int = 0, **changes: Any
) -> RowResult:
    """A row with a complete run and bootstrap draws for each value."""
    runs = []
    for seed, value in enumerate(values):
        record = on_disk(results, make_record(row, seed, value, **changes))
        write_draws(results, record, draws(value, spread, noise))
        runs.append(record)
    return result(make_row(row), *runs)


def of(board: Leaderboard, row: str) -> dict[str, Any]:
    return next(line.values for line in board.rows if line.row == row)


def test_interval_of_one_seed_is_that_of_its_draws(tmp_path: Path) -> None:
    board = judged_board(tmp_path, measured(tmp_path, "r50", 0.45, spread=0.02))
    values = of(board, "r50")
    assert values["map50_low"] == pytest.approx(0.45 - 1.96 * 0.02, abs=0.004)
    assert values["map50_high"] == pytest.approx(0.45 + 1.96 * 0.02, abs=0.004)
    low, _, high = values["interval"].partition("–")
    assert (float(low), float(high)) == pytest.approx(
        (values["map50_low"], values["map50_high"]), abs=5e-5
    )
    assert (values["rank"], values["published_inside"]) == ("1", "yes")
    assert board.dataset.val_images == 50


def test_seeds_that_differ_widen_the_interval(tmp_path: Path) -> None:
    alike = of(judged_board(tmp_path / "a", measured(tmp_path / "a", "r50", 0.4, 0.4, 0.4)), "r50")
    apart = of(judged_board(tmp_path / "b", measured(tmp_path / "b", "r50", 0.3, 0.4, 0.5)), "r50")
    assert alike["map50"] == pytest.approx(0.4) and apart["map50"] == pytest.approx(0.4)
    width = {
        name: v["map50_high"] - v["map50_low"] for name, v in (("alike", alike), ("apart", apart))
    }
    assert width["apart"] > 3 * width["alike"]


def test_rows_that_are_not_separated_share_ranks(tmp_path: Path) -> None:
    """a and b differ by less than their draws say; c is far below, on the same images."""
    board = judged_board(
        tmp_path,
        measured(tmp_path, "a", 0.50, noise=1),
        measured(tmp_path, "b", 0.49, noise=2),
        measured(tmp_path, "c", 0.20, noise=3),
        result(make_row("new"), State.WAITING),
    )
    assert [line.values["rank"] for line in board.rows] == ["1–2", "1–2", "3", None]
    assert [line.values["rank_last"] for line in board.rows] == [2, 2, 3, None]
    assert "|  1–2 |" in page(board)


def test_published_value_outside_the_interval(tmp_path: Path) -> None:
    board = judged_board(tmp_path, measured(tmp_path, "r50", 0.3))
    assert of(board, "r50")["published_inside"] == "no"
    assert of(board, "r50")["difference"] == pytest.approx(0.3 - 0.4527)


def test_smoke_is_never_held_against_published_values(tmp_path: Path) -> None:
    ends = measured(tmp_path, "r50", 0.45, profile="smoke")
    values = of(judged_board(tmp_path, ends, profile="smoke"), "r50")
    assert (values["published_inside"], values["difference"]) == (None, None)
    assert values["interval"] is not None


def reason(board: Leaderboard, key: str, row: str = "r50") -> str:
    line = next(line for line in board.rows if line.row == row)
    assert line.values[key] is None
    return line.missing[key]


def test_failed_measurements_are_dashes_with_reasons(tmp_path: Path) -> None:
    why = {"latency_ms": "RuntimeError: no clock", "flops": "no trace", "bootstrap": "no room"}
    board = judged_board(tmp_path, measured(tmp_path, "r50", 0.4, missing=why))
    assert (
        reason(board, "latency_ms") == reason(board, "latency_p95_ms") == "RuntimeError: no clock"
    )
    assert reason(board, "flops") == "no trace"
    assert reason(board, "interval") == reason(board, "rank") == "no room"
    text = page(board)
    assert "- r50: Latency (ms), Latency, 95th percentile (ms): RuntimeError: no clock" in text
    assert "- r50: Rank, 95 % interval, Published inside: no room" in text


def test_draws_that_are_not_there_or_not_ours(tmp_path: Path) -> None:
    record = on_disk(tmp_path, make_record("r50"))
    board = judged_board(tmp_path, result(make_row("r50"), record))
    assert "bootstrap.npy" in reason(board, "interval")
    write_draws(tmp_path, record, [0.5] * 10)
    board = judged_board(tmp_path, result(make_row("r50"), record))
    assert "bootstrap.npy" in reason(board, "interval")


def test_runs_on_other_images_are_not_compared(tmp_path: Path) -> None:
    other = {"count": 50, "sha256": "ee" * 32}
    board = judged_board(
        tmp_path,
        measured(tmp_path, "a", 0.5),
        measured(tmp_path, "b", 0.4),
        measured(tmp_path, "odd", 0.3, val_images=other),
    )
    assert reason(board, "rank", "odd") == "not evaluated on the images of the other rows"
    assert [line.values["rank"] for line in board.rows] == ["1", "2", None]


def test_one_image_has_no_interval(tmp_path: Path) -> None:
    one = {"count": 1, "sha256": "ee" * 32}
    board = judged_board(tmp_path, measured(tmp_path, "a", 0.5, spread=0.0, val_images=one))
    assert reason(board, "interval", "a") == "one image has no interval"


def costly(seed: int, **changes: Any) -> RunRecord:
    costs = {
        "flops": {"value": 4_110_000_000, "input": [3, 224, 224]},
        "latency_ms": {"median": 20.0 + seed, "p95": 30.0 + seed, "images": 30, "device": "CPU"},
        "tide": {"Cls": 0.1, "Loc": 0.2, "Both": 0.0, "Dupe": 0.01, "Bkg": 0.05, "Miss": 0.3},
        "peak_memory_gib": 7.0 + seed,
    }
    return make_record(seed=seed, **{**costs, **changes})


def test_costs_and_errors_over_the_seeds() -> None:
    board = make_board(result(make_row(), costly(0), costly(1), failed("r50", 2)))
    values = of(board, "r50")
    assert (values["flops"], values["latency_ms"], values["latency_p95_ms"]) == (
        4_110_000_000,
        20.5,
        30.5,
    )
    assert (values["peak_memory_gib"], values["tide_loc"], values["tide_both"]) == (8.0, 0.2, 0.0)
    text = page(board)
    assert "| Row | GFLOPs | Latency (ms) |" in text
    assert "|   4.11 |         20.5 |" in text
    assert "CPU: abacus" in text


def test_classes_over_the_seeds_without_those_that_have_no_object() -> None:
    def classes(metal: float, paper: float | None) -> dict[str, Any]:
        found = {"Metal": metal, "Paper": paper}
        return {
            "mAP50": 0.4,
            "per_class": {name: {"mAP50": ap, "mAP": ap} for name, ap in found.items()},
        }

    runs = [
        make_record(seed=0, metrics=classes(0.2, None)),
        make_record(seed=1, metrics=classes(0.4, None)),
    ]
    board = make_board(result(make_row(), *runs))
    found = board.rows[0].per_class
    assert found["Metal"].mAP50 == pytest.approx(0.3)
    assert found["Paper"].mAP50 is None
    assert "| Row | Paper |  Metal |" in page(board)
    assert "| r50 |     — | 0.3000 |" in page(board)


def test_every_number_leads_to_its_runs(tmp_path: Path) -> None:
    tracked = {"name": "wandb", "mode": "online", "url": "https://wandb.example/run/1"}
    linked = make_record(tracking=tracked)
    odd = make_record(seed=1, tracking={**tracked, "url": "javascript:alert(1)"})
    board = make_board(result(make_row(), linked, odd, failed("r50", 2), State.WAITING))
    first, _, third, fourth = board.rows[0].runs
    assert (first.run_id, first.folder) == ("r50-s0-full-12345678", "runs/r50-s0-full-12345678")
    assert (first.commit, first.dirty) == ("0123456789abcdef" * 2, False)
    assert (first.config_sha256, first.val_sha256) == ("c3" * 32, "b2" * 32)
    assert (third.state, third.map50) == ("failed", None)
    assert third.failure is not None and third.failure.message == "CUDA out of memory"
    assert (fourth.run_id, fourth.state) == (None, "waiting")
    text = page(board)
    assert "[r50-s0-full-12345678](runs/r50-s0-full-12345678)" in text
    assert "| 01234567 | c3c3c3c3 | [run](https://wandb.example/run/1) |" in text
    assert "javascript" not in text


def test_an_address_of_version_0_1_is_read(tmp_path: Path) -> None:
    address = "https://wandb.example/run/1"
    tracked = make_record(tracking={"name": "wandb", "mode": "online", "url": address})
    board = make_board(result(make_row(), tracked))
    assert board.rows[0].runs[0].url == address
    path = tmp_path / "board.json"
    path.write_text(board.text().replace('"url": ', '"wandb": '))
    assert read_leaderboard(path) == board


def test_the_file_reads_back_and_names_what_is_wrong_with_another(tmp_path: Path) -> None:
    board = judged_board(
        tmp_path, measured(tmp_path, "r50", 0.4), result(make_row("b"), failed("b"))
    )
    path = tmp_path / "board.json"
    path.write_text(board.text(), encoding="utf-8")
    assert read_leaderboard(path) == board
    path.write_text(board.text().replace('"schema_version": 1', '"schema_version": 7'))
    with pytest.raises(
        UserError, match=r"board\.json: not a leaderboard of schema version 1 \(schema_version"
    ):
        read_leaderboard(path)
    path.write_text("<<<<<<< HEAD\n")
    with pytest.raises(UserError, match="detboard report writes it again"):
        read_leaderboard(path)
