"""Tables at 80 columns, as pipes, logs and CI have them: ids, numbers and states stay whole."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from boards import make_board, make_record, make_row, result
from command import TINY, run_detboard, variant
from rich.console import Console
from rich.text import Text

from benchmark.cli.plan import plan_table
from benchmark.leaderboard.outputs.terminal import rich_table
from benchmark.run.journal import Tail
from benchmark.run.plan import Request, make_plan
from benchmark.run.record import State
from benchmark.sweep.progress import RunProgress, SweepProgress
from benchmark.sweep.watchers import LiveWatcher
from benchmark.writing.plain_stream import steerless
from benchmark.writing.terminal import Shown, show, table_of

LONG = "retinanet_with_a_name_that_says_all_there_is_to_say_of_it_and_more"  # 66 characters


def shown(width: int, terminal: bool, *names: str) -> list[str]:
    rows = [result(make_row(name), make_record(name, map50=0.25)) for name in names]
    console = Console(width=width, file=io.StringIO(), force_terminal=terminal, color_system=None)
    show(console, rich_table(make_board(*rows), console))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("terminal", [True, False])
def test_columns_are_left_out_by_rank(terminal: bool) -> None:
    """The name, the number and the state are the last; a name of up to 57 characters stays whole at 80."""
    room = {200: "3 h 07 min", 80: "-0.2027", 40: "0.2500"}
    for width, last in room.items():
        [line] = [line for line in shown(width, terminal, "r50", "r101") if line.startswith("r50 ")]
        assert len(line) <= width
        assert last in line and "0.2500" in line and line.rstrip().endswith("complete")
    [line] = [line for line in shown(80, terminal, LONG[:57]) if line.startswith("retina")]
    assert line.split() == [LONG[:57], "0.2500", "complete"]


def test_nothing_wraps_where_there_is_no_terminal() -> None:
    [line] = [line for line in shown(80, False, LONG) if line.startswith("retina")]
    assert line.split() == [LONG, "0.2500", "complete"]
    assert all(len(line) <= 80 for line in shown(80, True, LONG)), "a terminal folds the name alone"
    folded = [line for line in shown(80, True, LONG) if "0.2500" in line]
    assert len(folded) == 1 and folded[0].rstrip().endswith("complete")


@pytest.mark.parametrize("seed", range(60))
def test_lines_without_colours_are_those_of_rich(seed: int) -> None:
    random = Random(seed)
    signs = "abcdefgh-_.0123 \u00e9\u6f22\u5b57\u0301\u200b\u200d\U0001f680\u202e\x1b\n"[
        : 20 + seed
    ]

    def text() -> str:
        return "".join(random.choices(signs, k=random.randrange(9)))

    lines, heading = [(text(), text(), text()) for _ in range(random.randrange(5))], text()
    width = random.randrange(8, 60)
    cells = [[Text(line[number]) for line in lines] for number in range(3)]
    columns = [
        Shown("a", "name", cells[0]),
        Shown("b", heading, cells[1], right=True),
        Shown("c", "state", cells[2], elastic=True),
    ]
    texts = []
    for of in (show, lambda console, table: console.print(table, soft_wrap=True)):
        console = Console(width=width, file=io.StringIO(), force_terminal=False)
        of(console, table_of("What it is", columns, console))
        texts.append(steerless(console.file.getvalue()))  # type: ignore[attr-defined]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(("width", "shown"), [(100, "ETA"), (64, "mAP50"), (54, "state")])
def test_the_live_table_breaks_no_run_id(width: int, shown: str) -> None:
    console = Console(width=width, height=20, file=io.StringIO(), force_terminal=True)
    name = f"{LONG[:20]}-s0-full-12345678"
    progress = SweepProgress(2, {name: RunProgress(Tail(Path("/nowhere")))})
    watcher = LiveWatcher(console, progress, [f"{name}-waits"])
    with watcher:
        watcher.tick()
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert name in said and f"{name}-waits" in said and shown in said


def test_a_plan_in_a_pipe_breaks_no_run_id(tmp_path: Path, synthetic_data: Path) -> None:
    def renamed(content: dict[str, list[dict[str, str]]]) -> None:
        content["rows"][1]["name"] = LONG[:60]

    experiment = variant(tmp_path, renamed)  # type: ignore[arg-type]
    options = ["--data-root", str(synthetic_data), "--results", str(tmp_path / "results")]
    done = run_detboard("plan", str(experiment), *options, COLUMNS="80")
    lines = [line.split() for line in done.stdout.splitlines() if line.endswith("waiting")]
    assert [ending for *_, ending in lines] == ["waiting"] * 2, done.stdout + done.stderr
    assert [words[0].rpartition("-")[0] for words in lines] == [
        "plain-s0-tiny",
        f"{LONG[:60]}-s0-tiny",
    ]


def test_a_plan_says_at_80_columns_why_a_job_waits(tmp_path: Path, synthetic_data: Path) -> None:
    made = make_plan(Request(TINY, tmp_path / "results", data_root=synthetic_data))
    why = "Slurm job 1235_12: Slurm holds a job back for two minutes that it has put back"
    queued = replace(made.runs[0], state=State.QUEUED, standing=why)
    console = Console(width=80, file=io.StringIO(), color_system=None)
    show(console, plan_table(replace(made, runs=(queued, made.runs[1])), console))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert all(len(line) <= 80 for line in lines)
    assert any(queued.spec.run_id in line for line in lines)
    states = " ".join(line[lines[1].index("state") :] for line in lines[2:])
    assert " ".join(states.split()) == f"queued, {why} waiting"


def test_the_live_table_shows_a_queued_job_and_no_time_that_is_left() -> None:
    console = Console(width=120, height=20, file=io.StringIO(), force_terminal=True)
    waits = RunProgress(Tail(Path("/nowhere")), state=State.QUEUED, eta_s=60.0)
    waits.standing = "Slurm job 12: Resources"
    with LiveWatcher(console, SweepProgress(1, {"plain-s0-full-12345678": waits})) as watcher:
        watcher.tick()
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1 queued" in said and "Slurm job 12: Resources" in said
    assert "0:01:00" not in said
