"""Rows and their recipes: what a row of the file may say, and a recipe that is added by one file and one line."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from boards import DATA, make_board, make_row, result
from command import TINY, variant

import benchmark
from benchmark.cli.app import app
from benchmark.errors import UserError
from benchmark.experiment.experiment import Row, load_experiment
from benchmark.experiment.rows import RECIPES, recipe_key
from benchmark.experiment.rows.base import Layer, Recipe, Surroundings, part_file
from benchmark.experiment.titles import title_warnings
from benchmark.leaderboard.columns import columns_of
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.kept import read_leaderboard
from benchmark.leaderboard.outputs.csv_file import csv_text
from benchmark.leaderboard.outputs.markdown import table_text
from benchmark.leaderboard.select import reports_on_disk
from benchmark.run.identity import identity
from benchmark.run.plan import Request, make_plan
from benchmark.run.record import State
from benchmark.run.spec import RunSpec

ROOT = Path(__file__).parent.parent
PARTS = "parts: {backbone: resnet50, neck: fpn, head: retina, schedule: step_1x}"


class MappingRecipe(Recipe):
    """Starts from a mapping that is an mmdet config already."""

    mapping: dict[str, Any]
    origin: str = "nowhere"

    @property
    def names(self) -> Mapping[str, str]:
        return {"origin": self.origin}

    @property
    def labels(self) -> Mapping[str, str]:
        return {"Framework": "mmdet", "Head": "its own"}

    def layers(self, around: Surroundings) -> Sequence[Layer]:
        dataset, profile = (
            part_file("dataset", around.dataset),
            part_file("profile", around.profile),
        )
        return ("runtime.py", self.mapping, dataset, profile)

    def given(self, around: Surroundings) -> Mapping[str, str]:
        return {"origin": self.origin} if self.origin != "nowhere" else {}

    def problems(self, around: Surroundings) -> list[str]:
        return [] if "model" in self.mapping else ["mapping: has no 'model'"]


@pytest.fixture
def mapping_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "mapping", MappingRecipe)


# The keys of a row


def problems_of(folder: Path, *rows: str) -> list[str]:
    path = folder / "mine.yaml"
    path.write_text("rows:\n" + "".join(f"- {{{row}}}\n" for row in rows))
    with pytest.raises(UserError) as caught:
        load_experiment(path)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


# Of a row of parts.
KEYS = "gpus, labels, leaderboard, name, parts, pseudo, published, set, study, train_on"
FIELDS = {key for recipe in RECIPES.values() for key in recipe.model_fields}
ALL_KEYS = ", ".join(sorted({*KEYS.split(", "), *FIELDS}))
KINDS = ", ".join(RECIPES)


def test_every_problem_of_every_row_is_said_at_once(tmp_path: Path) -> None:
    parts = "parts: {backbone: resnet50, neck: _fpn, schedule: step_1x}"
    assert problems_of(tmp_path, f"name: a, {parts}, lables: {{}}, gpus: 0", "part: {}") == [
        f"rows.0.lables: no such key in a row; allowed: {KEYS}; did you mean 'labels'?",
        "rows.0.parts.neck: must be letters, digits and _ . + - alone, the first one a letter or a digit (got '_fpn')",
        "rows.0.parts.head: is missing",
        "rows.0.gpus: must be 1 or more (got 0)",
        f"rows.1.part: no such key in a row; allowed: {ALL_KEYS}; did you mean 'parts'?",
        f"rows.1: a row has exactly one of these keys: {KINDS}; this one has none",
        "rows.1.name: is missing",
    ]


@pytest.mark.usefixtures("mapping_rows")
def test_a_row_has_one_recipe(tmp_path: Path) -> None:
    assert problems_of(tmp_path, f"name: a, {PARTS}, mapping: {{}}", "name: b") == [
        f"rows.0: a row has exactly one of these keys: {KINDS}, mapping; this one has 'parts' and 'mapping'",
        f"rows.1: a row has exactly one of these keys: {KINDS}, mapping; this one has none",
    ]


@pytest.mark.usefixtures("mapping_rows")
def test_a_key_of_another_recipe_is_none_of_this_row(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, f"name: a, {PARTS}, origin: here")
    words = "no such key in a row of this kind, but of one with 'mapping'"
    assert problem == f"rows.0.origin: {words}; allowed: {KEYS} (got 'here')"
    [problem] = problems_of(tmp_path, "name: a, mapping: {}, origin: 3")
    assert problem == "rows.0.origin: must be a text (got 3)"


def test_what_pydantic_itself_objects_to_is_said(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, "name: a, predictions: [1]")
    assert problem == "rows.0.predictions.val.0: must be a path (got 1)"


@pytest.mark.parametrize("row", ["recipe: {}", "overrides: {}", "3: x"])
def test_keys_that_only_the_code_knows_are_refused(tmp_path: Path, row: str) -> None:
    [problem] = problems_of(tmp_path, f"name: a, {PARTS}, {row}")
    assert f"no such key in a row; allowed: {KEYS}" in problem


# Run ids, and files of version 0.1


@pytest.mark.parametrize("name", ["leaderboard", "small"])
def test_run_ids_are_those_that_were_published(name: str) -> None:
    folder = "experiments" if name == "leaderboard" else "results/experiments"
    request = Request(ROOT / folder / f"{name}.yaml", results=ROOT / "results")
    (report,) = reports_on_disk(request).reports
    ids = [run.run_id for line in report.leaderboard.rows for run in line.runs]
    assert len(ids) >= 9 if name == "leaderboard" else ids
    assert all(ids)
    assert report.stale == ()


def test_a_spec_of_version_0_1_is_read() -> None:
    names = {"backbone": "resnet50", "neck": "fpn", "head": "retina", "schedule": "step_1x"}
    spec = RunSpec("r50-s0-full-12345678", "board", "r50", {}, "parts", names, 0, DATA, "full")
    old = spec.to_json()
    for key in ("recipe", "names", "given"):
        del old[key]
    assert RunSpec.from_json({**old, "parts": names}) == spec
    assert RunSpec.from_json(spec.to_json()) == spec


def test_a_leaderboard_of_version_0_1_is_read(tmp_path: Path) -> None:
    board = make_board(result(make_row(), State.WAITING))
    path = tmp_path / "board.json"
    path.write_text(board.text().replace('"names": {', '"parts": {'))
    assert '"names"' not in path.read_text()
    assert read_leaderboard(path) == board
    assert board.rows[0].names["backbone"] == "resnet50"


# Labels


def board_of(*labels: dict[str, str]) -> Leaderboard:
    rows = [make_row(f"row{at}", None) for at in range(len(labels))]
    own = [r.model_copy(update={"labels": la}) for r, la in zip(rows, labels, strict=True)]
    return make_board(*(result(row, State.WAITING) for row in own))


def labels_of(board: Leaderboard) -> dict[str, str]:
    return {column.key: column.title for column in board.columns if column.label}


def test_every_title_is_a_column_in_the_order_of_the_first_row_that_has_it() -> None:
    board = board_of({"Framework": "mmdet", "Head": "mine"}, {"Author": "we", "Framework": "timm"})
    assert labels_of(board) == {
        "framework": "Framework",
        "head": "Head",
        "backbone": "Backbone",
        "neck": "Neck",
        "learning_method": "Learning Method",
        "author": "Author",
    }
    assert [line.values["author"] for line in board.rows] == [None, "we"]
    head, _, first, second = (re.sub(" +", " ", line) for line in table_text(board).splitlines())
    assert head.startswith(
        "| Rank | Framework | Head | Backbone | Neck | Learning Method | Author |"
    )
    assert first.startswith("| — | mmdet | mine | resnet50 | fpn | mstrain_3x | — |")
    assert second.startswith("| — | timm | retina | resnet50 | fpn | mstrain_3x | we |")
    lines = list(csv.DictReader(csv_text(board).splitlines()))
    assert [(line["framework"], line["author"]) for line in lines] == [
        ("mmdet", ""),
        ("timm", "we"),
    ]


def test_the_shipped_leaderboard_keeps_its_columns() -> None:
    rows = load_experiment(ROOT / "experiments" / "leaderboard.yaml").rows
    titles = [column.title for column in columns_of(rows) if column.label]
    assert titles == ["Model", "Backbone", "Neck", "Head", "Learning Method"]


def test_no_two_columns_share_a_key() -> None:
    titles = ("Rank", "State", "Profile", "Learning method", "learning-method", "%", "Größe (m²)")
    board = board_of(dict.fromkeys(titles, "x"))
    assert list(labels_of(board).items())[:7] == [
        ("label_rank", "Rank"),
        ("label_state", "State"),
        ("label_profile", "Profile"),
        ("learning_method", "Learning method"),
        ("label_learning_method", "learning-method"),
        ("label", "%"),
        ("größe_m²", "Größe (m²)"),
    ]
    assert labels_of(board)["label_label_learning_method"] == "Learning Method"
    header = csv_text(board).splitlines()[0].split(",")
    assert len(set(header)) == len(header)


def test_labels_of_several_leaderboards_in_one_frame(tmp_path: Path) -> None:
    for name, labels in (("one", {"Framework": "mmdet"}), ("two", {"Author": "we"})):
        board = board_of(labels).model_copy(update={"experiment": name})
        (tmp_path / f"{name}.json").write_text(board.text())
    frame = benchmark.results(tmp_path)
    assert frame["framework"].tolist() == ["mmdet", None]
    assert frame["author"].tolist() == [None, "we"]
    assert frame["backbone"].tolist() == ["resnet50", "resnet50"]


def rows_with(*labels: dict[str, str]) -> list[Row]:
    return [make_row(f"row{at}").model_copy(update={"labels": la}) for at, la in enumerate(labels)]


@pytest.mark.parametrize(
    ("labels", "title", "other"),
    [
        ([{"Model": "a"}, {"Model": "b"}, {"Modle": "c"}], "Modle", "Model"),
        ([{"Modle": "c"}, {"Model": "a"}, {"Model": "b"}], "Modle", "Model"),
        ([{"Bakcbone": "a"}], "Bakcbone", "Backbone"),
        ([{"learningmethod": "a"}], "learningmethod", "Learning Method"),
        ([{"Haed": "a"}, {"Head": "a"}], "Haed", "Head"),
    ],
)
def test_a_misspelt_title_is_a_warning(
    labels: list[dict[str, str]], title: str, other: str
) -> None:
    [warning] = title_warnings(rows_with(*labels))
    at = next(at for at, own in enumerate(labels) if title in own)
    assert warning.startswith(
        f"row 'row{at}': the label '{title}' makes a column beside '{other}', which looks like"
    )


def test_titles_that_are_meant_are_none() -> None:
    shipped = load_experiment(ROOT / "experiments" / "leaderboard.yaml").rows
    assert title_warnings(shipped) == []
    rows = rows_with(
        {"Framework": "a", "Model": "b", "Stage 1": "x", "Stage 2": "y"}, {"Team": "c"}
    )
    assert title_warnings(rows) == []


def command(folder: Path, data: Path, verb: str, experiment: Path, *more: str) -> None:
    """Runs a command in this process, which knows recipes that a test has added."""
    common = ["--data-root", str(data), "--results", str(folder / "results")]
    app([verb, str(experiment), *common, *more], standalone_mode=False)


def test_plan_and_sweep_warn(
    tmp_path: Path, synthetic_data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def misspell(content: dict[str, Any]) -> None:
        content["rows"][1]["labels"] = {"Modle": "RetinaNet"}

    experiment = variant(tmp_path, misspell)
    warning = "warning: row 'momentum': the label 'Modle' makes a column beside 'Model'"
    command(tmp_path, synthetic_data, "plan", experiment)
    assert warning in capfd.readouterr().err
    with pytest.raises(UserError, match="--wandb nonsense"):  # before anything is trained
        command(tmp_path, synthetic_data, "sweep", experiment, "--wandb", "nonsense")
    assert warning in capfd.readouterr().err


# A recipe of one's own


def whole_config(data: Path, folder: Path) -> dict[str, Any]:
    """What of the tiny experiment's first row is no part's and no profile's."""
    config = make_plan(Request(TINY, folder, data_root=data)).runs[0].config
    keys = ("model", "optim_wrapper", "param_scheduler", "auto_scale_lr")
    loops = ("train_cfg", "val_cfg", "test_cfg")
    chosen: dict[str, Any] = json.loads(json.dumps({key: config[key] for key in (*keys, *loops)}))
    chosen["train_cfg"]["max_epochs"] = 1
    return chosen


# Images as small as the first row's, read in the job itself.
SMALL = {
    "train_dataloader.dataset.pipeline.2.scale": [64, 64],
    "val_dataloader.dataset.pipeline.1.scale": [64, 64],
    **{f"{split}_dataloader.num_workers": 0 for split in ("train", "val")},
    **{f"{split}_dataloader.persistent_workers": False for split in ("train", "val")},
}


def with_mapping(data: Path, folder: Path, **more: Any) -> Path:
    """The tiny experiment with its first row and one that starts from a mapping."""
    row = {"name": "mapped", "mapping": whole_config(data, folder), "labels": {"Team": "ours"}}
    return variant(
        folder, lambda content: content.update(rows=[content["rows"][0], {**row, **more}])
    )


@pytest.mark.usefixtures("mapping_rows")
def test_a_recipe_says_what_stands_in_its_way(tmp_path: Path, synthetic_data: Path) -> None:
    experiment = with_mapping(synthetic_data, tmp_path, mapping={"modle": {}})
    with pytest.raises(UserError) as caught:
        make_plan(Request(experiment, tmp_path / "results", data_root=synthetic_data))
    assert caught.value.problems == ["row 'mapped': mapping: has no 'model'"]


@pytest.mark.usefixtures("mapping_rows")
def test_what_a_recipe_is_given_counts_into_the_run_id(
    tmp_path: Path, synthetic_data: Path
) -> None:
    ids = []
    for origin in ("nowhere", "zoo", "attic"):
        folder = tmp_path / origin
        experiment = with_mapping(synthetic_data, folder, origin=origin)
        plan = make_plan(Request(experiment, folder / "results", data_root=synthetic_data))
        plain, mapped = plan.runs
        spec = mapped.spec
        assert (spec.recipe, dict(spec.names)) == ("mapping", {"origin": origin})
        again = identity(mapped.config, spec.dataset, 0, "tiny", 1, spec.given)
        assert spec.run_id == f"mapped-s0-tiny-{again}"
        ids.append((plain.spec.run_id, spec.run_id))
    assert len({plain for plain, _ in ids}) == 1
    assert len({mapped for _, mapped in ids}) == 3


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.usefixtures("mapping_rows")
def test_a_recipe_added_by_a_file_and_a_line(
    tmp_path: Path, synthetic_data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Through plan, training, table, CSV and the page's payload, beside a row of parts."""
    experiment = with_mapping(synthetic_data, tmp_path, origin="zoo", set=SMALL)
    command(tmp_path, synthetic_data, "plan", experiment)
    assert "2 of 2 runs are missing" in capfd.readouterr().out
    options = ["--rows", "mapped", "--wandb", "off"]
    command(tmp_path, synthetic_data, "sweep", experiment, *options)

    results = tmp_path / "results"
    [folder] = results.glob("runs/mapped-s0-tiny-*")
    assert json.loads((folder / "record.json").read_text())["state"] == "complete"
    spec = RunSpec.from_json(json.loads((folder / "spec.json").read_text()))
    assert (spec.recipe, dict(spec.names)) == ("mapping", {"origin": "zoo"})
    plain, mapped = load_experiment(experiment).rows
    assert [recipe_key(row.recipe) for row in (plain, mapped)] == ["parts", "mapping"]

    lines = list(csv.DictReader((results / "tiny.csv").read_text().splitlines()))
    assert [line["state"] for line in lines] == ["waiting", "complete"]
    shown = [[line[key] for key in ("model", "team", "framework", "head")] for line in lines]
    assert shown == [["RetinaNet", "", "", "RetinaHead"], ["", "ours", "mmdet", "its own"]]
    head = re.sub(" +", " ", (results / "tiny.md").read_text())
    assert "| Model | Backbone | Neck | Head | Learning Method | Team | Framework |" in head
    found = re.search(r'id="payload"[^>]*>(.*?)</script>', (results / "tiny.html").read_text())
    assert found is not None
    page = json.loads(found[1])
    assert page["texts"][1]["framework"] == "mmdet"
    assert page["leaderboard"]["rows"][1]["names"] == {"origin": "zoo"}
    assert list(page["curves"]) == [folder.name]
