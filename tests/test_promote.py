"""A tuned row beside the user's experiment file: what is written, what is kept, and that the user's file stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.errors import UserError
from benchmark.experiment.experiment import Row, load_experiment, tuned_file
from benchmark.tuning.promote import Promotion, promote

PLAIN = """\
  - name: plain
    parts: {backbone: b, neck: n, head: h, schedule: s}
    labels: {Model: RetinaNet, Learning Method: mstrain_3x} # as published
    published: 0.5
    leaderboard: {public: 0.4}
"""
TUNED = """\
# Tuned rows of tiny.yaml, which includes them by itself. Written by detboard tune --promote: do not edit.
rows:
- name: plain_tuned
  parts:
    backbone: b
    neck: n
    head: h
    schedule: s
  labels:
    Model: RetinaNet
    Learning Method: mstrain_3x (tuned)
  set:
    optim_wrapper.optimizer.lr: 0.004
  study: small
  trial: 7
"""
# As an earlier version put it into the user's file.
OLD = """\
  # study small, trial 7
  - name: plain_tuned
    parts: {backbone: b, neck: n, head: h, schedule: s}
    labels:
      Model: RetinaNet
      Learning Method: mstrain_3x (tuned)
    set:
      optim_wrapper.optimizer.lr: 0.004
    study: small
"""
LR = {"optim_wrapper.optimizer.lr": 0.004}


def written(folder: Path, text: str, name: str = "tiny.yaml") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def promoted(
    path: Path,
    overrides: dict[str, Any] | None = None,
    row: str = "plain",
    study: str = "small",
    trial: int = 7,
) -> Promotion:
    """Promotes, and sees that the user's own file stays as it is, byte by byte."""
    before = path.read_bytes()
    try:
        return promote(path, row, study, trial, overrides or LR)
    finally:
        assert path.read_bytes() == before


def rows(path: Path) -> dict[str, Row]:
    return {row.name: row for row in load_experiment(path).rows}


def tuned(path: Path) -> str:
    return tuned_file(path).read_text(encoding="utf-8")


LAYOUTS = {
    "block": f"rows:\n{PLAIN}",
    "flow": "rows: [{name: plain, parts: {backbone: b, neck: n, head: h, schedule: s}}]\n",
    "windows": f"# Mine.\r\nrows:\n{PLAIN}".replace("\n", "\r\n"),
    "anchors": f"rows:\n{PLAIN.replace('{Model', '&l {Model')}  - name: other\n    labels: *l\n"
    "    parts: {backbone: b, neck: n, head: h, schedule: s}\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_experiment_includes_its_tuned_row(tmp_path: Path, layout: str) -> None:
    path = written(tmp_path, LAYOUTS[layout])
    known = rows(path)
    made = promoted(path)
    assert (made.changed, made.replaced, made.left) == (True, False, None)
    assert list(rows(path).items()) == [*known.items(), ("plain_tuned", made.row)]
    assert made.row.overrides == LR
    assert (made.row.published, made.row.leaderboard, made.row.study) == (None, None, "small")
    assert {file.name for file in tmp_path.iterdir()} == {"tiny.yaml", "tiny.tuned.yaml"}


def test_file_says_what_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    assert promoted(path).file == tmp_path / "tiny.tuned.yaml"
    assert tuned(path) == TUNED


def test_row_of_a_grid(tmp_path: Path) -> None:
    text = f"rows:\n{PLAIN}grid: {{backbone: [b, c], neck: [n], head: [h], schedule: [s]}}\n"
    path = written(tmp_path, text)
    made = promoted(path, row="c-n-h-s")
    assert list(rows(path)) == ["plain", "c-n-h-s_tuned", "b-n-h-s", "c-n-h-s"]
    assert made.row.recipe == rows(path)["c-n-h-s"].recipe
    assert made.row.labels == {"Learning Method": "s (tuned)"}


def test_better_setting_takes_the_row_s_place(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    promoted(path)
    promoted(path, study="wide")
    made = promoted(path, {"a.b": [1, 2]}, trial=12)
    assert (made.changed, made.replaced, made.left) == (True, True, None)
    assert list(rows(path)) == ["plain", "plain_tuned", "plain_tuned2"]
    assert rows(path)["plain_tuned"] == made.row
    assert made.row.overrides == {"a.b": [1, 2]}
    content = yaml.safe_load(tuned(path))["rows"]
    assert [(row["study"], row["trial"]) for row in content] == [("small", 12), ("wide", 7)]


def test_same_setting_leaves_the_file_alone(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    promoted(path)
    inode = tuned_file(path).stat().st_ino
    made = promoted(path, trial=9)
    assert (made.changed, made.replaced) == (False, False)
    assert made.row == rows(path)["plain_tuned"]
    assert tuned_file(path).stat().st_ino == inode
    assert tuned(path) == TUNED


def test_row_that_was_promoted_into_the_users_file_is_not_promoted_again(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}{OLD}")
    made = promoted(path, trial=9)
    assert (made.row.name, made.changed, made.left) == ("plain_tuned", False, None)
    assert list(rows(path)) == ["plain", "plain_tuned"]
    assert not tuned_file(path).exists()


def test_row_in_the_users_file_stays_beside_a_better_one(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}{OLD}")
    made = promoted(path, {"a.b": 1})
    assert (made.row.name, made.replaced, made.left) == ("plain_tuned2", False, "plain_tuned")
    assert made.row.labels["Learning Method"] == "mstrain_3x (tuned 2)"
    again = promoted(path, {"a.b": 2})
    assert (again.row.name, again.replaced, again.left) == ("plain_tuned2", True, "plain_tuned")
    assert not promoted(path).changed  # the old one has that setting
    found = rows(path)
    assert list(found) == ["plain", "plain_tuned", "plain_tuned2"]
    assert (found["plain_tuned"].overrides, found["plain_tuned2"].overrides) == (LR, {"a.b": 2})


@pytest.mark.parametrize("other", [1.0, True, "1", [1]])
def test_a_value_of_another_type_is_another_setting(tmp_path: Path, other: Any) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    promoted(path, {"a.b": 1, "a.c": (1, 2)})
    assert not promoted(path, {"a.c": [1, 2], "a.b": 1}).changed
    assert promoted(path, {"a.b": other, "a.c": [1, 2]}).replaced


def test_parts_that_changed_since_are_brought_up_to_date(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    promoted(path)
    written(tmp_path, f"rows:\n{PLAIN.replace('neck: n', 'neck: m')}    gpus: 2\n")
    made = promoted(path)
    assert made.replaced
    assert (made.row.recipe.names["neck"], made.row.gpus) == ("m", 2)
    assert rows(path)["plain_tuned"].gpus == 2


def test_two_studies_of_one_row(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    promoted(path)
    second = promoted(path, study="wide")
    assert not second.replaced
    assert second.row.name == "plain_tuned2"
    assert second.row.labels["Learning Method"] == "mstrain_3x (tuned 2)"
    assert promoted(path, {"a.b": 1}, study="wide").row.name == "plain_tuned2"
    assert list(rows(path)) == ["plain", "plain_tuned", "plain_tuned2"]
    assert rows(path)["plain_tuned"].overrides == LR


def test_a_row_that_was_renamed_is_the_users(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}{OLD.replace('plain_tuned', 'best')}")
    assert not promoted(path, {"a.b": 1}).replaced
    assert list(rows(path)) == ["plain", "best", "plain_tuned"]


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    taken = PLAIN.replace("plain", "plain_tuned") + PLAIN.replace("plain", "plain_tuned2")
    path = written(tmp_path, f"rows:\n{PLAIN}{taken}")
    assert promoted(path).row.name == "plain_tuned3"


def test_name_that_the_user_takes_later_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    promoted(path)
    written(tmp_path, f"rows:\n{PLAIN}{PLAIN.replace('plain', 'plain_tuned')}")
    with pytest.raises(UserError) as refused:
        load_experiment(path)
    (problem,) = refused.value.problems
    assert problem == (
        f"{tuned_file(path)}: plain_tuned: another row has this name; rename the one in {path}, or delete either"
    )


VALUES = {
    "exponent": 1e-05,
    "large": 3e20,
    "whole": 2.0,
    "text.exponent": "1e-4",
    "+model.a-b.0.ratios": [0.5, 1.0, 2.0],
    "betas": [[0.9, 0.999], [1e-06, -1e-06]],
    "nested": {"type": "AdamW", "a": {"b": [1, {"c": None}], "d": {}}, "_delete_": True},
    "list of mappings": [
        {"type": "Resize", "scale": [640, 480]},
        {"type": "Pad", "p": {"q": 1e-09}},
    ],
    "words": ["on", "null", "1", "~", "a: b", "- c", "#d", "", " e ", "2020-01-01", "ü\t🙂\n\nz"],
    "a long one": "word " * 60,
    "k" * 140: 1,
    "yes": False,
}


def test_values_come_back_equal(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}seeds: [3]\n")
    promoted(path, VALUES)
    # As text: 2 and 2.0 are equal, and are not the same.
    assert repr(rows(path)["plain_tuned"].overrides) == repr({**VALUES, "text.exponent": 1e-4})
    assert not promoted(path, VALUES).changed
    assert f"a long one: '{'word ' * 60}'\n" in tuned(path)


def test_tuples_become_lists_and_shared_values_no_anchors(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    scale = (640, 480)
    promoted(path, {"a": [{"scale": scale}, {"scale": scale}], "b": scale})
    assert rows(path)["plain_tuned"].overrides["a"] == [{"scale": [640, 480]}] * 2
    assert "&" not in tuned(path)


def test_labels_with_special_characters(tmp_path: Path) -> None:
    labels = {"Model": "R: 'x' # \"y\"", "Head": "- [a]\t{b}", "ß\u00a0": "ü 🙂", "Neck": "no"}
    mapping = json.dumps(labels, ensure_ascii=False)  # JSON is YAML
    path = written(tmp_path, f"rows:\n{PLAIN.partition('{Model')[0]}{mapping}\n")
    promoted(path)
    assert rows(path)["plain_tuned"].labels == {**labels, "Learning Method": "s (tuned)"}
    assert "    Neck: 'no'\n" in tuned(path)
    assert "    ß\u00a0: ü 🙂\n" in tuned(path)


def test_tuned_rows_are_beside_the_file_that_a_link_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = written(tmp_path / "real", f"rows:\n{PLAIN}")
    link = tmp_path / "link.yaml"
    link.symlink_to(target)
    promoted(link)
    assert link.is_symlink()
    assert tuned(target).partition("\n")[2] == TUNED.partition("\n")[2]
    assert list(rows(link)) == list(rows(target)) == ["plain", "plain_tuned"]
    assert {path.name for path in tmp_path.iterdir()} == {"real", "link.yaml"}


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (f"rows:\n{PLAIN}", {"row": "plan"}, "plan: no such row; allowed: plain; did you mean 'plain'"),
        (f"rows:\n{PLAIN}", {"study": "a b"}, "study: must be letters, digits"),
        (f"rows:\n{PLAIN}", {"overrides": {"a": object()}}, "plain_tuned: a value that YAML cannot hold"),
        (f"rows:\n{PLAIN.replace('plain', 'p' * 98)}", {"row": "p" * 98}, "must have 100 letters or fewer"),
        (f"rows:\n{PLAIN}more: 1\n", {}, "more: no such key; allowed: cache, cluster, compile, dataset, folds, grid"),
        ("rows: [\n", {}, "not YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_written(
    tmp_path: Path, text: str, arguments: dict[str, Any], message: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UserError) as caught:
        promoted(path, **arguments)
    assert str(caught.value).startswith((f"{path}: ", f"{tuned_file(path)}: "))
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: mine\nrows: []\n", "title: no such key; allowed: rows"),
        (f"rows:\n{OLD}", "rows.0.trial: is missing"),
        (f"rows:\n{PLAIN}", "rows.0.study: is missing"),
        ("rows: [\n", "not YAML"),
        ("- rows\n", "tuned rows are a mapping with 'rows'"),
        (
            f"rows:\n{OLD}    trial: 7\n{OLD}    trial: 7\n",
            "plain_tuned: another row has this name",
        ),
    ],
)
def test_file_of_tuned_rows_that_somebody_else_wrote(
    tmp_path: Path, text: str, message: str
) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    other = written(tmp_path, text, "tiny.tuned.yaml")
    with pytest.raises(UserError) as refused:
        load_experiment(path)
    assert all(problem.startswith(f"{other}: ") for problem in refused.value.problems)
    assert message in str(refused.value)


def test_tuned_rows_are_no_experiment_of_their_own(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    promoted(path)
    with pytest.raises(UserError, match=rf"the tuned rows of {path}, which includes them"):
        load_experiment(tuned_file(path))


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    # Too long a name for the temporary file beside it, a fault that also stops the superuser.
    path = written(tmp_path, f"name: tiny\nrows:\n{PLAIN}", f"{'x' * 240}.yaml")
    with pytest.raises(UserError, match="cannot be written") as refused:
        promoted(path)
    assert len(refused.value.problems) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_name_too_long_for_a_file_of_tuned_rows_loads(tmp_path: Path) -> None:
    path = written(tmp_path, f"name: tiny\nrows:\n{PLAIN}", f"{'x' * 250}.yaml")
    assert list(rows(path)) == ["plain"]


def test_the_shipped_leaderboard(tmp_path: Path) -> None:
    shipped = Path(__file__).parent.parent / "experiments" / "leaderboard.yaml"
    path = written(tmp_path, shipped.read_text(), "leaderboard.yaml")
    name = load_experiment(path).rows[4].name
    promoted(path, row=name)
    assert rows(path)[f"{name}_tuned"].overrides == LR
