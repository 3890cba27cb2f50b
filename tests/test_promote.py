"""A tuned row in the user's experiment file: what is added, and that nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import UserError
from benchmark.experiment.experiment import Row, load_experiment
from benchmark.tuning.promote import Promotion, promote

PLAIN = """\
  - name: plain
    parts: {backbone: b, neck: n, head: h, schedule: s}
    labels: {Model: RetinaNet, Learning Method: mstrain_3x} # as published
    published: 0.5
"""
TUNED = """\
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


def read(path: Path) -> str:
    return path.read_bytes().decode()


def promoted(
    path: Path,
    overrides: dict[str, Any] | None = None,
    row: str = "plain",
    study: str = "small",
    trial: int = 7,
) -> Promotion:
    return promote(path, row, study, overrides or LR, f"study {study}, trial {trial}")


def rows(path: Path) -> dict[str, Row]:
    return {row.name: row for row in load_experiment(path).rows}


def dedented(text: str, columns: int) -> str:
    return "".join(line[columns:] for line in text.splitlines(keepends=True))


def indented(text: str) -> str:
    return "".join(f"    {line}" for line in text.splitlines(keepends=True))


# Before and after the place where the row belongs.
LAYOUTS = {
    "at the end": (f"# Mine.\nname: tiny  # 1\n\nrows:\n{PLAIN}", ""),
    "in the middle": (f"title: 'x'\nrows:\n\n{PLAIN}", "\n# Where it goes.\nwandb: {images: 0}\n"),
    "comments behind": (f"rows:\n{PLAIN}", "  # - name: another one\n\n\n# The end."),
    "a comment of the row": (f"rows:\n{PLAIN}    # published: 0.6\n     #\n", "  # next\nseeds: [1]\n"),
    "deeper dashes": (f"rows:\n{indented(PLAIN)}", "seeds: [1]\n"),
    "end of document": (f"---\nrows:\n{PLAIN}", "...\n"),
    "nested lists": (f"rows:\n{PLAIN}    set:\n      a.b:\n      - 1\n      - - 2\n", "\nseeds: [1]\n"),
    "block scalar": (f"rows:\n{PLAIN.replace('labels', '#')}    labels:\n      A: |\n        x\n", "seeds: [1]\n"),
    "alias at the end": (
        f"rows:\n{PLAIN.replace('{Model', '&l {Model')}  - name: other\n    labels: *l\n"
        "    parts: {backbone: b, neck: n, head: h, schedule: s}\n    set: &o {a: 1}\n"
        "  - parts: {backbone: b, neck: n, head: h, schedule: s}\n    name: third\n    set: *o # same\n",
        "\n# c\nseeds: [1]\n",
    ),
    "wide characters": (f"title: 'Größe 🙂\u2028 \u0085x'\nrows:\n{PLAIN}", "# ü\nseeds: [1]\n"),
    "rows of a mapping each": (
        "rows:\n  - {name: plain, parts: {backbone: b, neck: n, head: h, schedule: s},\n"
        "     labels: {Model: RetinaNet, Learning Method: mstrain_3x}}\n",
        "\nseeds: [1]\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_other_byte_stays(tmp_path: Path, layout: str) -> None:
    before, after = LAYOUTS[layout]
    path = written(tmp_path, before + after)
    known = rows(path)

    made = promoted(path)

    text = read(path)
    assert text.startswith(before)
    assert text.endswith(after)
    added = text[len(before) : len(text) - len(after)]
    assert added.lstrip().startswith("# study small, trial 7\n")
    assert added.count("- name:") == 1
    assert (made.changed, made.replaced) == (True, False)
    assert rows(path) == {**known, "plain_tuned": made.row}
    assert made.row.overrides == LR
    assert (made.row.published, made.row.study) == (None, "small")


def test_the_row_looks_like_one_written_by_hand(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    promoted(path)
    assert read(path) == f"rows:\n{PLAIN}{TUNED}"


def test_dashes_in_the_first_column(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{dedented(PLAIN, 2)}\nseeds: [3]\n")
    promoted(path)
    assert read(path) == f"rows:\n{dedented(PLAIN, 2)}{dedented(TUNED, 2)}\nseeds: [3]\n"


@pytest.mark.parametrize("behind", ["", "seeds: [3]\r\n"])
def test_windows_line_ends_stay(tmp_path: Path, behind: str) -> None:
    before = f"# Mine.\nrows:\n{PLAIN}".replace("\n", "\r\n")
    path = written(tmp_path, before + behind)
    promoted(path)
    assert read(path) == before + TUNED.replace("\n", "\r\n") + behind
    promoted(path, {"a.b": 1}, trial=9)
    assert read(path).count("\n") == read(path).count("\r\n")
    assert read(path).startswith(before + "  # study small, trial 9\r\n")
    assert read(path).endswith("    study: small\r\n" + behind)


def test_a_last_line_without_an_end(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}".rstrip("\n"))
    promoted(path)
    assert read(path) == f"rows:\n{PLAIN}{TUNED}"


GRID = "grid: {backbone: [b, c], neck: [n], head: [h], schedule: [s]}\n"


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        (GRID, GRID + "rows:\n", ""),
        (GRID.rstrip("\n"), GRID + "rows:\n", ""),
        (f"  {GRID}  # end\n", f"  {GRID}  # end\n  rows:\n", ""),
        (f"rows:\n\n{GRID}", "rows:\n", f"\n{GRID}"),
        (f"rows: # none yet\n# the rest:\n{GRID}", "rows: # none yet\n", f"# the rest:\n{GRID}"),
        (f"rows: []  # none yet\n{GRID}", "rows:  # none yet\n", GRID),
        (f"{GRID}rows: null", f"{GRID}rows:\n", ""),
    ],
)
def test_a_row_of_a_grid(tmp_path: Path, text: str, before: str, after: str) -> None:
    path = written(tmp_path, text)
    made = promoted(path, row="c-n-h-s")
    margin = " " * (len(before.splitlines()[-1]) - len(before.splitlines()[-1].lstrip()))
    added = f"{margin}  # study small, trial 7\n{margin}  - name: c-n-h-s_tuned\n"
    assert read(path).startswith(before + added)
    assert read(path).endswith(f"{margin}    study: small\n" + after)
    assert list(rows(path)) == ["c-n-h-s_tuned", "b-n-h-s", "c-n-h-s"]
    assert made.row.recipe == rows(path)["c-n-h-s"].recipe
    assert made.row.labels == {"Learning Method": "s (tuned)"}


FLOW = "rows: [{name: plain, parts: {backbone: b, neck: n, head: h, schedule: s}}]\n"
# A list of rows that a line cannot be added to without knowing what the author meant.
CLOSED = {
    "flow": FLOW,
    "flow over lines": FLOW.replace("[{", "[\n  {"),
    "all flow": f"{{{FLOW.strip()}}}\n",
    "all flow, a grid": "{grid: {backbone: [plain], neck: [n], head: [h], schedule: [s]}}\n",
}


@pytest.mark.parametrize("layout", CLOSED)
def test_a_flow_list_is_refused_with_the_row_to_paste(tmp_path: Path, layout: str) -> None:
    path = written(tmp_path, CLOSED[layout])
    (name,) = rows(path)
    with pytest.raises(UserError) as caught:
        promoted(path, row=name)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "list of lines that begin with '- '" in message
    assert read(path) == CLOSED[layout]
    pasted = message.partition("yourself:\n")[2]
    assert f"  - name: {name}_tuned\n" in pasted
    other = written(tmp_path, f"rows:\n{pasted}", "other.yaml")
    assert rows(other)[f"{name}_tuned"].overrides == LR


def test_a_row_that_others_refer_to_is_not_replaced(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    promoted(path)
    text = (
        read(path).replace("set:\n", "set: &found\n")
        + PLAIN.replace("plain", "b")
        + "    set: *found\n"
    )
    path = written(tmp_path, text)
    with pytest.raises(UserError, match=r"in the place of 'plain_tuned'"):
        promoted(path, {"a.b": 1})
    assert read(path) == text


@pytest.mark.parametrize(
    "behind", ["", PLAIN.replace("plain", "b"), "\n  # mine\n", "    # mine\n", "seeds: [1]\n"]
)
def test_a_better_setting_takes_the_row_s_place(tmp_path: Path, behind: str) -> None:
    before = f"# Mine.\nrows:\n{PLAIN}    set:\n      a.b:\n      - 1\n      - - 2\n  # also mine\n"
    path = written(tmp_path, before + TUNED + behind)
    made = promoted(path, {"a.b": [1, 2]}, trial=12)
    assert (made.changed, made.replaced) == (True, True)
    expected = TUNED.replace("trial 7", "trial 12")
    expected = expected.replace("optim_wrapper.optimizer.lr: 0.004", "a.b: [1, 2]")
    assert read(path) == before + expected + behind
    assert rows(path)["plain_tuned"] == made.row


def test_replacing_keeps_what_is_the_users(tmp_path: Path) -> None:
    labels = "    labels:\n      Learning Method: my own words\n"
    head, _, tail = TUNED.partition("    labels:\n")
    tuned = head.replace("study small, trial 7", "the small one, seven") + labels
    path = written(tmp_path, f"rows:\n{tuned}{tail.partition('(tuned)' + chr(10))[2]}\n{PLAIN}")
    made = promoted(path, {"a.b": 1})
    assert made.row.labels == {"Learning Method": "my own words"}
    assert read(path).startswith(
        "rows:\n  # the small one, seven\n  # study small, trial 7\n  - name"
    )
    assert read(path).endswith(f"    study: small\n\n{PLAIN}")


def test_replacing_leaves_blank_lines_below_a_block_scalar(tmp_path: Path) -> None:
    tuned = TUNED.replace("    study: small\n", "") + "    study: |-\n      small\n"
    path = written(tmp_path, f"rows:\n{PLAIN}{tuned}\n\n# end\n")
    promoted(path, {"a.b": 1})
    assert read(path).endswith("      a.b: 1\n    study: small\n\n\n# end\n")


def test_the_same_setting_leaves_the_file_alone(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}{TUNED}")
    inode = path.stat().st_ino
    made = promoted(path, trial=9)
    assert (made.changed, made.replaced) == (False, False)
    assert made.row == rows(path)["plain_tuned"]
    assert path.stat().st_ino == inode
    assert read(path) == f"rows:\n{PLAIN}{TUNED}"


@pytest.mark.parametrize("other", [1.0, True, "1", [1]])
def test_a_value_of_another_type_is_another_setting(tmp_path: Path, other: Any) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    promoted(path, {"a.b": 1, "a.c": (1, 2)})
    assert not promoted(path, {"a.c": [1, 2], "a.b": 1}).changed
    assert promoted(path, {"a.b": other, "a.c": [1, 2]}).replaced


def test_parts_that_changed_since_are_brought_up_to_date(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN.replace('neck: n', 'neck: m')}    gpus: 2\n{TUNED}")
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
    path = written(tmp_path, f"rows:\n{PLAIN}{TUNED.replace('plain_tuned', 'best')}")
    before = read(path)
    assert not promoted(path, {"a.b": 1}).replaced
    assert read(path).startswith(before)
    assert list(rows(path)) == ["plain", "best", "plain_tuned"]


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    taken = PLAIN.replace("plain", "plain_tuned") + PLAIN.replace("plain", "plain_tuned2")
    path = written(tmp_path, f"rows:\n{PLAIN}{taken}")
    assert promoted(path).row.name == "plain_tuned3"


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
    assert f"a long one: '{'word ' * 60}'\n" in read(path)


def test_tuples_become_lists_and_shared_values_no_anchors(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    scale = (640, 480)
    promoted(path, {"a": [{"scale": scale}, {"scale": scale}], "b": scale})
    assert rows(path)["plain_tuned"].overrides["a"] == [{"scale": [640, 480]}] * 2
    assert "&" not in read(path)


def test_labels_with_special_characters(tmp_path: Path) -> None:
    labels = {"Model": "R: 'x' # \"y\"", "Head": "- [a]\t{b}", "ß\u00a0": "ü 🙂", "Neck": "no"}
    mapping = json.dumps(labels, ensure_ascii=False)  # JSON is YAML
    path = written(tmp_path, f"rows:\n{PLAIN.partition('{Model')[0]}{mapping}\n")
    promoted(path)
    assert rows(path)["plain_tuned"].labels == {**labels, "Learning Method": "s (tuned)"}
    assert "      Neck: 'no'\n" in read(path)
    assert "      ß\u00a0: ü 🙂\n" in read(path)


def test_a_source_over_several_lines_stays_a_comment(tmp_path: Path) -> None:
    path = written(tmp_path, f"rows:\n{PLAIN}")
    promote(path, "plain", "small", LR, "study small,\n trial 7")
    assert read(path) == f"rows:\n{PLAIN}{TUNED}"


def test_a_link_and_the_file_s_mode_stay(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = written(tmp_path / "real", f"rows:\n{PLAIN}")
    target.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(target)
    promoted(link)
    assert link.is_symlink()
    assert read(target) == f"rows:\n{PLAIN}{TUNED}"
    assert target.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in (tmp_path / "real").iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (f"rows:\n{PLAIN}", {"row": "plan"}, "plan: no such row; allowed: plain; did you mean 'plain'"),
        (f"rows:\n{PLAIN}", {"study": "a b"}, "study: String should match"),
        (f"rows:\n{PLAIN}", {"overrides": {"a": object()}}, "plain_tuned: a value that YAML cannot hold"),
        (f"rows:\n{PLAIN.replace('plain', 'p' * 98)}", {"row": "p" * 98}, "at most 100 characters"),
        (f"rows:\n{PLAIN}more: 1\n", {}, "more: Extra inputs"),
        ("rows: [\n", {}, "not YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_written(
    tmp_path: Path, text: str, arguments: dict[str, Any], message: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UserError) as caught:
        promoted(path, **arguments)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert read(path) == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    # Too long a name for the temporary file beside it, a fault that also stops the superuser.
    path = written(tmp_path, f"name: tiny\nrows:\n{PLAIN}", f"{'x' * 245}.yaml")
    with pytest.raises(UserError, match="cannot be written"):
        promoted(path)
    assert read(path) == f"name: tiny\nrows:\n{PLAIN}"
    assert list(tmp_path.iterdir()) == [path]


def test_the_shipped_leaderboard(tmp_path: Path) -> None:
    shipped = Path(__file__).parent.parent / "experiments" / "leaderboard.yaml"
    text = read(shipped)
    path = written(tmp_path, text, "leaderboard.yaml")
    name = load_experiment(path).rows[4].name
    promoted(path, row=name)
    assert read(path).startswith(text)
    assert rows(path)[f"{name}_tuned"].overrides == LR
