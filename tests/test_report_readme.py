"""The table inside a README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from boards import write_report

from benchmark.data.dataset import Dataset, Split
from benchmark.errors import UserError
from benchmark.experiment.experiment import Row
from benchmark.leaderboard.document import Leaderboard, leaderboard_of
from benchmark.leaderboard.outputs.readme import replaced
from benchmark.leaderboard.results import RowResult, Table
from benchmark.run.record import State
from benchmark.writing.markers import markers, without_tables

BEGIN, END = markers("board")
BEFORE = f"# Mine\n\nText.\n\n{BEGIN}\nold table\n{END}\n\nMore text, no newline at its end"


def make_board(profile: str = "full", published: float | None = 0.25) -> Leaderboard:
    split = Split(Path("/data/a.json"), Path("/data"), "c3" * 32)
    parts = {"backbone": "resnet50", "neck": "fpn", "head": "retina", "schedule": "1x"}
    labels = {"Model": "Mine"}
    content = {"name": "r50", "parts": parts, "labels": labels, "published": published}
    row = Row.model_validate(content)
    waiting = RowResult(row, (0,), (None,), (State.WAITING,))
    data = Dataset("waste", ("A",), split, split)
    return leaderboard_of(Table("board", "Waste", profile, data, (waiting,)))


def test_markers() -> None:
    assert (BEGIN, END) == ("<!-- detboard:board:begin -->", "<!-- detboard:board:end -->")


def test_only_what_is_between_the_markers_changes(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(BEFORE, encoding="utf-8")
    written = write_report(make_board(), tmp_path / "results", readme=readme)
    assert readme in written.changed and not any("README" in line for line in written.skipped)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"# Mine\n\nText.\n\n{BEGIN}\n\n0 of 1 rows complete on waste ")
    assert "| waiting |\n\nIntervals: 95 %, over images (1,000 bootstrap resamples); " in text
    assert text.endswith(f" share ranks.\n\n{END}\n\nMore text, no newline at its end")
    assert "| Rank | Model | Backbone | Neck |" in text
    assert "old table" not in text and "comparable" not in text
    again = write_report(make_board(), tmp_path / "results", readme=readme)
    assert again.changed == () and readme in again.unchanged


def test_smoke_says_so_in_the_readme_too(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(BEFORE, encoding="utf-8")
    write_report(make_board("smoke"), tmp_path, readme=readme)
    text = readme.read_text(encoding="utf-8")
    assert "**smoke profile: shortened training, not comparable with the published values**" in text
    assert "| mAP50 (smoke) |" in text


def test_between_short_markers_stands_the_short_form(tmp_path: Path) -> None:
    begin, end = markers("board", short=True)
    assert (begin, end) == ("<!-- detboard:board:begin short -->", END)
    readme = tmp_path / "README.md"
    readme.write_text(BEFORE.replace(BEGIN, begin), encoding="utf-8")
    write_report(make_board("smoke"), tmp_path, readme=readme)
    text = readme.read_text(encoding="utf-8")
    _, _, rest = text.partition(begin)
    table = [line for line in rest.partition(end)[0].splitlines() if line.startswith("|")]
    assert [re.split(r" *\| *", line)[1:-1] for line in table[::2]] == [
        ["Row", "Leaderboard mAP50", "mAP50 (smoke)", "State"],
        ["r50", "0.25", "—", "waiting"],
    ]
    # What the numbers are of, and what they are not, stands above it as above the whole table.
    assert rest.startswith("\n\n0 of 1 rows complete on waste ")
    assert "not comparable with the published values" in rest.partition("|")[0]
    again = write_report(make_board("smoke"), tmp_path, readme=readme)
    assert readme in again.unchanged
    write_report(make_board(published=None), tmp_path, readme=readme)
    assert re.search(
        r"\| Rank \| Row +\| Measured mAP50 \| 95 % interval \| State +\|", readme.read_text()
    )
    readme.write_text(f"{BEGIN}\n{END}\n")
    write_report(make_board(published=None), tmp_path, readme=readme)  # the whole table
    titles = re.split(r" *\| *", readme.read_text().partition("| Rank")[2].splitlines()[0])
    assert "Measured mAP50" in titles and "Learning Method" in titles
    assert not {"Leaderboard mAP50", "Difference", "Published inside"} & {*titles}
    twice = f"{text}\n{BEGIN}\n"
    with pytest.raises(UserError, match="is there 2 times"):
        replaced(twice, "board", "", readme)
    assert (
        without_tables(text)
        == f"# Mine\n\nText.\n\n{begin}{end}\n\nMore text, no newline at its end"
    )


def test_check_leaves_the_readme_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(BEFORE, encoding="utf-8")
    written = write_report(make_board(), tmp_path, readme=readme, check=True)
    assert any("-old table" in diff for diff in written.diffs)
    assert readme.read_text(encoding="utf-8") == BEFORE
    assert list(tmp_path.iterdir()) == [readme]


def test_windows_line_ends_around_the_table_stay(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_bytes(BEFORE.replace("\n", "\r\n").encode())
    write_report(make_board(), tmp_path, readme=readme)
    assert readme.read_bytes().startswith(b"# Mine\r\n\r\nText.\r\n")


@pytest.mark.parametrize("content", [None, "# No markers\n", BEFORE.replace("board", "other")])
def test_readme_that_wants_no_table_is_left_alone(tmp_path: Path, content: str | None) -> None:
    readme = tmp_path / "README.md"
    if content is not None:
        readme.write_text(content, encoding="utf-8")
    written = write_report(make_board(), tmp_path / "results", readme=readme)
    assert any(str(readme) in line for line in written.skipped)
    assert readme not in (*written.changed, *written.unchanged)
    assert (readme.read_text(encoding="utf-8") if readme.exists() else None) == content


def test_no_readme_named(tmp_path: Path) -> None:
    assert (
        write_report(make_board(), tmp_path).skipped[0] == "no README written: no README was named"
    )


@pytest.mark.parametrize(
    ("content", "counts"),
    [
        (f"{BEGIN}\n", ("once", "0 times")),
        (f"{END}\n", ("0 times", "once")),
        (f"{END}\n{BEGIN}\n", ("once", "once")),
        (f"{BEGIN}{BEGIN}{END}", ("2 times", "once")),
        (f"{BEGIN}{END}{BEGIN}{END}", ("2 times", "2 times")),
    ],
)
def test_wrong_markers_cost_the_readme_only(
    tmp_path: Path, content: str, counts: tuple[str, str]
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(content, encoding="utf-8")
    written = write_report(make_board(), tmp_path / "results", readme=readme)
    (problem,) = written.wrong
    assert problem.startswith(f"{readme}: '{BEGIN}' is there {counts[0]} and '{END}' {counts[1]}")
    assert readme.read_text(encoding="utf-8") == content
    assert {path.name for path in written.changed} == {"board.md", "board.csv", "board.json"}


def test_readme_that_is_not_text(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_bytes(b"\xff\xfe\x00")
    written = write_report(make_board(), tmp_path / "results", readme=readme)
    assert "README.md: cannot be read as text" in written.wrong[0]
    assert (tmp_path / "results" / "board.md").exists()


def test_damaged_files_of_a_board_are_written_again(tmp_path: Path) -> None:
    write_report(make_board(), tmp_path)
    whole = (tmp_path / "board.md").read_bytes()
    (tmp_path / "board.md").write_bytes(whole[:40] + b"\xe2\x80")  # cut within a character
    (tmp_path / "board.csv").unlink()
    (tmp_path / "board.csv").mkdir()
    (tmp_path / "board.json").write_bytes(b"\xff\xfe\x00")
    written = write_report(make_board(), tmp_path)
    assert [path.name for path in written.changed] == ["board.md", "board.json"]
    assert (tmp_path / "board.md").read_bytes() == whole
    (problem,) = written.problems
    assert problem.startswith(f"{tmp_path / 'board.csv'}: cannot be") and "[Errno" not in problem


def test_replacing_twice_changes_nothing() -> None:
    once = replaced(BEFORE, "board", "\ntable\n", Path("README.md"))
    assert once is not None
    assert replaced(once, "board", "\ntable\n", Path("README.md")) == once
