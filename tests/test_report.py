"""The table: from run folders on disk to Markdown, CSV and the terminal."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from boards import (
    OOM,
    RECIPE,
    failed,
    make_board,
    make_record,
    make_row,
    on_disk,
    result,
    write_report,
)
from rich.console import Console

from benchmark.experiment.experiment import Row
from benchmark.leaderboard.columns import columns_of, main_columns
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.outputs.csv_file import csv_text
from benchmark.leaderboard.outputs.markdown import page
from benchmark.leaderboard.outputs.terminal import rich_table
from benchmark.leaderboard.results import RowResult
from benchmark.run.folder import RunFolder
from benchmark.run.record import State
from benchmark.writing.words import DASH


def shown(ends: RowResult, profile: str = "full") -> dict[str, str]:
    """The cells of a table with one row, by column title, from its Markdown."""
    lines = [x for x in page(make_board(ends, profile=profile)).splitlines() if x.startswith("|")]
    heading, _, cells = ([cell.strip() for cell in x.strip("|").split(" | ")] for x in lines[:3])
    return dict(zip(heading, cells, strict=True))


def stored(table: Leaderboard) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_text(table))))


def printed(table: Leaderboard, width: int = 200) -> str:
    """What a terminal so many characters wide shows."""
    file = io.StringIO()
    console = Console(width=width, file=file, force_terminal=False)
    console.print(rich_table(table, console))
    return file.getvalue()


PAGE = """\
# Waste detection

- Profile: full
- Data set: waste (train `a1a1a1a1`, val `b2b2b2b2`), 50 validation images
- Seeds: 0
- Rows complete: 2 of 4
- Intervals: 95 %, over images (1,000 bootstrap resamples); rows whose difference a paired test does not separate \
(Holm) share ranks

| Row  | Rank | Model     | Backbone   | Neck | Head       | Learning Method | Differs in | Leaderboard mAP50 | \
Measured mAP50 | 95 % interval | Difference | Published inside | Parameters (M) | Training time | State        |
| ---- | ---: | --------- | ---------- | ---- | ---------- | --------------- | ---------- | ----------------: | \
-------------: | ------------: | ---------: | ---------------- | -------------: | ------------: | ------------ |
| r50  |    — | RetinaNet | ResNet-50  | FPN  | RetinaHead | mstrain_3x      | —          |            0.4527 | \
        0.4321 |             — |    -0.0206 | —                |          36.35 |    3 h 07 min | complete     |
| r101 |    — | RetinaNet | ResNet-101 | FPN  | RetinaHead | mstrain_3x      | —          |             0.292 | \
    **0.5000** |             — |    +0.2080 | —                |          36.35 |        59.0 s | complete     |
| new  |    — | RetinaNet | ResNet-50  | FPN  | RetinaHead | mstrain_3x      | —          |                 — | \
             — |             — |          — | —                |              — |             — | waiting      |
| big  |    — | RetinaNet | ResNet-50  | FPN  | RetinaHead | mstrain_3x      | —          |            0.4527 | \
             — |             — |          — | —                |              — |             — | failed (oom) |

## Quality
"""
FAILURES = """
## Failed runs

- big, seed 0: oom: CUDA out of memory ([log](runs/big-s0-full-12345678/log.txt))
"""


RECORDS = (
    make_record("r50", map50=0.43210987654321),
    make_record("r101", map50=0.5, train_seconds=59),
    failed("big"),
)


def board(results: Path) -> Leaderboard:
    """The rows of records on disk, and one that waits; those that are not there yet are written."""
    first, second, third = (
        folder.read_record() if folder.finished else on_disk(results, record)
        for record in RECORDS
        if (folder := RunFolder(results / "runs" / record.run_id))
    )
    return make_board(
        result(make_row("r50"), first),
        result(make_row("r101", 0.292, Backbone="ResNet-101"), second),
        result(make_row("new", None), State.WAITING),
        result(make_row("big"), third),
    )


def test_page_from_run_folders(tmp_path: Path) -> None:
    written = write_report(board(tmp_path), tmp_path)
    text = (tmp_path / "board.md").read_text(encoding="utf-8")
    assert text.startswith(PAGE)
    assert FAILURES in text
    assert "GFLOPs, Latency (ms), Latency, 95th percentile (ms): not measured when the run" in text
    assert written.changed == tuple(tmp_path / f"board.{kind}" for kind in ("md", "csv", "json"))


def test_csv_from_run_folders(tmp_path: Path) -> None:
    write_report(board(tmp_path), tmp_path)
    with (tmp_path / "board.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {key: value for key, value in lines[0].items() if value} == {
        "row": "r50",
        "model": "RetinaNet",
        "backbone": "ResNet-50",
        "neck": "FPN",
        "head": "RetinaHead",
        "learning_method": "mstrain_3x",
        "leaderboard_map50": "0.4527",
        "map50": "0.43210987654321",
        "difference": repr(0.43210987654321 - 0.4527),
        "map": repr(0.43210987654321 / 2),
        "params": "36350000",
        "peak_memory_gib": "7.5",
        "device": "CPU: abacus",
        "train_seconds": "11220.25",
        "state": "complete",
        "no_predictions": "0",
        "seeds_complete": "1",
        "seeds": "0",
        "run_ids": "r50-s0-full-12345678",
        "profile": "full",
    }
    assert [line["state"] for line in lines] == ["complete", "complete", "waiting", "failed"]
    assert [line["map50"] for line in lines[2:]] == ["", ""]
    assert [line["params"] for line in lines[2:]] == ["", ""]
    assert lines[3]["failure"] == "oom"
    assert lines[3]["run_ids"] == "big-s0-full-12345678"


@pytest.mark.parametrize("value", [0.1 + 0.2, 1 / 3, 5e-324, 0.0, 1.0])
def test_csv_keeps_every_digit(value: float) -> None:
    table = make_board(
        result(make_row(), make_record(map50=value)), result(make_row("b"), failed("b"))
    )
    assert float(stored(table)[0]["map50"]) == value


@pytest.mark.parametrize("state", [State.WAITING, State.LOST, State.RUNNING])
def test_row_without_a_record_shows_dashes(state: State) -> None:
    cells = shown(result(make_row(), state))
    assert cells["State"] == state.value
    assert cells["Leaderboard mAP50"] == "0.4527"
    for title in ("Measured mAP50", "Difference", "Parameters (M)", "Training time"):
        assert cells[title] == DASH


def test_pruned_run_is_not_a_measurement() -> None:
    cells = shown(result(make_row(), make_record(state=State.PRUNED)))
    assert (cells["State"], cells["Measured mAP50"], cells["Training time"]) == (
        "pruned",
        DASH,
        DASH,
    )


def test_no_predictions_is_zero_with_a_flag() -> None:
    cells = shown(result(make_row(), make_record(map50=0.0, no_predictions=True)))
    assert cells["Measured mAP50"] == "0.0000"
    assert cells["Difference"] == "-0.4527"
    assert cells["State"] == "complete, no predictions"


def test_no_predictions_is_zero_also_without_metrics() -> None:
    line = stored(make_board(result(make_row(), make_record(metrics={}, no_predictions=True))))[0]
    assert (line["map50"], line["no_predictions"], line["state"]) == ("0.0", "1", "complete")


def test_seeds_are_averaged() -> None:
    runs = [
        make_record(seed=s, map50=m, train_seconds=t) for s, m, t in [(0, 0.3, 10), (1, 0.5, 30)]
    ]
    line = stored(make_board(result(make_row(), *runs)))[0]
    assert (line["map50"], line["train_seconds"], line["seeds"]) == ("0.4", "20.0", "0 1")
    assert line["run_ids"] == "r50-s0-full-12345678 r50-s1-full-12345678"
    assert shown(result(make_row(), *runs))["State"] == "complete"


def test_missing_seeds_are_left_out_and_said() -> None:
    silent = make_record(seed=1, map50=0.1, no_predictions=True)
    ends = result(make_row(), make_record(map50=0.3), silent, failed("r50", 2))
    cells = shown(ends)
    assert cells["Measured mAP50"] == "0.2000"
    assert cells["State"] == "complete (2 of 3 seeds), no predictions in 1 of 2"
    table = make_board(ends)
    text = page(table)
    assert "- Seeds: 0, 1, 2 (values are means over the complete ones)" in text
    assert "- Rows complete: 0 of 1" in text
    assert "- r50, seed 2: oom: CUDA out of memory" in text
    assert stored(table)[0]["seeds_complete"] == "2"


def test_state_of_several_seeds_without_a_complete_one() -> None:
    diverged = failed("r50", 1, failure={**OOM, "kind": "diverged"})
    assert result(make_row(), failed("r50"), diverged).status == "failed (diverged, oom)"
    assert result(make_row(), failed("r50"), State.RUNNING).status == "running"
    assert result(make_row(), State.WAITING, State.LOST).status == "lost"


@pytest.mark.parametrize("profile", ["smoke", "quick"])
def test_other_profiles_compare_with_nothing(profile: str) -> None:
    ends = result(make_row(), make_record(profile=profile))
    cells = shown(ends, profile)
    assert cells[f"mAP50 ({profile})"] == "0.5000"
    assert "Measured mAP50" not in cells
    assert cells["Difference"] == DASH
    table = make_board(ends, profile=profile)
    first = page(table).splitlines()[0]
    caveat = f"{profile} profile: shortened training, not comparable with the published values"
    assert first == f"# Waste detection ({caveat})"
    line = stored(table)[0]
    assert (line["profile"], line["difference"], line["map50"]) == (profile, "", "0.5")


def test_records_of_another_profile_are_refused() -> None:
    smoke = make_record(profile="smoke")
    with pytest.raises(ValueError, match="not made under the full profile: r50-s0"):
        make_board(result(make_row(), smoke))


def test_row_result_wants_a_record_and_a_state_a_seed() -> None:
    with pytest.raises(ValueError, match="row r50"):
        RowResult(make_row(), (0, 1), (None,), (State.WAITING,))
    with pytest.raises(ValueError, match="row r50"):
        RowResult(make_row(), (), (), ())


def test_missing_labels_fall_back_to_the_parts() -> None:
    row = Row(name="grid", recipe=RECIPE)
    cells = list(shown(result(row, State.WAITING)).values())
    assert cells[:6] == [DASH, "resnet50", "fpn", "retina", "mstrain_3x", DASH]


def test_same_records_same_bytes(tmp_path: Path) -> None:
    """Whatever the order of the keys in the JSON files, and wherever the results lie."""
    pages = []
    for name, backwards in (("one", False), ("two", True)):
        results = tmp_path / name
        for record in RECORDS:
            on_disk(results, record)
        for file in sorted(results.glob("runs/*/record.json")):
            content = json.loads(file.read_text())
            file.write_text(json.dumps(dict(sorted(content.items(), reverse=backwards))))
        write_report(board(results), results)
        pages.append([(results / f"board.{kind}").read_bytes() for kind in ("md", "csv", "json")])
    assert pages[0] == pages[1]
    assert str(tmp_path).encode() not in b"".join(pages[0])


def test_right_files_are_not_touched(tmp_path: Path) -> None:
    table = board(tmp_path)
    write_report(table, tmp_path)
    for path in (tmp_path / "board.md", tmp_path / "board.csv"):
        os.utime(path, ns=(1, 1))
    written = write_report(table, tmp_path)
    assert (written.changed, len(written.unchanged)) == ((), 3)
    assert (tmp_path / "board.md").stat().st_mtime_ns == 1
    assert not list(tmp_path.glob(".*tmp"))


def test_check_compares_and_writes_nothing(tmp_path: Path) -> None:
    table = board(tmp_path)
    missing = write_report(table, tmp_path, check=True)
    assert len(missing.diffs) == 3
    assert not (tmp_path / "board.md").exists()
    write_report(table, tmp_path)
    assert write_report(table, tmp_path, check=True).diffs == ()
    edited = PAGE.replace("0.4321", "0.9999")
    (tmp_path / "board.md").write_text(edited, encoding="utf-8")
    written = write_report(table, tmp_path, check=True)
    assert written.changed == (tmp_path / "board.md",)
    (diff,) = written.diffs
    assert diff.startswith("--- board.md (on disk)\n+++ board.md (from the records)\n")
    removed = [line for line in diff.splitlines()[2:] if line.startswith("-")]
    assert len(removed) == 1 and "0.9999" in removed[0]
    assert (tmp_path / "board.md").read_text(encoding="utf-8") == edited


def test_check_sees_line_ends(tmp_path: Path) -> None:
    table = board(tmp_path)
    write_report(table, tmp_path)
    page_file = tmp_path / "board.md"
    page_file.write_bytes(page_file.read_bytes().replace(b"\n", b"\r\n"))
    assert write_report(table, tmp_path, check=True).diffs[0]


def test_labels_cannot_break_the_table() -> None:
    row = make_row(Model="a|b\n<!-- detboard:board:end -->")
    table = make_board(result(row, State.WAITING))
    (line,) = [x for x in page(table).splitlines() if r"a\|b" in x]
    assert line.replace(r"\|", "").count("|") == len(main_columns(columns_of([make_row()]))) + 1
    assert "<!--" not in line
    assert stored(table)[0]["model"] == row.labels["Model"]


def test_long_and_empty_messages_of_failures() -> None:
    long = failed("long", failure={**OOM, "message": "x" * 5000})
    empty = failed("empty", failure={**OOM, "message": " \n"})
    table = make_board(result(make_row("long"), long), result(make_row("empty"), empty))
    lines = page(table).splitlines()[-2:]
    assert lines[0].startswith("- long, seed 0: oom: xxx") and len(lines[0]) < 300
    assert lines[1].startswith("- empty, seed 0: oom: no message (")


def test_table_for_a_terminal(tmp_path: Path) -> None:
    table = board(tmp_path)
    lines = [line.split() for line in printed(table).splitlines()]
    assert lines[0] == ["Waste", "detection"]
    assert ["r101", "0.292", "0.5000", "+0.2080", "36.35", "59.0", "s", "complete"] in lines
    assert ["big", "0.4527", "—", "—", "—", "—", "failed", "(oom)"] in lines
    assert [row["state"] for row in table.values] == ["complete", "complete", "waiting", "failed"]


@pytest.mark.parametrize(("width", "published"), [(50, False), (60, False), (71, True), (80, True)])
def test_a_narrow_terminal_shows_state_and_numbers_whole(
    width: int, published: bool, tmp_path: Path
) -> None:
    """It does without other columns; nothing is cut off at its edge."""
    said = printed(board(tmp_path), width)
    lines = [line.split() for line in said.splitlines()]
    r101 = next(line for line in lines if line[:1] == ["r101"])
    assert r101[-1] == "complete" and {"0.5000", "+0.2080"} <= set(r101)
    assert ("0.292" in r101) == published


def test_terminal_shows_square_brackets_as_they_are() -> None:
    waiting = make_board(result(make_row(), State.WAITING))
    table = waiting.model_copy(update={"title": "[red]Waste[/red]"})
    assert "[red]Waste[/red]" in printed(table)


def test_importing_the_report_is_light() -> None:
    code = (
        "import sys, benchmark.leaderboard.write, benchmark.leaderboard.outputs.terminal\n"
        "print([m for m in ('pandas', 'torch', 'mmdet', 'wandb', 'optuna') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
