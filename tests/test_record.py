"""Recorded search spaces: the script that makes them, and those that are kept in ``perf/recorded``."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from command import run

PERF = Path(__file__).parents[1] / "perf"
RECORDED = sorted(path.stem for path in (PERF / "recorded").glob("*.csv"))
ASKED: dict[str, Any] = {
    "experiment": "tests/tiny/tiny.yaml",
    "row": "plain",
    "search": {
        "lr": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
        "batch": {"path": "train_dataloader.batch_size", "choices": [2, 4]},
    },
    "epochs": 2,
    "data": {"train": 4, "val": 4, "size": 64},
    "train_seed": 100,
}


@pytest.fixture(name="perf")
def fixture_perf(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.syspath_prepend(str(PERF))
    return monkeypatch


@pytest.mark.trains
@pytest.mark.slow
def test_a_space_is_recorded_once_and_the_same_again(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(ASKED))
    text = _record(tmp_path).stdout
    assert text.count("toy ") == 4  # three settings, and the row's own with the second seed
    noted = yaml.safe_load((tmp_path / "toy.yaml").read_text())
    assert {key: noted[key] for key in ASKED} == ASKED
    assert {"commit", "machine", "threads", "again", "noise", "nearest"} <= noted.keys()
    files = [tmp_path / name for name in ("toy.csv", "toy_images.csv.gz")]
    values = _without_seconds(files[0])
    assert len(values) == 1 + 3 * 2 and values[1].startswith("0,4,0.02,1,")

    # As after a kill: the last setting is trained again, and it alone.
    lines = files[0].read_text().splitlines(keepends=True)
    files[0].write_text("".join(lines[:-2]))
    assert _record(tmp_path).stdout.count("toy ") == 1
    assert _without_seconds(files[0]) == values

    files[0].write_text(files[0].read_text().replace("\n2,", "\n2,1"))
    refused = _record(tmp_path)
    assert refused.returncode == 1
    assert "differs from here in setting 2; remove toy.csv" in refused.stderr


def _record(folder: Path) -> subprocess.CompletedProcess[str]:
    """The script in a process of its own, with torch loaded: it forks, and forks of this one would wait for threads."""
    script = PERF / "record.py"
    asked = ["toy", "--settings", "3", "--folder", str(folder)]
    return run([sys.executable, str(script), *asked])


def _without_seconds(path: Path) -> list[str]:
    return [line.rpartition(",")[0] for line in path.read_text().splitlines()]


def test_an_image_s_score_is_its_own_average_precision(perf: pytest.MonkeyPatch) -> None:
    from benchmark.statistics.matches import Matches

    script = import_module("record")
    found = Matches(
        image_ids=np.array([3, 5, 8]),
        files=("a", "b", "c"),
        classes=("x", "y"),
        objects=np.array([[2, 1], [0, 1], [0, 0]], np.int32),
        # Of image 3 in class x: a hit, a miss, a hit; of image 5 a hit of y, and a box of x that counts for nothing.
        label=np.array([0, 0, 0, 0, 1], np.int16),
        image=np.array([0, 0, 1, 0, 1], np.int32),
        score=np.array([0.9, 0.8, 0.7, 0.6, 0.5]),
        hit=np.array([True, False, False, True, True]),
    )
    expected = [(0.5 * 1 + 0.5 * 2 / 3) / 2, 1.0, 0.0]
    np.testing.assert_allclose(script.image_scores(found), expected)


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_kept_is_whole(name: str, perf: pytest.MonkeyPatch) -> None:
    recording = import_module("recording").Recording(name)
    asked, params = recording.asked, recording.params()
    assert sorted(params) == list(params) and params  # all of them once it is whole, see below
    for number in params:
        lines = [line for line in recording.lines if line["setting"] == str(number)]
        epochs = [int(line["epoch"]) for line in lines]
        assert epochs == list(range(1, len(epochs) + 1))
        assert len(epochs) == asked["epochs"] or lines[-1]["mAP50"] == ""
        seconds = [float(line["seconds"]) for line in lines]
        assert seconds == sorted(seconds)
    known = {(line["setting"], line["epoch"]) for line in recording.lines if line["mAP50"]}
    assert {(line["setting"], line["epoch"]) for line in recording.images} == known
    assert len(recording.images) == len(known) * asked["data"]["val"]
    for key in ("low", "high"):
        sign = 1 if key == "low" else -1
        for parameter, given in asked["search"].items():
            held = [params[number][parameter] for number in params]
            assert key not in given or min(sign * (float(v) - given[key]) for v in held) > -1e-9


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_said_of_it_follows_from_it(name: str, perf: pytest.MonkeyPatch) -> None:
    recording = import_module("recording").Recording(name)
    final, asked = recording.final(), recording.asked
    if "noise" not in asked:
        pytest.skip("it is recorded in part")
    apart = sorted(abs(final[n] - value) for n, value in asked["again"]["mAP50"].items())
    assert math.isclose(asked["noise"], float(np.median(apart)), abs_tol=1e-6)
    assert asked["settings"] == len(final) > 80
    assert list(final) == list(range(len(final)))
    assert (asked["own"], asked["best"]) == (final[0], max(final.values()))
    # There is something to find, beyond what another seed would change.
    assert final[0] > 0.1
    assert np.std(list(final.values())) > asked["noise"]


@pytest.mark.slow
def test_what_a_warm_start_is_worth_is_told_with_its_interval(
    perf: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = import_module("warm_start")
    perf.setattr(sys, "argv", ["warm_start.py", "--seeds", "2", "--budgets", "3", "--jobs", "1"])
    script.main()
    text = capsys.readouterr().out
    for pair in ("two_stage after small", "small after two_stage"):
        assert f"{pair}, default sampler, 3 full trainings" in text
    told = re.findall(r"^warm start .* ([+-]\d+)% \(([+-]\d+)% to ([+-]\d+)%\)", text, re.MULTILINE)
    assert len(told) == 2
    for mean, low, high in (map(int, one) for one in told):
        assert low <= mean <= high


def test_gains_are_of_the_same_seeds(perf: pytest.MonkeyPatch) -> None:
    script = import_module("warm_start")
    without = [script.Outcome(epochs, 0.5, 0.1, 10, 0.5) for epochs in (0.5, 0.7, math.inf)]
    warm = [script.Outcome(epochs, 0.5, 0.05, 10, 0.5) for epochs in (0.4, 0.6, 1.15)]
    gained = script.gain(warm, without)
    np.testing.assert_allclose(
        gained["epochs"], [-0.1] * 3
    )  # what was never as good counts as 1.25
    np.testing.assert_allclose(gained["behind"], [-0.05] * 3)
