"""Plots of boards of many rows, which a process of its own draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from desk import Desk, make_desk
from test_plots import nine, plot_of

from benchmark.leaderboard import aside, write
from benchmark.leaderboard.aside import drawing_aside
from benchmark.leaderboard.outputs.plots.plots import KINDS, Plot

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(tmp_path: Path, synthetic_data: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Complete runs of which nothing is written yet, on two CPUs; their board counts as one of many rows."""
    monkeypatch.setattr(write, "WORTH_ROWS", 1)
    monkeypatch.setattr(write, "cpu_count", lambda: 2)
    return make_desk(tmp_path / "project", synthetic_data)


def pictures_in(desk: Desk) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for kind in KINDS for path in desk.results.glob(f"*.{kind}")
    }


def never(*_: Any) -> Any:
    raise AssertionError("drawn here")


def test_the_process_draws_the_bytes_that_this_one_draws() -> None:
    plots = [plot_of(nine(), name) for name in ("pareto", "intervals")]
    with drawing_aside(True) as process:
        assert process is not None
        process.begin({plot.digest: plot.numbers for plot in plots})
        drawn = process.pictures()
    assert drawn == {plot.digest: plot.pictures for plot in plots}


def test_a_report_writes_what_the_process_has_drawn(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(write, "cpu_count", lambda: 1)
        patch.setattr(aside, "_start", never)
        desk.report()
    drawn_here = pictures_in(desk)
    assert "tiny-pareto.svg" in drawn_here
    for name in drawn_here:
        (desk.results / name).unlink()
    monkeypatch.setattr(Plot, "pictures", property(never))
    status, output = desk.report()
    assert status == 0, output
    assert pictures_in(desk) == drawn_here


@pytest.mark.parametrize("how", ["dies", "cannot be started"])
def test_without_the_process_this_one_draws(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    place = desk.folder / ("no_such_program" if how != "dies" else "broken.py")
    if how == "dies":
        place.write_text("raise SystemExit(3)")
        monkeypatch.setattr(aside, "_START", place)
    else:
        monkeypatch.setattr(aside.sys, "executable", str(place))
    status, output = desk.report()
    assert status == 0, output
    assert {"tiny-pareto.png", "tiny-intervals.svg"} <= pictures_in(desk).keys()


def test_a_plot_that_the_process_cannot_draw_is_left_to_this_one() -> None:
    good, bad = plot_of(nine(), "intervals"), plot_of(nine(), "pareto")
    broken: Any = "no numbers"
    with drawing_aside(True) as process:
        assert process is not None
        process.begin({bad.digest: broken, good.digest: good.numbers})
        assert process.pictures().keys() == {good.digest}


def test_nothing_is_begun_to_check(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.report()
    monkeypatch.setattr(aside, "_start", never)
    status, output = desk.report("--check")
    assert status == 0, output


@pytest.mark.parametrize("begun", [True, False])
def test_the_process_has_ended_when_the_report_is_interrupted(
    begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, start = [], aside._start

    def remembered() -> Any:
        started.append(start())
        return started[0]

    monkeypatch.setattr(aside, "_start", remembered)
    plot = plot_of(nine(), "pareto")
    with pytest.raises(KeyboardInterrupt), drawing_aside(True) as process:
        assert process is not None
        if begun:
            process.begin({plot.digest: plot.numbers})
        raise KeyboardInterrupt
    assert started[0].returncode is not None
    assert started[0].stdin.closed and started[0].stdout.closed
