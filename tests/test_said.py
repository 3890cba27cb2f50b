"""What others say of a row: its published value with split and source, and a leaderboard's public and private score."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from boards import draws, make_record, make_row, result, write_draws, write_report
from boards import judged_board as board_of_rows
from desk import Desk
from test_published import board_of, hashes, of_hashes, of_root, stored, values

from benchmark.errors import UserError
from benchmark.experiment.experiment import load_experiment
from benchmark.experiment.published import Published
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.outputs.notebook import results as results_frame

PAPER = "https://example.org/table?id=1&row=2"
SAID = {"published_split", "published_source", "leaderboard_public", "leaderboard_private"}


def said(content: dict[str, Any]) -> None:
    """Of the two rows the first has everything that can be said."""
    published = {"value": 0.45, "split": "test", "source": PAPER}
    content["rows"][0].update(published=published, leaderboard={"public": 0.4527, "private": 0.44})


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, synthetic_data: Path) -> Desk:
    def change(content: dict[str, Any]) -> None:
        of_root(synthetic_data)(content)
        said(content)
        content["rows"][1]["published"] = 0.41

    return board_of(tmp_path_factory.mktemp("said") / "desk", synthetic_data, change)


def test_every_output_has_what_others_say(desk: Desk) -> None:
    told = values(desk)
    assert [told[key] for key in ("leaderboard_map50", "published_split")] == [0.45, "test"]
    assert (told["leaderboard_public"], told["leaderboard_private"]) == (0.4527, 0.44)
    assert told["published_source"] == PAPER
    bare = values(desk, "momentum")
    assert [bare[key] for key in ("published_split", "published_source")] == ["val", None]
    with (desk.results / "tiny.csv").open(encoding="utf-8", newline="") as file:
        line = next(csv.DictReader(file))
    assert (line["published_split"], line["leaderboard_public"]) == ("test", "0.4527")
    markdown = (desk.results / "tiny.md").read_text()
    assert f"[{PAPER.replace('&', '&amp;')}]({PAPER})" in markdown
    for heading in ("Published on", "Public leaderboard", "Private leaderboard"):
        assert heading in markdown and heading in (desk.folder / "README.md").read_text()
    frame = results_frame(desk.results)
    assert frame.loc[0, "leaderboard_private"] == 0.44 and {*frame.attrs["about"]} >= SAID
    assert desk.report("--check")[0] == 0


def test_a_value_of_another_split_is_held_against_nothing_with_the_reason(desk: Desk) -> None:
    told = values(desk)
    assert (told["difference"], told["published_inside"]) == (None, None)
    missing = next(line for line in stored(desk)["rows"] if line["row"] == "plain")["missing"]
    assert missing["difference"] == (
        "published on the test split, and nothing was measured on one with annotations"
    )
    assert missing["published_inside"] == missing["difference"]
    assert missing["difference"] in (desk.results / "tiny.csv").read_text()
    assert values(desk, "momentum")["published_inside"] == "yes"
    board = Leaderboard.model_validate(stored(desk))
    assert [board.held_against(line) for line in board.rows] == [None, 0.41]


def test_a_kept_board_is_stale_once_others_say_something_else(
    tmp_path: Path, synthetic_data: Path
) -> None:
    """Also by a column that only one of the two has."""
    desk = board_of(tmp_path / "desk", synthetic_data, of_hashes(hashes(synthetic_data)))
    for folder in (desk.results / "runs", desk.results / "datasets.json"):
        folder.rename(folder.with_name(f"{folder.name}.gone")) if folder.exists() else None
    assert desk.report("--check")[0] == 0
    desk.change(said)
    status, output = desk.report("--check")
    assert status == 1
    for told in ("Published on is test", "Public leaderboard is 0.4527", "Published in is https"):
        assert told in output.replace("\n", " "), output


def test_tables_without_any_have_none_of_the_columns(tmp_path: Path, synthetic_data: Path) -> None:
    desk = board_of(tmp_path / "desk", synthetic_data, of_root(synthetic_data))
    keys = {column["key"] for column in stored(desk)["columns"]}
    assert not keys & SAID and not values(desk).keys() & SAID


WRONG = {
    "published: 45.27": "rows.0.published: must be a fraction in 0..1: 45.27 % is 0.4527 (got 45.27)",
    "published: 45.27 %": "rows.0.published: must be a fraction in 0..1: 45.27 % is 0.4527 (got '45.27 %')",
    "published: half": "rows.0.published: must be a number (got 'half')",
    "published: true": "rows.0.published: must be a number (got True)",
    "published: {value: 0.4, split: tset}": "rows.0.published.split: allowed: test, val; did you mean 'test'?",
    "published: {value: 0.4, sorce: x}": "rows.0.published.sorce: no such key; allowed: source, split, value; "
    "did you mean 'source'?",
    "published: {split: test}": "rows.0.published.value: is missing",
    "leaderboard: {public: 44}": "rows.0.leaderboard.public: must be a fraction in 0..1: 44 % is 0.44 (got 44)",
    "leaderboard: {publik: 0.4}": "rows.0.leaderboard.publik: no such key; allowed: private, public; did you mean",
    "leaderboard: {}": "rows.0.leaderboard: give 'public', 'private' or both",
    "leaderboard: 0.4": "rows.0.leaderboard: must be a mapping (got 0.4)",
    "leaderboard: {public: .nan}": "rows.0.leaderboard.public: must be 0 or more (got nan)",
}


@pytest.mark.parametrize("line", WRONG)
def test_what_is_wrong_is_said_with_what_to_write(line: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "rows:\n- name: a\n  parts: {backbone: a, neck: a, head: a, schedule: a}\n  " + line
    )
    with pytest.raises(UserError) as caught:
        load_experiment(path)
    assert WRONG[line] in str(caught.value)


def test_an_address_that_is_none_of_the_web_is_no_link(tmp_path: Path) -> None:
    rows = [
        make_row("script", Published(value=0.4, source="javascript:alert(1)")),
        make_row("path", Published(value=0.4, source="runs/secret.md")),
        make_row("paper", Published(value=0.4, source="Lin 2017 | table 2")),
    ]
    records = [make_record(row.name, map50=0.4) for row in rows]
    for record in records:
        write_draws(tmp_path, record, draws(0.4, 0.02))
    board = board_of_rows(tmp_path, *(result(r, c) for r, c in zip(rows, records, strict=True)))
    write_report(board, tmp_path)
    told = (tmp_path / "board.md").read_text().partition("## Published values")[2]
    assert r"- paper: 0.4: Lin 2017 \| table 2" in told and "](" not in told
