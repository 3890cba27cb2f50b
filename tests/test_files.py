"""One reader and one writer of JSON lines, whatever letters stand in them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmark.files import append_jsonl, read_jsonl, read_lines, write_text
from benchmark.run.journal import Journal, Tail

# All that `str.splitlines` splits at, and that JSON need not escape.
SEPARATORS = "\u2028\u2029\x85"


def test_json_lines_end_in_line_feeds_alone(tmp_path: Path) -> None:
    path = tmp_path / "points.jsonl"
    points = [{"name": f"tin{letter}can"} for letter in (*SEPARATORS, "\x0b", "\x1c", "\r", "\n")]
    for point in points:
        append_jsonl(path, point)
    assert read_jsonl(path) == points
    assert len(read_lines(path)) == len(points)


def test_no_number_that_json_lacks_is_appended(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        append_jsonl(tmp_path / "points.jsonl", {"loss": float("nan")})
    assert read_jsonl(tmp_path / "points.jsonl") == []


def test_a_line_that_a_kill_has_cut_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "points.jsonl"
    path.write_bytes('{"name": "é"}\n{"name": "é'.encode()[:-1])
    assert read_jsonl(path) == [{"name": "é"}]
    assert read_jsonl(tmp_path / "none.jsonl") == []


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.symlink_to(os.devnull)
    with pytest.raises(OSError, match="a device, and no file"):
        write_text(place, "text")
    assert place.is_char_device()
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


@pytest.mark.parametrize("letter", SEPARATORS)
def test_a_journal_keeps_validations_of_classes_with_odd_names(letter: str, tmp_path: Path) -> None:
    journal, tail = Journal(tmp_path / "metrics.jsonl"), Tail(tmp_path / "metrics.jsonl")
    of_classes = {f"a{letter}b": {"mAP50": 0.5}}
    point = {"kind": "val", "iter": 2, "epoch": 1.0, "mAP50": 0.5, "per_class": of_classes}
    journal.write(point)
    journal.write({"kind": "train", "iter": 3, "losses": [1.0, float("inf")]})
    journal.start(2, 4)  # a resume, which writes the file again
    last = journal.last_validation()
    assert last is not None
    assert last["per_class"] == point["per_class"]
    assert [new["kind"] for new in tail.new_points()] == ["val", "start"]
    for line in read_lines(tmp_path / "metrics.jsonl"):
        json.loads(line, parse_constant=pytest.fail)
