"""The measurement scripts run from end to end and print their rows; no time is looked at."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from itertools import product
from pathlib import Path

import pytest
from command import TINY, alive, clean_environment, run, wait_until
from warm import popen

PERF = Path(__file__).parents[1] / "perf"
CLRNET = "clrnet.py"
NUMBER = r"\s+-?\d+\.\d+"
MACHINE = r"at `(?:[0-9a-f]{7,40}(?:-dirty)?|no commit)`, \d{4}-\d\d-\d\d, \d+ cores, \S"


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Scripts are imported from ``perf``, and what they start is forked from a process that has torch and mmdet."""
    monkeypatch.syspath_prepend(str(PERF))
    monkeypatch.setattr(subprocess, "Popen", popen)
    return monkeypatch


def printed(script: str, *options: str) -> str:
    """What a script prints, in a process of its own."""
    done = run([sys.executable, str(PERF / script), *options])
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(MACHINE, done.stdout), done.stdout
    return done.stdout


def printed_here(
    script: str, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str
) -> str:
    """What a script prints, in this process: for those that have others do the work, see `forked`."""
    patch.setattr(sys, "argv", [script, *options])
    import_module(script.removesuffix(".py")).main()
    text = capsys.readouterr().out
    assert re.search(MACHINE, text), text
    return text


@pytest.mark.slow
def test_evaluation() -> None:
    text = printed("evaluation.py", "--images", "20", "--boxes", "200", "--repeat", "1")
    for name in ("hotcoco", "pycocotools"):
        assert re.search(rf"^{name} \S+{NUMBER} s", text, re.MULTILINE), text
    difference = re.search(r"largest difference of the six numbers: (\S+)", text)
    assert difference and float(difference[1]) < 1e-12, text


@pytest.mark.slow
def test_bootstrap() -> None:
    size = ["--images", "20", "--boxes", "200", "--resamples", "20", "--repeat", "1"]
    text = printed("bootstrap.py", *size)
    names = (
        "matching",
        "resampling",
        "interval of one model",
        "error shares",
        r"compare of hotcoco \S+, two models",
    )
    for name in names:
        assert re.search(rf"^{name}{NUMBER} s, CPU{NUMBER} s$", text, re.MULTILINE), text
    assert re.search(r"^\d+\.\d times faster for two models", text, re.MULTILINE), text


@pytest.mark.slow
def test_startup() -> None:
    text = printed("startup.py", "--rows", "3", "--seeds", "2", "--repeat", "1")
    for name in ("python -c pass", "detboard --help", "sweep, 6 finished runs"):
        assert re.search(rf"^{re.escape(name)}{NUMBER} s", text, re.MULTILINE), text


@pytest.mark.slow
def test_report() -> None:
    text = printed("report.py", "--rows", "4", "--seeds", "1", "--repeat", "1")
    for count in (1, 2, 4):
        for what in ("written", "up to date"):
            row = rf"^ *{count} records, {what}{NUMBER} s .*{NUMBER} ms a record"
            assert re.search(row, text, re.MULTILINE), text


@pytest.mark.slow
def test_zoo(tmp_path: Path) -> None:
    journal, page = tmp_path / "zoo.jsonl", tmp_path / "zoo.md"
    options = ["autoassign", "clrnet", "yolof", "--journal", str(journal), "--output", str(page)]
    tried = "autoassign/autoassign_r50-caffe_fpn_1x_coco.py"
    well = {"config": tried, "state": "ok", "why": "", "params": 36_500_000, "seconds": 9.1}
    lanes = {"state": "refused", "why": "CLRNet: finds lanes", "operators": [], "seconds": 0.2}
    lines = [{**well, "operators": ["nms"]}, {**lanes, "config": f"clrnet/{CLRNET}"}]
    known = "".join(json.dumps(line) + "\n" for line in lines)
    journal.write_text(known)
    # It goes on from there, and ends what takes more memory than it may.
    printed("zoo.py", "--memory-gib", "0.01", *options)
    told = journal.read_text()
    assert told.startswith(known)
    assert told.count(tried) == 1
    printed("zoo.py", *options)  # nothing is left
    assert journal.read_text() == told
    rows = dict(re.findall(r"^\| (\w+) \| (.+) \|$", page.read_text(), re.MULTILINE))
    row = f"1 | 0 | ok | `{tried.partition('/')[2]}` | 36.5 M | nms |"
    assert rows["autoassign"].startswith(row)
    assert rows["clrnet"] == f"1 | 1 | refused | `{CLRNET}` |  |  | CLRNet: finds lanes"
    assert rows["yolof"].endswith("it took more than 0.01 GiB, while it began")
    assert "3 families: 1 ok, 1 refused, 1 failing." in page.read_text()
    assert "\n\nNot tried yet: albu_example, atss, boxinst, " in page.read_text()
    done = run([sys.executable, str(PERF / "zoo.py"), "nowhere"])
    assert "mmdet has no configs of nowhere" in done.stderr


_WATCHED = """
import os, sys, time
from pathlib import Path
import zoo
def never(*_):
    Path(sys.argv[1]).write_text(f"{os.getpid()}\\n")
    time.sleep(600)
zoo._try = never
zoo.outcome_of("ssd/any.py", Path(), zoo.Limits(minutes=5, memory_gib=8), alone=False)
"""


def test_a_config_that_is_tried_ends_with_the_command(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    path = os.pathsep.join([str(PERF), str(PERF.parent)])
    command = subprocess.Popen(
        [sys.executable, "-c", _WATCHED, str(told)], env={**clean_environment(), "PYTHONPATH": path}
    )
    wait_until(lambda: told.is_file() and told.read_text().endswith("\n"), "its process")
    command.kill()
    command.wait()
    wait_until(lambda: not alive(int(told.read_text())), "the end of its process", seconds=20)


@pytest.mark.trains
@pytest.mark.slow
def test_overhead(forked: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed_here(
        "overhead.py", forked, capsys, "--runs", "2", "--stock", "1", "--wandb", "off"
    )
    names = ("stock, median of 1", "detboard, 2 runs", "overhead of that", "stock / later run")
    for name in names:
        assert re.search(rf"^ *{re.escape(name)}{NUMBER}", text, re.MULTILINE), text


SPACE = """
search:
  lr: {type: float, low: 0.001, high: 0.1, log: true}
  warmup: {type: int, low: 0, high: 8, step: 2}
  ratios: {choices: [[1.0], [0.5, 1.0, 2.0]]}
again: {mAP50: {0: 0.28, 2: 0.4}}
"""


def record_space(folder: Path, name: str) -> None:
    """A made-up recording of nine settings, one of which diverged."""
    (folder / f"{name}.yaml").write_text(SPACE)
    lines = ["setting,lr,warmup,ratios,epoch,mAP50,mAP,seconds"]
    for setting in range(9):
        ratios = '"[0.5, 1.0, 2.0]"' if setting % 2 else "[1.0]"
        shown = f"{setting},{10 ** (-3 + setting / 4)},{2 * (setting % 5)},{ratios}"
        values = [0.1 * step * (1 - abs(setting - 3) / 9) for step in range(1, 5)]
        told = [*values[:1], ""] if setting == 8 else values
        numbered = enumerate(told, start=1)
        lines += [f"{shown},{epoch},{value},{value},{2.5 * epoch}" for epoch, value in numbered]
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    # Images score by the setting alone, the more the further it is from the fourth.
    scores = [
        f"{setting},{epoch},{image},{1 - abs(setting - 3) / 9 + image / 100}"
        for setting, epoch, image in product(range(9), range(1, 5), range(8))
    ]
    images = "\n".join(["setting,epoch,image,score", *scores])
    (folder / f"{name}_images.csv.gz").write_bytes(gzip.compress(images.encode()))


@pytest.mark.slow
def test_tuning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It runs in this process, which has imported what it needs."""
    monkeypatch.syspath_prepend(str(PERF))
    script = import_module("tuning")
    record_space(tmp_path, "toy")
    what = ["--folder", str(tmp_path), "--spaces", "toy", "--budgets", "3", "--slots", "2"]
    monkeypatch.setattr(sys, "argv", ["tuning.py", *what, "--seeds", "4", "--jobs", "1"])
    script.main()
    text = capsys.readouterr().out
    assert re.search(r"\d+ cores, \S", text), text
    assert "toy: 9 settings, own 0.267, best 0.400" in text
    assert "two seeds apart: 0.0289" in text  # the median of 0.0133 and 0.0444
    assert "toy, 2 slots, 3 full trainings (12 epochs)" in text
    for method in script.METHODS:
        found = re.search(rf"^{re.escape(method)} .* (\d+)% .* +(\d+) +(\d+)%$", text, re.MULTILINE)
        assert found, text
        assert 0 <= int(found[1]) <= 100
        assert int(found[2]) >= 2
    # Nothing is pruned without a pruner.
    assert re.search(r"^random, none .* 0%$", text, re.MULTILINE), text
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--images"])
    script.main()
    text = capsys.readouterr().out
    assert re.search(r"^TPE, none .* 0%$", text, re.MULTILINE), text
    assert re.search(r"^TPE, Wilcoxon 0.1 .* [1-9]\d%$", text, re.MULTILINE), text


def test_a_median_over_studies_that_never_got_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PERF))
    script = import_module("tuning")
    never = script.Outcome(float("inf"), float("inf"), 0.1, 10, 0.5)
    there = script.Outcome(0.25, 0.5, 0.0, 10, 0.5)
    mostly = script.figure([there] * 6 + [never] * 4)
    assert (mostly.median, mostly.reached) == (0.25, 0.6)
    assert mostly.high == float("inf")
    assert mostly.score == pytest.approx(0.6 * 0.25 + 0.4 * 1.25)
    line = script.line_of("a", script.figure([there] * 4 + [never] * 6))
    assert ">100%" in line
    assert " 40% " in line


@pytest.mark.trains
@pytest.mark.slow
def test_throughput(forked: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What makes our trainings faster than stock's, without being asked for, changes none of 50 losses."""
    what = [
        "--experiment",
        str(TINY),
        "--rows",
        "plain",
        "--under",
        "tiny",
        "--sides",
        "stock,fp32",
    ]
    how = ["--images", "24", "--size", "112", "--iterations", "25", "--turns", "1", "--profile"]
    text = printed_here("throughput.py", forked, capsys, *what, *how)
    for name in ("stock", "fp32"):
        line = rf"^{name}{NUMBER} images/s  x{NUMBER} \(.*\){NUMBER} GiB$"
        assert re.search(line, text, re.MULTILINE), text
    assert "fp32: losses of 50 iterations differ from stock's by 0.0e+00 of them" in text
    for part in ("backbone", "neck", "head", "targets", "assigner", "loss", "backward", "step"):
        assert len(re.findall(rf"^{part}{NUMBER} ms$", text, re.MULTILINE)) == 2, text
    assert "aten::" in text


@pytest.mark.slow
def test_loading(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In this process: another would load torch and mmdet for a second's work."""
    monkeypatch.syspath_prepend(str(PERF))
    script = import_module("loading")
    monkeypatch.setattr(script, "LONGEST", (120, 160))
    monkeypatch.setattr(script, "_SETTLED_S", 0.0)
    few = ["loading.py", "--images", "2", "--repeat", "1", "--epochs", "2", "--scale", "64", "64"]
    monkeypatch.setattr(sys, "argv", few)
    script.main()
    text = capsys.readouterr().out
    assert re.search(MACHINE, text.splitlines()[0])
    for pipeline in ("fixed", "random"):
        for kind in ("off", "ram", "disk"):
            row = rf"^{pipeline} +{kind}{NUMBER}{NUMBER} \(.*\){NUMBER}{NUMBER} \(.*\){NUMBER}$"
            assert re.search(row, text, re.MULTILINE), text
    monkeypatch.setattr(sys, "argv", [*few, "--decoders"])
    script.main()
    text = capsys.readouterr().out
    assert re.search(
        rf"^torchvision{NUMBER}{NUMBER} \(.*same pixels in \d of 2$", text, re.MULTILINE
    )


@pytest.mark.parametrize(
    "options", [["--sides", "stock,amp"], ["--sides", "fp16"], ["--iterations", "0"]]
)
def test_throughput_refuses_what_cannot_be_measured(options: list[str]) -> None:
    done = run([sys.executable, str(PERF / "throughput.py"), *options])
    assert done.returncode == 2
    assert options[0] in done.stderr


def test_clusters_need_a_run_beside_the_first() -> None:
    done = run([sys.executable, str(PERF / "cluster.py"), "--runs", "1"])
    assert done.returncode == 2
    assert "--runs: give a number from 2" in done.stderr
