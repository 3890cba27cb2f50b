"""What a row's speed is with other choices: measured on this device, and never a winner inside the noise."""

from __future__ import annotations

import copy
import re
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from command import TINY, Bench, here, variant

from benchmark.cli import bench as command
from benchmark.experiment.cache import ImageCache
from benchmark.job.building import pin_memory
from benchmark.launchers.local import LocalLauncher
from benchmark.run.options import Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.timed import Block, Timed
from benchmark.speed.choices import CHOICES, Combination, How, Kind, Machine
from benchmark.speed.measuring import Stopwatch, share
from benchmark.speed.rates import Rate, Speed, together
from benchmark.speed.search import Search, most
from benchmark.speed.words import (
    best_lines,
    line_of,
    table_of_row,
    three_digits,
    told_of,
    why_none,
)
from benchmark.writing.console import PlainConsole

CPU = Machine((), 2)
GPUS = Machine(("0", "1"), 8)
START = Combination()


def chosen(**values: str) -> Combination:
    found = START
    for name, value in values.items():
        found = found.with_value(CHOICES[name], value)
    return found


def speed(mean: float, spread: float = 0.02, waited: float = 0.0) -> Speed:
    rate = Rate(mean, mean * (1 - spread), mean * (1 + spread))
    return Speed(rate, waited, iteration_s=1 / mean, memory_gib=1.0, first_s=1.0)


@dataclass
class Rows:
    """Rows whose speed is ten times what their choices make of it, by the choices' words."""

    gains: dict[str, float]
    failing: Sequence[tuple[str, str]] = ()
    waits: Sequence[str] = ()
    spreads: dict[str, float] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def measure(self, combination: Combination, rows: Sequence[str]) -> dict[str, Speed | str]:
        self.asked.append(combination.words())
        return {row: self._of(combination, row) for row in rows}

    def _of(self, combination: Combination, row: str) -> Speed | str:
        words = combination.words()
        if (row, words) in self.failing:
            return "oom: CUDA out of memory"
        mean = 10.0
        for part in words.split(", "):
            mean *= self.gains.get(part, 1.0)
        waited = 0.5 / mean if words in self.waits else 0.0
        return speed(mean, self.spreads.get(words, 0.02), waited)


VALUES = {"workers": ["2", "4"], "slots": ["2"], "precision": ["bf16"]}


def test_each_choice_is_tried_from_the_best_so_far_and_the_best_are_measured_again() -> None:
    rows = Rows({"workers 2": 1.2, "workers 4": 1.21, "slots 2": 1.5, "precision bf16": 2.0})
    search = Search(VALUES, ["a", "b"], rows.measure)
    kept, changed = search.run()
    # 4 workers are no better than 2, as far as can be seen: the first one stands.
    assert kept is not None and kept.combination == chosen(workers="2", slots="2")
    assert changed is not None
    assert changed.combination == chosen(workers="2", slots="2", precision="bf16")
    assert kept.gain.mean == pytest.approx(1.2 * 1.5)
    assert kept.gain.low == pytest.approx(1.8 * 0.98 / 1.02)
    again = [START.words(), kept.combination.words(), changed.combination.words()]
    assert rows.asked[-3:] == again and len(rows.asked) == len(search.found) + 3 <= most(VALUES)


def test_where_faster_training_waits_for_data_loading_is_looked_at_again() -> None:
    gains = {"precision bf16": 2.0}
    quiet = Rows(gains)
    Search(VALUES, ["a"], quiet.measure).run()
    assert chosen(workers="4", precision="bf16").words() not in quiet.asked
    waiting = Rows(gains, waits=["precision bf16"])
    Search(VALUES, ["a"], waiting.measure).run()
    assert chosen(workers="4", precision="bf16").words() in waiting.asked
    assert len(waiting.asked) <= most(VALUES)


def test_nothing_wins_inside_the_noise() -> None:
    values = {"workers": ["2"]}
    search = Search(values, ["a"], Rows({"workers 2": 1.03}).measure)
    assert search.run() == (None, None)

    # Nor what was faster once and is not when it is measured again.
    means = iter([10.0, 12.0, 10.0, 10.1])
    search = Search(values, ["a"], lambda *_: {"a": speed(next(means))})
    assert search.run() == (None, None)
    assert search.found[chosen(workers="2")]["a"] == speed(12.0).again(speed(10.1))


def test_what_fails_for_a_row_is_not_the_best_and_a_row_that_fails_as_it_is_is_left_out() -> None:
    failing = [("a", "workers 4"), ("b", START.words())]
    rows = Rows({"workers 4": 3.0, "workers 2": 1.2}, failing)
    search = Search({"workers": ["2", "4"]}, ["a", "b", "c"], rows.measure)
    best, _ = search.run()
    assert best is not None and best.combination == chosen(workers="2")
    assert search.rows == ["a", "c"]
    assert search.found[START]["b"] == "oom: CUDA out of memory"
    assert "b" not in search.found[chosen(workers="2")]

    alone = Search({"workers": ["2"]}, ["b"], rows.measure)
    assert alone.run() == (None, None) and list(alone.found) == [START]


def test_rates_of_runs_side_by_side_are_their_sum_and_rows_count_by_their_time() -> None:
    blocks = (Block(2, 8, 2.0, 0.5), Block(2, 8, 4.0, 0.1))
    one = Timed(complete=True, blocks=blocks, peak_memory_gib=1.5, first_s=3.0)
    found = Speed.of([one, one])
    assert found.rate == Rate(2 * 16 / 6, 4.0, 8.0)
    assert (found.waited, found.iteration_s) == (pytest.approx(0.15), pytest.approx(1.5))
    assert (found.memory_gib, found.first_s) == (3.0, 3.0)
    assert together({"a": speed(10.0, 0), "b": speed(30.0, 0)}).mean == pytest.approx(15.0)
    assert together({"a": speed(10.0), "b": "oom"}) is None


def test_what_is_tried_fits_the_machine_and_what_the_rows_have(synthetic_data: Path) -> None:
    def tried(name: str, machine: Machine, **overrides: object) -> list[str]:
        given = {key.replace("__", "."): value for key, value in overrides.items()}
        made = make_plan(Request(TINY, data_root=synthetic_data, overrides=given))
        return list(CHOICES[name].values(machine, made))

    assert tried("workers", CPU) == ["1"]  # the rows have none
    assert tried("workers", CPU, train_dataloader__num_workers=1) == ["0"]
    assert tried("workers", GPUS, train_dataloader__num_workers=2) == ["4", "8"]
    assert tried("slots", CPU) == ["2"] and tried("slots", Machine((), 1)) == []
    assert tried("slots", GPUS) == ["2", "3"]
    assert tried("precision", GPUS) == ["amp", "bf16"] and tried("precision", CPU) == ["bf16"]
    assert tried("precision", CPU, precision="bf16") == []
    # Nothing that was given can stand twice in the command line that is printed.
    assert tried("workers", GPUS, train_dataloader={"num_workers": 1}) == []
    assert tried("workers", GPUS, train_dataloader={"batch_size": 2}) == ["2", "4", "8"]
    assert tried("precision", GPUS, optim_wrapper__type="OptimWrapper") == []
    assert tried("precision", GPUS, optim_wrapper={"type": "OptimWrapper"}) == []
    assert tried("precision", GPUS, optim_wrapper__optimizer__lr=0.01) == ["amp", "bf16"]
    assert (tried("compile", CPU), tried("compile", CPU, compile=True)) == (["on"], [])
    assert tried("cache", CPU) == ["ram"]


def test_what_is_not_tried_since_it_was_given_is_said(
    synthetic_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrapper, loader = (
        {"optim_wrapper.type": "OptimWrapper"},
        {"train_dataloader": {"num_workers": 1}},
    )
    for overrides in ({**wrapper, **loader}, {}):
        request = Request(TINY, data_root=synthetic_data, overrides=overrides)
        asked = command._Asked(make_plan(request), request, 20, trust=False, options=())
        command._say_head(asked, most=3)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "no other is tried" in line] == [
        "precision: as --set optim_wrapper.type says; no other is tried",
        "workers: as --set train_dataloader says; no other is tried",
    ]


def test_a_run_gets_what_a_sweep_on_the_whole_machine_would_give_it() -> None:
    assert share(GPUS, processes=1, slots=2) == Resources(("0",), 4, 1)
    assert share(GPUS, processes=2, slots=1) == Resources(("0", "1"), 4, 2)
    assert share(CPU, processes=1, slots=2) == Resources((), 1, 1)
    assert chosen(slots="3").options(GPUS) == [("--slots", "6")]


def test_a_combination_takes_the_place_of_what_was_given() -> None:
    how = How(Request(TINY, overrides={"train_dataloader.num_workers": 1, "optim_wrapper.x": 2}))
    put = chosen(precision="bf16", compile="on", cache="ram", workers="4", slots="2").put(how)
    assert put.request.overrides == {
        "optim_wrapper.x": 2,
        "precision": "bf16",
        "compile": True,
        "+train_dataloader.num_workers": 4,
    }
    assert put.slots == 2 and str(put.cache) == "ram"
    asked = [("--rows", "a b"), ("--set", "train_dataloader.num_workers=1"), ("--set", "c=1")]
    best = chosen(precision="bf16", compile="on", cache="ram", workers="4", slots="2")
    made = command._Asked(None, how.request, 20, trust=False, options=asked)
    words = shlex.split(command._command(made, best.options(GPUS)))
    assert words[:3] == ["detboard", "sweep", str(TINY)]
    workers = "+train_dataloader.num_workers=4"
    faster = ["--precision", "bf16", "--compile", "--cache", "ram", "--slots", "4"]
    assert words[3:] == ["--rows", "a b", "--set", workers, "--set", "c=1", *faster]


def test_a_table_has_80_columns_and_tells_what_is_no_difference() -> None:
    combination = chosen(workers="16", slots="2", precision="bf16")
    found = {
        START: {"a": speed(10.0)},
        chosen(workers="4"): {"a": speed(10.3)},
        combination: {"a": speed(12345.0)},
        chosen(slots="2"): {"a": "oom"},
    }
    console = PlainConsole(width=80)
    with console.capture() as shown:
        console.print(table_of_row("a", found, console))
    lines = shown.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert re.search(
        r"^as the experiment has it +10\.0 +9\.80–10\.2 .* 1\.00 *$", shown.get(), re.M
    )
    assert re.search(r"^workers 4 +10\.3 .* no difference seen *$", shown.get(), re.M)
    assert re.search(r" 12,345 +12,098–12,592 .* 1234\.50 *$", shown.get(), re.M)
    assert "oom" not in shown.get()
    assert table_of_row("b", {START: {"b": "oom"}}, console) is None


def test_what_fails_and_what_begins_slowly_is_said() -> None:
    found = {
        START: {"a": speed(10.0), "b": "oom: x"},
        chosen(slots="2"): {"a": replace(speed(10.0), first_s=61.0)},
    }
    assert list(told_of("a", found)) == ["slots 2: its first iteration takes 1 min 01 s"]
    assert list(told_of("b", found)) == ["as the experiment has it: fails: oom: x"]


def test_why_nothing_is_named_is_said() -> None:
    well, ill = {"a": speed(10.0)}, {"a": "oom: x"}
    cached = chosen(cache="ram")
    fails = "There is nothing to compare with: training fails as the experiment has it."
    assert why_none({START: ill}, rows=[]) == fails
    assert why_none({START: {**well, "b": "oom: x"}, cached: well}, rows=["a"]).startswith(
        "Nothing that"
    )
    assert why_none({START: ill, cached: well}, rows=["a"]) == fails  # when it was measured again
    assert why_none({START: well}, rows=["a"]) == "Nothing else was to be tried."


def test_a_row_that_fails_as_it_is_is_named_and_is_the_exit_status(
    synthetic_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(_: Stopwatch, combination: Combination, row: str) -> Speed | str:
        return "oom: x" if row == "momentum" else speed(10.0)

    monkeypatch.setattr(Stopwatch, "measure", measure)
    done = here(["bench", str(TINY), "--data-root", str(synthetic_data)])
    assert done.returncode == 1
    assert "\nmomentum\n  as the experiment has it: fails: oom: x\n" in done.stdout
    assert done.stdout.endswith("Nothing that was tried is faster: no difference is seen.\n")
    options = ["--rows", "plain"]
    assert here(["bench", str(TINY), "--data-root", str(synthetic_data), *options]).returncode == 0


def test_what_is_measured_is_what_the_command_line_says() -> None:
    """Of the experiment's limit on disk nothing is left where images are kept in memory."""
    how = How(Request(TINY), ImageCache(kind="disk", gib=500.0))
    put = chosen(cache="ram")
    (option,) = put.options(CPU)
    assert option == ("--cache", str(put.put(how).cache))


def test_the_command_line_trusts_what_was_trusted(
    synthetic_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def bench(asked: command._Asked) -> bool:
        said.append(command._command(asked, [("--cache", "ram")]))
        return True

    monkeypatch.setattr(command, "_bench", bench)
    arguments = ["bench", str(TINY), "--data-root", str(synthetic_data)]
    assert here([*arguments, "--trust-checkpoints"]).returncode == 0
    assert here(arguments).returncode == 0
    assert [line.endswith(" --trust-checkpoints --cache ram") for line in said] == [True, False]


def test_what_changes_numbers_is_said() -> None:
    from benchmark.speed.search import Best

    combination = chosen(cache="ram", workers="4", slots="2", precision="bf16")
    lines = list(best_lines("Best", Best(combination, Rate(2.0, 1.9, 2.1)), "detboard sweep"))
    assert lines[0] == f"Best: {combination.words()}: 2.00 times the images a second (1.90–2.10)"
    assert lines[1:] == [
        "  detboard sweep",
        "  cache: from the second epoch on, as far as decoded images find room",
        "  slots: without a GPU each run has fewer threads, which changes the last digits",
        "  workers: run ids stay, and augmentations draw other random numbers",
        "  precision: changes what is trained, so that runs have other ids",
    ]
    assert line_of(START, "a", "oom: x") == "a, as the experiment has it: fails: oom: x"
    assert [*map(three_digits, (1234.5, 123.4, 12.34, 1.234, 0.1234, 0.0))] == [
        "1,234",
        "123",
        "12.3",
        "1.23",
        "0.123",
        "0.000",
    ]


def test_all_that_is_wrong_is_said_before_anything_is_measured(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    bench = Bench(synthetic_data, tmp_path / "none")

    def refused(*options: str, experiment: Path = TINY) -> str:
        done = here(["bench", str(experiment), "--data-root", str(bench.data), *options])
        assert done.returncode == 2 and "[1]" not in done.stdout
        return done.stderr

    assert "--iterations" in refused("--iterations", "1")
    errors = refused("--rows", "plain,nobody", "--set", "model.nothing=1")
    assert "--rows nobody: no such row" in errors
    errors = refused("--set", "train_dataloader.num_workers=-1", "--set", "model.nothing=1")
    assert "no such key 'nothing'" in errors

    boxes = tmp_path / "boxes.json"
    boxes.write_text("[]")

    def given(content: dict[str, object]) -> None:
        content["rows"] = [{"name": "theirs", "predictions": str(boxes)}]

    errors = refused(experiment=variant(tmp_path / "given", given))
    assert "row 'theirs' is left out: nothing is trained for it" in errors
    assert "there is no row to time" in errors
    assert not [*tmp_path.glob("detboard-bench-*")]


def test_ctrl_c_ends_the_jobs_and_leaves_nothing(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed: list[Path] = []

    class Job:
        pid, outlives_driver = 0, False

        def __init__(self, folder: Path) -> None:
            self.folder = folder

        def ended(self) -> bool:
            raise KeyboardInterrupt

        def cpu_seconds(self) -> float:
            return 0.0

        def kill(self) -> None:
            killed.append(self.folder)

    monkeypatch.setattr(LocalLauncher, "start", lambda _, folder, *more: Job(folder))
    for number in (1, 2):  # each command of a process says so
        done = here(["bench", str(TINY), "--data-root", str(synthetic_data), "--rows", "plain"])
        assert done.returncode == 130
        assert "interrupted: nothing is left of what was measured" in done.stderr
        assert len(killed) == number and not [*tmp_path.glob("detboard-bench-*")]


@pytest.fixture
def few_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A depth that there is none of; two side by side over an endless sampler, in bfloat16, with kept images."""

    def other(how: How, value: str) -> How:
        changed: dict[str, dict[str, object]] = {
            "depth": {"model.backbone.depth": 19},
            "endless": {
                "train_cfg": {"_delete_": True, "type": "IterBasedTrainLoop", "max_iters": 4},
                "train_dataloader.sampler.type": "InfiniteSampler",
                "param_scheduler": None,
                "precision": "bf16",
            },
        }
        given = {**how.request.overrides, **changed[value]}
        request = replace(how.request, overrides=given)
        return replace(how, request=request, cache=ImageCache(kind="ram"), slots=2)

    for name, choice in CHOICES.items():
        monkeypatch.setitem(CHOICES, name, replace(choice, values=lambda *_: []))
    known = replace(
        CHOICES["slots"], name="with", put=other, values=lambda *_: ["depth", "endless"]
    )
    monkeypatch.setitem(
        CHOICES, "with", replace(known, kind=Kind.OTHER, option=lambda _, value: ("--with", value))
    )


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.usefixtures("few_choices")
def test_rows_are_timed_and_no_run_is_made(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Machine, "this", lambda: Machine((), 1))
    weights = {"type": "Pretrained", "checkpoint": "https://weights.invalid/net-01234567.pth"}
    options = [
        "--rows",
        "plain",
        "--iterations",
        "6",
        "--set",
        f"+model.backbone.init_cfg={weights}",
    ]
    done = here(["bench", str(TINY), "--data-root", str(synthetic_data), *options])

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(
        "^1 row, 6 iterations each time, at most .* no run is made$", done.stdout, re.M
    )
    rate = r"\d[\d.,]* images/s \(\d[\d.,]*–\d[\d.,]*\)"
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert re.fullmatch(rf"\[1\] plain, as the experiment has it: {rate}", lines[0])
    assert lines[1] == "[2] plain, with depth: fails: KeyError: invalid depth 19 for resnet"
    assert re.fullmatch(rf"\[3\] plain, with endless: {rate}", lines[2])
    named = re.findall(r"^  detboard sweep .*$", done.stdout, re.M)
    if not named:  # what seems faster is measured again, and is named only where it still is
        assert "Nothing that was tried is faster: no difference is seen." in done.stdout
    assert re.search(r"^as the experiment has it +\d.* 1\.00$", done.stdout, re.M)
    assert "init_cfg.checkpoint: https://weights.invalid/net-01234567.pth is not on" in done.stdout
    assert "its 24 images come round several times" in done.stdout
    assert not [*tmp_path.glob("detboard-bench-*"), *tmp_path.glob("results")]


def test_batches_wait_where_a_gpu_copies_from_unless_a_loader_says_otherwise() -> None:
    config = {
        "train_dataloader": {"pin_memory": False},
        "val_dataloader": {},
        "test_dataloader": None,
    }
    pin_memory(config)
    pinned = {"train_dataloader": {"pin_memory": False}, "val_dataloader": {"pin_memory": True}}
    assert config == {**pinned, "test_dataloader": None}


def test_the_number_of_workers_decides_which_random_numbers_augmentations_draw(
    tiny_config: Any, mmdet_on_one_thread: None
) -> None:
    """Why no number is chosen for a run by itself, though none counts into the run id."""
    from mmengine.runner import Runner

    def flipped(workers: int) -> dict[int, bool]:
        loader = copy.deepcopy(tiny_config.train_dataloader)
        loader.dataset.pipeline.insert(-1, {"type": "RandomFlip", "prob": 0.5})
        loader.num_workers = workers
        batches = Runner.build_dataloader(loader, seed=0)
        samples = [sample for batch in batches for sample in batch["data_samples"]]
        return {sample.img_id: sample.flip for sample in samples}

    one, two = flipped(1), flipped(2)
    assert one.keys() == two.keys() and one != two
    assert flipped(2) == two


def test_what_is_best_stands_in_the_place_of_what_was_set() -> None:
    request = Request(TINY, Path("results"))
    given = [("--set", "precision=fp32"), ("--set", "+compile=false"), ("--set", "a.b=1")]
    asked = command._Asked(None, request, 2, False, given)  # type: ignore[arg-type]
    line = command._command(asked, [("--precision", "bf16"), ("--compile", "")])
    words = shlex.split(line)[3:]
    assert words == ["--precision", "bf16", "--compile", "--set", "a.b=1"]
