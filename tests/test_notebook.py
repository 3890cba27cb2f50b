"""Leaderboards as data frames: ``import benchmark; benchmark.results("results")``."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from boards import PUBLISHED, make_row
from evaluated import CLASSES, make_matches, write_board, write_run

import benchmark
from benchmark.errors import UserError
from benchmark.experiment.published import HiddenScores, Published
from benchmark.leaderboard.columns import columns_of, stored_columns
from benchmark.leaderboard.outputs.notebook import KEYS
from benchmark.run.record import State
from benchmark.statistics.intervals import Interval

DOCS = Path(__file__).parents[1] / "docs" / "notebook.md"
OOM = {"kind": "oom", "message": "out of memory", "log_tail": ""}

STORED = stored_columns(columns_of([make_row()]))
EVERYTHING = make_row(
    published=Published(value=PUBLISHED, split="test", source="a paper"),
    leaderboard=HiddenScores(public=0.4, private=0.4),
)
DOCUMENTED = stored_columns(columns_of([EVERYTHING], True, True))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    good = write_run(folder, "good", make_matches(0.9))
    failed = write_run(folder, "bad", None, state=State.FAILED, failure=OOM, params=None)
    write_board(folder, {"good": [good], "bad": [failed]}, "first", interval=Interval(0.4, 0.5))
    smoke = write_run(folder, "good", make_matches(0.5), profile="smoke")
    write_board(folder, {"good": [smoke]}, "second")
    return folder


def test_a_line_for_each_row_of_each_leaderboard(results: Path) -> None:
    frame = benchmark.results(results)
    keys = ["experiment", "profile", "dataset", "board", "row"]
    assert frame[keys].to_numpy().tolist() == [
        ["first", "full", "waste", "first", "good"],
        ["first", "full", "waste", "first", "bad"],
        ["second", "smoke", "waste", "second", "good"],
    ]
    assert list(frame) == [*KEYS, *(column.key for column in STORED)]


def test_a_line_for_each_run(results: Path) -> None:
    frame = benchmark.runs(results)
    keys = ["experiment", "dataset", "row", "seed", "state", "failure"]
    assert frame[keys].to_numpy().tolist() == [
        ["first", "waste", "good", 0, "complete", None],
        ["first", "waste", "bad", 0, "failed", "oom"],
        ["second", "waste", "good", 0, "complete", None],
    ]
    shown = benchmark.results(results)["map50"]
    assert frame["map50"].isna().tolist() == [False, True, False]
    assert frame["map50"].dropna().tolist() == shown.dropna().tolist()
    assert all((results / folder / "record.json").exists() for folder in frame["folder"])
    assert (frame["seed"].dtype, frame["dirty"].dtype) == ("Int64", "boolean")
    for kind in ("units", "about"):
        assert list(frame.attrs[kind]) == list(frame)
    assert all(f"`{name}`" in DOCS.read_text() for name in frame)


def test_a_label_that_is_called_as_a_column_before_the_others(tmp_path: Path) -> None:
    """As one of an earlier version may be: the frame had no such column then."""
    run = write_run(tmp_path, "good", make_matches(0.9))
    write_board(tmp_path, {"good": [run]}, "first")
    path = tmp_path / "first.json"
    path.write_text(
        path.read_text().replace('"model"', '"dataset"').replace('"Model"', '"Dataset"')
    )
    frame = benchmark.results(tmp_path)
    assert frame[["dataset", "label_dataset"]].to_numpy().tolist() == [["waste", "RetinaNet"]]
    assert list(frame.attrs["about"]) == list(frame)


def test_types_hold_absence_without_loss(results: Path) -> None:
    frame = benchmark.results(str(results))
    for column in STORED:
        wanted = "boolean" if column.key == "published_inside" else column.dtype
        assert frame[column.key].dtype == wanted, column.key
    assert frame["params"].tolist()[::2] == [36_350_000, 36_350_000]
    assert frame["params"].isna().tolist() == [False, True, False]
    assert frame.loc[0, "leaderboard_map50"] == PUBLISHED
    assert pd.isna(frame.loc[1, "map50"])
    assert frame.loc[1, "failure"] == "oom"
    assert frame.loc[0, "failure"] is None


def test_yes_and_no_are_booleans(results: Path) -> None:
    inside = benchmark.results(results)["published_inside"]
    assert inside.tolist() == [True, True, pd.NA]
    assert inside[inside.fillna(False)].index.tolist() == [0, 1]


def test_units_and_descriptions_of_every_column(results: Path) -> None:
    for frame in (benchmark.results(results), benchmark.results_per_class(results)):
        for kind in ("units", "about"):
            assert list(frame.attrs[kind]) == list(frame)
        assert all(frame.attrs["about"].values())
        assert frame.attrs["units"]["experiment"] == ""
    assert benchmark.results(results).attrs["units"]["train_seconds"] == "s"


def test_classes_of_complete_rows(results: Path) -> None:
    frame = benchmark.results_per_class(results)
    assert len(frame) == 2 * len(CLASSES)
    assert frame["mAP50"].dtype == "float64"
    assert frame[frame["class"] == "Never there"]["mAP50"].isna().all()
    wide = frame.pivot(index=["experiment", "row"], columns="class", values="mAP50")
    whole = benchmark.results(results).set_index(["experiment", "row"])
    assert wide.loc[("first", "good")].mean() == pytest.approx(
        whole.loc[("first", "good"), "map50"]
    )


@pytest.mark.parametrize("read", [benchmark.results, benchmark.results_per_class])
def test_folder_without_leaderboards(read: Callable[[Path], pd.DataFrame], tmp_path: Path) -> None:
    (tmp_path / "datasets.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"holds no leaderboard.*detboard report"):
        read(tmp_path)
    with pytest.raises(FileNotFoundError, match="is no folder"):
        read(tmp_path / "missing")


def test_leaderboard_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "board.json").write_text('{"experiment": "board", "rows": 3}')
    (tmp_path / "merged.json").write_text("<<<<<<< HEAD\n{}")
    (tmp_path / "merged.csv").write_text("row\n")
    with pytest.raises(UserError) as caught:
        benchmark.results(tmp_path)
    assert [
        "board.json" in caught.value.problems[0],
        "merged.json" in caught.value.problems[1],
    ] == [
        True,
        True,
    ]


@pytest.mark.parametrize("read", [benchmark.results, benchmark.runs])
def test_a_leaderboard_that_cannot_be_read_costs_no_other(
    results: Path, tmp_path: Path, read: Callable[[Path], pd.DataFrame]
) -> None:
    whole = read(results)
    folder = shutil.copytree(results, tmp_path / "copy")
    for name in ("cut.json", "cut.csv"):
        (folder / name).write_text("{")
    with pytest.warns(UserWarning, match=r"left out: .*cut\.json"):
        assert len(read(folder)) == len(whole)


def test_importing_the_package_imports_no_pandas() -> None:
    program = "import benchmark, sys; print('pandas' in sys.modules, *dir(benchmark))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.startswith("False ")
    assert {"results", "results_per_class"} <= set(done.stdout.split())
    with pytest.raises(AttributeError, match="no attribute 'result'"):
        benchmark.result  # noqa: B018


def test_docs_list_every_column_with_its_unit() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", DOCS.read_text(), re.MULTILINE)
    wanted = [(key, "object", "", about) for key, about in KEYS.items()]
    for column in DOCUMENTED:
        dtype = "boolean" if column.key == "published_inside" else column.dtype
        wanted.append((column.key, dtype, column.unit, column.about))
    assert rows == [
        (key, dtype, unit, about.replace("``", "`")) for key, dtype, unit, about in wanted
    ]
