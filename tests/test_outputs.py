"""The table of outputs: each is written and compared in the same way, and fails by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from desk import Desk, make_desk

import benchmark.leaderboard.curves
import benchmark.leaderboard.kept
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.kept import leaderboards
from benchmark.leaderboard.outputs import OUTPUTS
from benchmark.leaderboard.outputs.base import text_output

PLOTS = [f"tiny-{name}" for name in ("pareto", "intervals")]


@pytest.fixture
def desk(tmp_path: Path, synthetic_data: Path) -> Desk:
    """Complete runs, of which nothing is written yet."""
    return make_desk(tmp_path / "project", synthetic_data)


def best_rows(leaderboard: Leaderboard) -> str:
    """An output of one's own: the rows' names, best first."""
    return "".join(f"{line.row}\n" for line in leaderboard.ranked)


def test_an_output_is_one_entry(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OUTPUTS, "names", text_output(".names.txt", best_rows))
    status, output = desk.report()
    path = desk.results / "tiny.names.txt"
    assert (status, path.read_text()) == (0, "plain\nmomentum\n"), output
    assert f"wrote {path}" in output
    path.write_text("plain\n")
    status, output = desk.report("--check")
    assert status == 1
    assert "+momentum" in output and f"differs {path}" in output
    assert desk.report()[0] == 0
    assert desk.report("--check")[0] == 0


def test_a_sweep_with_nothing_to_do_writes_a_file_that_is_missing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.cli.sweep import run_sweep
    from benchmark.run.plan import Request

    desk.report()
    monkeypatch.setitem(OUTPUTS, "names", text_output(".names.txt", best_rows))
    request = Request(desk.experiment, desk.results, data_root=desk.data)
    assert run_sweep(request, None, "local", "off", set())
    assert (desk.results / "tiny.names.txt").exists()


def test_an_output_that_fails_costs_its_file_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Leaderboard) -> str:
        raise RuntimeError("no ink")

    monkeypatch.setitem(OUTPUTS, "Markdown", text_output(".md", broken))  # the first
    status, output = desk.report()
    assert status == 1
    assert "warning: tiny.md: cannot be made: RuntimeError: no ink" in output
    assert "tiny.md" not in written(desk)
    assert {"tiny.csv", "tiny.json", "tiny.html", "tiny-pareto.svg"} <= written(desk)
    assert "| Rank | Model     |" in (desk.folder / "README.md").read_text()


def written(desk: Desk) -> set[str]:
    return {path.name for path in desk.results.glob("tiny*")}


@pytest.mark.parametrize("part", ["render.render", "payload.payload", "payload.gallery"])
def test_a_page_that_fails_costs_the_page(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def broken(*_: Any) -> str:
        raise RuntimeError("no ink")

    monkeypatch.setattr(f"benchmark.leaderboard.outputs.page.{part}", broken)
    status, output = desk.report()
    assert status == 1
    assert "warning: tiny.html: cannot be made: RuntimeError: no ink" in output
    assert "tiny.html" not in written(desk)
    assert {f"{name}.{kind}" for name in PLOTS for kind in ("png", "svg")} <= written(desk)


def test_a_plot_that_fails_costs_its_files(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no paint")

    monkeypatch.setattr("benchmark.leaderboard.panels.Forest.draw", broken)
    status, output = desk.report()
    assert status == 1
    for kind in ("png", "svg"):
        problem = f"tiny-intervals.{kind}: cannot be made: RuntimeError: no paint"
        assert f"warning: {problem}" in output
    assert {"tiny.html", "tiny-pareto.png", "tiny-pareto.svg"} <= written(desk)
    assert "tiny-intervals.png" not in written(desk)


def test_the_journals_are_read_once_for_the_page_and_the_plots(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in desk.results.glob("runs/*"):
        (folder / "metrics.jsonl").write_text(
            '{"kind": "val", "iter": 1, "epoch": 1.0, "mAP50": 0.5}\n'
        )
    read, paths = benchmark.leaderboard.curves._points, []

    def counting(path: Path) -> Any:
        paths.append(path)
        return read(path)

    monkeypatch.setattr("benchmark.leaderboard.curves._points", counting)
    status, output = desk.report()
    assert status == 0, output
    assert {"tiny.html", "tiny-curves.png"} <= written(desk)
    assert len(paths) == len(set(paths)) == 2


def test_a_leaderboard_is_parsed_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.report()
    read, names = benchmark.leaderboard.kept.read_json, []

    def counting(path: Path) -> Any:
        names.append(path.name)
        return read(path)

    monkeypatch.setattr("benchmark.leaderboard.kept.read_json", counting)
    (desk.results / "copy.json").write_text((desk.results / "tiny.json").read_text())
    assert list(leaderboards(desk.results, [])) == ["tiny"]
    assert sorted(names) == sorted(path.name for path in desk.results.glob("*.json"))
