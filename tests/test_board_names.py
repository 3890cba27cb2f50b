"""One set of files an experiment and setting: what they are called, and that none is written over another's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from boards import draws, make_record, write_draws
from desk import Desk, make_desk

from benchmark.cli.app import main
from benchmark.comparison.sides import find_sides
from benchmark.data.synthesize import synthesize
from benchmark.errors import UserError
from benchmark.experiment.experiment import Tracking
from benchmark.leaderboard.kept import leaderboards
from benchmark.leaderboard.outputs import OUTPUTS
from benchmark.leaderboard.outputs.markdown import hashes_text
from benchmark.leaderboard.outputs.readme import with_other_markers
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.sweep.closing import close

ENDINGS = (".csv", ".html", ".json", ".md")
BLOCK = "<!-- detboard:{0}:begin -->\n<!-- detboard:{0}:end -->\n"


@pytest.fixture(scope="module")
def other_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another data set, called ``My waste``."""
    return synthesize(
        tmp_path_factory.mktemp("other") / "My waste", train=4, val=3, size=64, seed=1
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, synthetic_data: Path) -> Desk:
    """A desk whose experiment names its data, which every row has run on, and its board."""
    made = make_desk(tmp_path_factory.mktemp("desk") / "project", synthetic_data)
    made.change(lambda content: content.update(dataset={"root": str(synthetic_data)}))
    assert made.report()[0] == 0
    return made


@pytest.fixture
def desk(whole: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A copy of it, in which no plots are drawn: they take the most time."""
    monkeypatch.delitem(OUTPUTS, "plots")
    return Desk(shutil.copytree(whole.folder, tmp_path / "project"), whole.data)


def sweep(desk: Desk, data: Path | None, profile: str | None, map50: float) -> None:
    """A sweep whose jobs have all come to the same."""
    request = Request(desk.experiment, desk.results, data_root=data, profile=profile)
    made = make_plan(request)
    for run in made.runs:
        prepare(run)
        ids = {"run_id": run.spec.run_id, "profile": run.spec.profile}
        record = make_record(run.spec.row, run.spec.seed, map50, **ids)
        run.folder.write_record(record)
        write_draws(desk.results, record, draws(map50, 0.05))
    close(made, made, request, Tracking(mode="off"), ran=True)


def boards(desk: Desk) -> dict[str, float]:
    """The measured value of each board, by what its files are called; every board has all of its files."""
    found = leaderboards(desk.results, [])
    for stem in found:
        assert all((desk.results / f"{stem}{ending}").exists() for ending in ENDINGS), stem
    return {stem: board.rows[0].values["map50"] for stem, board in found.items()}


def texts(desk: Desk) -> dict[str, str]:
    paths = [*desk.results.glob("tiny*"), desk.folder / "README.md"]
    return {p.name: p.read_text() for p in paths if p.suffix in ENDINGS}


def test_another_data_set_or_profile_has_a_board_of_its_own(desk: Desk, other_data: Path) -> None:
    (desk.folder / "README.md").open("a").write(BLOCK.format("tiny.smoke.My_waste"))
    before = texts(desk)
    sweep(desk, other_data, None, 0.6)
    sweep(desk, None, "smoke", 0.7)
    after = texts(desk)
    assert {name: after[name] for name in before} == before, "the README and the first board"
    sweep(desk, other_data, "smoke", 0.8)
    own = {"tiny": 0.4, "tiny.smoke": 0.7}
    assert boards(desk) == {**own, "tiny.My_waste": 0.6, "tiny.smoke.My_waste": 0.8}
    assert "0.8000" in (desk.folder / "README.md").read_text(), "the block that names that board"
    made = texts(desk)
    for path in desk.results.glob("tiny*"):
        path.unlink()
    status, output = desk.report()
    assert (status, texts(desk)) == (0, made), output
    assert desk.report("--check")[0] == 0
    shutil.copy(desk.results / "tiny.csv", desk.results / "tiny.smoke.csv")
    assert desk.report("--check")[0] == 1
    assert desk.report("--check", "--data-root", str(other_data))[0] == 0
    assert desk.report("--check", "--profile", "tiny")[0] == 0


def test_a_clone_keeps_all_boards(desk: Desk, other_data: Path) -> None:
    sweep(desk, other_data, None, 0.6)
    shutil.rmtree(desk.results / "runs")
    assert desk.report("--check")[0] == 0
    path = desk.results / "tiny.My_waste.md"
    path.write_text("by hand")
    assert desk.report("--check")[0] == 1
    assert desk.report()[0] == 0
    assert "0.6000" in path.read_text()


def test_two_data_sets_of_one_name_are_told_apart(
    desk: Desk, other_data: Path, tmp_path: Path
) -> None:
    """In whichever order they are reported; one of them differs from the other in upper and lower case only."""
    second = synthesize(tmp_path / "elsewhere" / "MY_WASTE", train=4, val=3, size=64, seed=2)
    sweep(desk, other_data, None, 0.6)
    sweep(desk, second, None, 0.7)
    sweep(desk, other_data, None, 0.6)
    first, apart = sorted(set(boards(desk)) - {"tiny"}, key=len)
    assert boards(desk) == {"tiny": 0.4, first: 0.6, apart: 0.7}
    assert (first, apart.startswith("tiny.MY_WASTE-")) == ("tiny.My_waste", True)
    assert desk.report("--check")[0] == 0


def test_an_experiment_that_names_no_data_is_of_the_first(desk: Desk, other_data: Path) -> None:
    desk.change(lambda content: content.pop("dataset"))
    sweep(desk, other_data, None, 0.6)
    assert boards(desk) == {"tiny": 0.4, "tiny.My_waste": 0.6}
    for path in desk.results.glob("tiny*"):
        path.unlink()
    desk.report()
    assert set(boards(desk)) == {"tiny", "tiny.My_waste"}


def test_own_data_that_was_annotated_anew_keeps_the_board_of_before(
    desk: Desk, other_data: Path
) -> None:
    own = Path(shutil.copytree(desk.data, desk.folder / "own"))
    desk.change(lambda content: content.update(dataset={"root": "own"}))
    sweep(desk, None, None, 0.5)
    shutil.rmtree(own)
    shutil.copytree(other_data, own)
    sweep(desk, None, None, 0.9)
    assert boards(desk)["tiny"] == 0.9
    assert sorted(boards(desk).values()) == [0.5, 0.9]
    assert (desk.results / "tiny.own-intervals.png").exists()


def test_boards_of_version_0_1_are_taken_over(desk: Desk, other_data: Path) -> None:
    """They were called after the experiment, whatever they are of, and so were the markers around their tables."""
    readme = desk.folder / "README.md"
    readme.write_text(BLOCK.format("tiny.smoke.My_waste"))
    sweep(desk, other_data, "smoke", 0.8)
    named = readme.read_text()
    readme.write_text(named.replace("tiny.smoke.My_waste", "tiny"))
    for path in list(desk.results.glob("tiny*")):
        new = path.name.replace(".smoke.My_waste", "")
        path.rename(path.with_name(new)) if "My_waste" in path.name else path.unlink()
    path = desk.results / "tiny.json"
    old = json.loads(path.read_text())
    path.write_text(json.dumps({k: old[k] for k in old if k not in ("board", "file")}))
    status, output = desk.report("--check")
    assert (status, "to be called tiny.smoke.My_waste" in output) == (1, True), output
    assert (path.exists(), readme.read_text()) == (
        True,
        named.replace("tiny.smoke.My_waste", "tiny"),
    )
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rows": None}))
    status, output = desk.report()
    assert (status, "now called tiny.smoke.My_waste" in output) == (0, True), output
    assert boards(desk) == {"tiny": 0.4, "tiny.smoke.My_waste": 0.8}
    assert ("0.8000" in named, readme.read_text()) == (True, named), output
    assert desk.report("--check")[0] == 0


def test_markers_around_another_table_stay(desk: Desk) -> None:
    """Those of the experiment's own board, which is still to be made, or which is there."""
    data = leaderboards(desk.results, [])["tiny"].dataset
    shows = hashes_text(data.train, data.val)
    own = (desk.folder / "README.md").read_text()
    asked = own.replace("tiny", "tiny.smoke") + BLOCK.format("tiny")
    for text in (own, BLOCK.format("tiny.smoke"), asked):
        assert with_other_markers(text, "tiny.smoke", "tiny", shows) is None, text
    moved = own.replace("detboard:tiny:", "detboard:tiny.smoke:")
    assert with_other_markers(own, "tiny", "tiny.smoke", shows) == moved
    assert with_other_markers(own, "tiny", "tiny.smoke", "train `1`") is None


def test_another_file_of_the_same_name_is_refused_before_anything_runs(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = desk.folder / "copy.yaml"
    shutil.copy(desk.experiment, copy)
    options = [str(copy), "--results", str(desk.results)]
    before = texts(desk)
    for verb in ("plan", "sweep", "report"):
        monkeypatch.setattr("sys.argv", ["detboard", verb, *options])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr().err
        assert ended.value.code == 2
        assert (
            f"{desk.experiment}, which has the same name; give one of them another 'name'" in said
        )
    assert texts(desk) == before
    desk.experiment.unlink()
    monkeypatch.setattr("sys.argv", ["detboard", "report", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0, "a file that was renamed goes on with its board"


def test_two_files_of_one_name_go_side_by_side_where_their_boards_are_called_otherwise(
    desk: Desk, other_data: Path
) -> None:
    """As the small experiment of a checkout and its copy among the results do."""
    copy = Desk(desk.folder / "elsewhere", desk.data)
    copy.folder.mkdir()
    shutil.copytree(desk.folder / "configs", copy.folder / "configs")
    shutil.copy(desk.experiment, copy.experiment)
    (copy.folder / "results").symlink_to(desk.results)
    sweep(copy, other_data, None, 0.6)
    assert boards(desk) == {"tiny": 0.4, "tiny.My_waste": 0.6}
    for one in (desk, copy):
        assert one.report("--check")[0] == 0, "each looks after its own"
    with pytest.raises(UserError, match="which has the same name"):
        copy.report("--data-root", str(desk.data))


def test_a_board_that_cannot_be_made_costs_itself(
    desk: Desk, other_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(desk.folder / "configs/profiles/tiny.py", desk.folder / "configs/profiles/mini.py")
    sweep(desk, other_data, "mini", 0.6)
    (desk.folder / "configs" / "profiles" / "mini.py").unlink()
    (desk.results / "tiny.md").unlink()
    with pytest.raises(UserError, match=r"board tiny\.mini\.My_waste: .*mini"):
        desk.report()
    assert boards(desk) == {"tiny": 0.4, "tiny.mini.My_waste": 0.6}
    assert desk.report("--check", "--profile", "tiny")[0] == 0


def test_compare_takes_a_board_by_name(desk: Desk, other_data: Path) -> None:
    sweep(desk, other_data, None, 0.6)
    with pytest.raises(UserError, match=r"in the leaderboards of tiny, tiny\.My_waste: choose one"):
        find_sides(["plain"], desk.results)
    with pytest.raises(UserError, match=r"plain-s0-tiny-\w+ has no matches"):
        find_sides(["plain"], desk.results, "tiny.My_waste")


def test_compare_in_a_clone_does_not_advise_to_train_again(desk: Desk) -> None:
    shutil.rmtree(desk.results / "runs")
    with pytest.raises(UserError) as refused:
        find_sides(["plain", "momentum"], desk.results)
    assert all("its folder is not here" in problem for problem in refused.value.problems)
    assert "sweep" not in str(refused.value).replace("where the sweep ran", "")


def test_compare_in_a_clone_says_so_once_for_all_seeds(desk: Desk) -> None:
    desk.change(lambda content: content.update(seeds=[0, 1, 2]))
    for run in make_plan(Request(desk.experiment, desk.results)).runs:
        prepare(run)
        ids = {"run_id": run.spec.run_id, "profile": run.spec.profile}
        run.folder.write_record(make_record(run.spec.row, run.spec.seed, 0.4, **ids))
    assert desk.report()[0] == 0
    shutil.rmtree(desk.results / "runs")
    with pytest.raises(UserError) as refused:
        find_sides(["plain"], desk.results)
    (problem,) = refused.value.problems
    assert problem.count("plain-s") == 3 and "their folders are not here" in problem
