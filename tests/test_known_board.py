"""Boards whose files are known to be right: what a report says and writes is the same as if nothing were known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boards import draws
from desk import Desk, make_desk
from test_folds_board import end
from test_known_rows import rewrite
from test_published import of_root
from test_published_on_test import data as data_with_test
from test_published_on_test import evaluated

from benchmark.data.synthesize import synthesize
from benchmark.leaderboard import known_board, reports
from benchmark.leaderboard.outputs import OUTPUTS
from benchmark.leaderboard.outputs.base import Output, text_output
from benchmark.leaderboard.outputs.text_file import TextFile
from benchmark.run import kept_file
from benchmark.run.folder import RunFolder
from benchmark.run.plan import Request, make_plan
from benchmark.run.runs import Runs
from benchmark.statistics.draws import write_draws

pytestmark = pytest.mark.slow

STEP = '{"kind": "train", "iter": 1, "epoch": 0.5, "loss": 2.0}\n'
SEEN = {"label": "Metal", "xyxy": [1.0, 2.0, 30.0, 40.0]}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A board with a test split, samples and journals."""
    folder = tmp_path_factory.mktemp("pristine")
    whole = synthesize(folder / "whole", train=4, val=4, size=64)
    (folder / "copy").mkdir()
    data = data_with_test.__wrapped__(folder / "copy", whole)  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(OUTPUTS, "plots")
        made = evaluated(folder / "desk", data, of_root(data))
    image = json.loads((data / "val.json").read_text())["images"][0]["file_name"]
    sample = {"file": image, "truth": [SEEN], "predictions": [{**SEEN, "score": 0.5}]}
    for run in runs_of(made):
        run.samples_file.write_text(json.dumps([sample]))
        run.metrics_file.write_text(STEP)
    status, said = made.report()  # draws what would else be drawn in every copy
    assert status == 0, said
    return made


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A board of folds."""
    folder = tmp_path_factory.mktemp("divided")
    data = synthesize(folder / "data", train=6, val=4, size=64)
    made = make_desk(folder / "desk", data, run=False)
    made.change(lambda content: content.update(folds=2))
    for run in make_plan(Request(made.experiment, made.results, data_root=data)).runs:
        end(run, 0.3 + 0.1 * (run.spec.fold or 0))
    status, said = made.report()
    assert status == 0, said
    return made


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards are known, however few rows they have and however new their files are."""
    monkeypatch.setattr(known_board, "_WORTH_ROWS", 1)
    monkeypatch.setattr(kept_file, "TICK_NS", -(10**18))


def copy_of(desk: Desk, folder: Path) -> Desk:
    """A desk of which the board is known."""
    made = Desk(shutil.copytree(desk.folder, folder / "desk"), desk.data)
    for _ in range(2):
        status, said = made.report()
        assert status == 0, said
    assert "up to date" in said and (made.results / "runs" / known_board.NAME).exists()
    return made


def runs_of(desk: Desk) -> list[RunFolder]:
    on_disk = Runs(desk.results)
    return [on_disk.folder(run_id) for run_id in on_disk.ids()]


def first(desk: Desk) -> RunFolder:
    return runs_of(desk)[0]


def shown(desk: Desk, *options: str) -> tuple[Any, ...]:
    """What a report says, with ``--check`` and without, and every file that it leaves."""
    said = [desk.report("--check", *options), desk.report(*options)]
    files = [path for path in desk.folder.rglob("*") if "runs" not in path.parts and path.is_file()]
    places = str(desk.folder)
    told = [(status, text.replace(places, "")) for status, text in said]
    return told, {str(path.relative_to(desk.folder)): path.read_bytes() for path in sorted(files)}


def alike(desk: Desk, *options: str) -> None:
    """Holds a report against that of a copy of which nothing is known."""
    twin = Desk(shutil.copytree(desk.folder, desk.folder.parent / "twin"), desk.data)
    (twin.results / "runs" / known_board.NAME).unlink()
    assert shown(desk, *options) == shown(twin, *options)


def edit_readme(before: str, after: str) -> Callable[[Desk], object]:
    return lambda desk: rewrite(desk.folder / "README.md", before, after)


def published(content: dict[str, Any]) -> None:
    content["rows"][1]["published"] = 0.45


def labelled(content: dict[str, Any]) -> None:
    content["rows"][0]["labels"] = {"Model": "Other"}


EDITS: dict[str, Callable[[Desk], object]] = {
    "nothing": lambda desk: None,
    "the title": lambda desk: desk.change(lambda content: content.update(title="Other")),
    "a label": lambda desk: desk.change(labelled),
    "a published value": lambda desk: desk.change(published),
    "a row less": lambda desk: desk.change(lambda content: content["rows"].pop()),
    "the judge": lambda desk: desk.change(lambda content: content.update(judge="test")),
    "a record": lambda desk: rewrite(first(desk).record_file, "0.4", "0.3"),
    "a record gone": lambda desk: first(desk).record_file.unlink(),
    "a run gone": lambda desk: shutil.rmtree(first(desk).path),
    "draws": lambda desk: write_draws(first(desk).bootstrap_file, draws(0.4, 0.2, seed=1)),
    "draws gone": lambda desk: first(desk).bootstrap_file.unlink(),
    "draws of the test split": lambda desk: write_draws(
        first(desk).test_bootstrap_file, draws(0.5, 0.2, seed=1)
    ),
    "what a run came to on test": lambda desk: rewrite(first(desk).tested_file, "0.61", "0.11"),
    "nothing on test": lambda desk: first(desk).tested_file.unlink(),
    "a journal": lambda desk: first(desk).metrics_file.write_text(STEP.replace("2.0", "3.0")),
    "a journal gone": lambda desk: first(desk).metrics_file.unlink(),
    "samples": lambda desk: rewrite(first(desk).samples_file, "40.0", "44.0"),
    "samples gone": lambda desk: first(desk).samples_file.unlink(),
    "a row in the README": edit_readme("2 of 2 rows", "2 of 9 rows"),
    "the README beside the table": edit_readme("# Mine", "# Ours"),
    "other markers in the README": edit_readme("detboard:tiny:", "detboard:other:"),
    "no README": lambda desk: (desk.folder / "README.md").unlink(),
    "a cell of the Markdown": lambda desk: rewrite(desk.results / "tiny.md", "plain", "plane"),
    "no CSV": lambda desk: (desk.results / "tiny.csv").unlink(),
    "the JSON": lambda desk: rewrite(desk.results / "tiny.json", "plain", "plane"),
    "the page": lambda desk: rewrite(desk.results / "tiny.html", "Row", "row"),
    "a picture gone": lambda desk: (desk.results / "tiny-intervals.png").unlink(),
    "another picture": lambda desk: shutil.copy(
        desk.results / "tiny-intervals.svg", desk.results / "tiny-pareto.svg"
    ),
    "boxes of folds": lambda desk: write_box(desk.results / "tiny.oof" / "plain-s0.json"),
}


def write_box(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("[]\n")


@pytest.mark.parametrize("what", EDITS)
def test_a_report_says_what_it_would_if_nothing_were_known(
    pristine: Desk, tmp_path: Path, what: str
) -> None:
    desk = copy_of(pristine, tmp_path)
    EDITS[what](desk)
    alike(desk)


LR = "--set=optim_wrapper.optimizer.lr=0.5"


@pytest.mark.parametrize("option", ["--profile=smoke", "--seeds=0", "--precision=bf16", LR])
def test_so_it_does_with_other_options(pristine: Desk, tmp_path: Path, option: str) -> None:
    desk = copy_of(pristine, tmp_path)
    alike(desk, option)


IMAGES: dict[str, Callable[[Path], object]] = {
    "gone": lambda image: image.unlink(),
    "another": lambda image: shutil.copy(next(image.parent.glob("*1.*")), image),
}


@pytest.mark.parametrize("what", IMAGES)
def test_an_image_of_the_gallery_counts(pristine: Desk, tmp_path: Path, what: str) -> None:
    kept = shutil.copytree(pristine.data, tmp_path / "kept")
    desk = copy_of(pristine, tmp_path)
    name = json.loads(first(desk).samples_file.read_text())[0]["file"]
    image = next(pristine.data.rglob(Path(name).name))
    try:
        IMAGES[what](image)
        alike(desk)
    finally:
        shutil.copytree(kept, pristine.data, dirs_exist_ok=True)


FOLD_EDITS: dict[str, Callable[[Desk], object]] = {
    "nothing": lambda desk: None,
    "a record": lambda desk: rewrite(first(desk).record_file, "0.3", "0.25"),
    "a record gone": lambda desk: first(desk).record_file.unlink(),
    "boxes": lambda desk: rewrite(first(desk).predictions_file, "1.5", "2.5"),
    "boxes gone": lambda desk: first(desk).predictions_file.unlink(),
    "boxes of a row": lambda desk: rewrite(
        desk.results / "tiny.oof" / "plain-s0.json", "1.5", "2.5"
    ),
    "boxes of no row": lambda desk: write_box(desk.results / "tiny.oof" / "nobody-s0.json"),
    "the division": lambda desk: desk.change(lambda content: content.update(folds=3)),
}


@pytest.mark.parametrize("what", FOLD_EDITS)
def test_so_does_one_of_folds(divided: Desk, tmp_path: Path, what: str) -> None:
    desk = copy_of(divided, tmp_path)
    FOLD_EDITS[what](desk)
    alike(desk)


def refuse(*_: object) -> None:
    raise AssertionError("made again")


def test_nothing_is_made_of_a_board_that_is_known(
    pristine: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = copy_of(pristine, tmp_path)
    expected = desk.report()
    monkeypatch.setattr(reports, "leaderboard_of", refuse)
    assert desk.report() == expected
    assert desk.report("--check") == expected
    monkeypatch.setitem(OUTPUTS, "names", text_output(".txt", lambda board: board.title))
    with pytest.raises(AssertionError, match="made again"):
        desk.report()


def test_an_output_that_does_not_tell_what_it_reads_is_always_made(
    pristine: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OUTPUTS, "silent", Output(lambda _: ()))
    made = Desk(shutil.copytree(pristine.folder, tmp_path / "desk"), pristine.data)
    for _ in range(2):
        assert made.report()[0] == 0
    assert not (made.results / "runs" / known_board.NAME).exists()


def test_what_changed_a_moment_ago_is_looked_at_again(
    pristine: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(known_board, "_WORTH_ROWS", 1)
    made = Desk(shutil.copytree(pristine.folder, tmp_path / "desk"), pristine.data)
    for _ in range(2):
        assert made.report()[0] == 0
    assert kept_file.read_kept(made.results / "runs" / known_board.NAME) == {}


def test_what_another_report_has_mended_is_not_noted_as_it_was_before(
    pristine: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(shutil.copytree(pristine.folder, tmp_path / "desk"), pristine.data)
    assert desk.report()[0] == 0
    table = desk.results / "tiny.md"
    right = table.read_text()
    wrong = right.replace("plain", "plane")
    table.write_text(wrong)
    is_right = TextFile.is_right

    def after_another(file: TextFile) -> bool:
        if file.path == table:
            table.write_text(right)
        return is_right(file)

    with monkeypatch.context() as patch:
        patch.setattr(TextFile, "is_right", after_another)
        assert desk.report("--check")[0] == 0
    table.write_text(wrong)
    assert desk.report("--check")[0] == 1


def test_another_pillow_may_read_other_images(
    pristine: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = copy_of(pristine, tmp_path)
    monkeypatch.setattr(known_board, "version", lambda name: f"other {name == 'pillow'}")
    desk.report()
    monkeypatch.setattr(known_board, "version", lambda _: "other False")
    monkeypatch.setattr(reports, "leaderboard_of", refuse)
    with pytest.raises(AssertionError, match="made again"):
        desk.report()
