from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boards import failed, make_board, make_record, make_row, result
from nine_rows import PARAMETERS, ROWS
from PIL import Image
from records import latency

from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.outputs.plots.plots import NAMES, Plot, PlotFile, plots
from benchmark.leaderboard.results import RowResult
from benchmark.run.record import State
from benchmark.statistics.intervals import Interval
from benchmark.statistics.ranks import Rank
from benchmark.writing import drawing
from benchmark.writing.drawing import digest_in

NINE = [(r.name, r.published.value, PARAMETERS[r.name]) for r in ROWS if r.published]


def row(name: str, map50: float, params: int, profile: str = "full", **changes: Any) -> RowResult:
    """A complete row with an interval of ±0.02, and published 0.01 above what was measured."""
    changes = {"latency_ms": latency(params / 1e6, 99.0), **changes}
    record = make_record(name, map50=map50, params=params, profile=profile, **changes)
    found = result(make_row(name, published=map50 + 0.01), record)
    return replace(found, interval=Interval(map50 - 0.02, map50 + 0.02), rank=Rank(1, 3))


def nine(profile: str = "full") -> Leaderboard:
    return make_board(*(row(*about, profile=profile) for about in NINE), profile=profile)


def curves_of(board: Leaderboard, epochs: Sequence[int] = (1, 2, 3)) -> dict[str, Any]:
    """Each run's mAP50 rises in a straight line to its row's."""
    return {
        run.run_id: {
            "row": line.row,
            "seed": run.seed,
            "val": {
                "epoch": list(epochs),
                "mAP50": [line.values["map50"] * epoch / epochs[-1] for epoch in epochs],
            },
        }
        for line in board.rows
        for run in line.runs
    }


def plot_of(board: Leaderboard, name: str) -> Plot:
    return dict(zip(NAMES, plots(board, curves_of(board)), strict=True))[name]


def write(board: Leaderboard, folder: Path) -> list[Path]:
    """Writes what is outdated, and gives it."""
    written = []
    for plot in plots(board, curves_of(board)):
        files = outdated(plot, folder)
        for file in files:
            file.write()
        written += [file.path for file in files]
    return written


def outdated(plot: Plot, folder: Path) -> list[PlotFile]:
    return [file for file in plot.files(folder) if not file.is_right()]


def draw(plot: Plot, folder: Path) -> list[Path]:
    """Draws both files."""
    for file in plot.files(folder):
        file.write()
    return [file.path for file in plot.files(folder)]


def title_of(plot: Plot) -> str:
    return plot.numbers.draw().get_suptitle()


def labels_of(plot: Plot) -> tuple[list[str], list[Any]]:
    """The names beside the points, and the boxes that they fill, in pixels."""
    figure = plot.numbers.draw()
    figure.draw_without_rendering()
    [axes] = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    frame = figure.bbox
    assert all(frame.x0 <= b.x0 and b.x1 <= frame.x1 and b.y1 <= frame.y1 for b in boxes)
    return [text.get_text() for text in axes.texts], boxes


def overlapping(boxes: list[Any]) -> list[tuple[int, int]]:
    pairs = [(a, b) for a in range(len(boxes)) for b in range(a)]
    return [(a, b) for a, b in pairs if boxes[a].overlaps(boxes[b])]


def colors_in(path: Path) -> dict[str, int]:
    with Image.open(path) as image:
        assert 800 <= image.width <= 1600
        found = image.convert("RGB").getcolors(1 << 24)
    return {f"#{bytes(color).hex().upper()}": number for number, color in found}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plots of nine rows; tests share it and must not write into it."""
    folder = tmp_path_factory.mktemp("drawn")
    write(nine(), folder)
    return folder


@pytest.fixture
def copied(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "copied"))


# Files


@pytest.mark.slow
def test_every_plot_is_a_png_and_an_svg_that_say_what_they_show(drawn: Path) -> None:
    assert sorted(path.name for path in drawn.iterdir()) == sorted(
        f"board-{name}.{kind}" for name in NAMES for kind in ("png", "svg")
    )
    for plot in plots(nine(), curves_of(nine())):
        png, svg = (file.path for file in plot.files(drawn))
        assert [digest_in(path) for path in (png, svg)] == [plot.digest] * 2
        assert svg.read_text().startswith("<?xml")
        assert colors_in(png)[drawing.BLUE] > 20
    assert colors_in(drawn / "board-pareto.png")[drawing.ORANGE] > 20
    assert colors_in(drawn / "board-intervals.png")[drawing.VERMILLION] > 20


@pytest.mark.slow
def test_a_plot_that_shows_its_numbers_is_not_drawn_again(copied: Path) -> None:
    assert write(nine(), copied) == []
    (copied / "board-curves.svg").write_text("<svg/>")
    (copied / "board-intervals.png").unlink()
    again = [copied / "board-intervals.png", copied / "board-curves.svg"]
    assert write(nine(), copied) == again
    assert write(nine(), copied) == []


def test_another_number_makes_another_digest() -> None:
    before = plots(nine(), curves_of(nine()))
    slower = row(*NINE[0], latency_ms=latency(70.0, 99.0))
    board = make_board(slower, *(row(*about) for about in NINE[1:]))
    after = plots(board, curves_of(board))
    changed = [a.name for a, b in zip(after, before, strict=True) if a.digest != b.digest]
    assert changed == ["pareto-latency"]


def test_a_difference_beyond_the_sixth_digit_is_none() -> None:
    name, map50, params = NINE[0]
    board = make_board(row(name, map50 + 1e-12, params), *(row(*about) for about in NINE[1:]))
    assert plot_of(board, "intervals").digest == plot_of(nine(), "intervals").digest


@pytest.mark.parametrize("name", ["pareto", "curves"])
def test_the_same_numbers_give_the_same_bytes(drawn: Path, tmp_path: Path, name: str) -> None:
    plot = plot_of(nine(), name)
    for path in draw(plot, tmp_path):
        assert path.read_bytes() == (drawn / path.name).read_bytes()
        assert b"<dc:date>" not in path.read_bytes()


def test_what_can_no_longer_be_drawn_is_removed(copied: Path) -> None:
    board = make_board(result(make_row(), failed("r50")))
    wanted = plots(board, {})
    assert [plot.missing for plot in wanted] == [
        "no complete row has its parameters measured",
        "no complete row has its latency measured",
        "no row is complete",
        "no complete run has a curve",
    ]
    for plot in wanted:
        assert outdated(plot, copied) == plot.files(copied)
        draw(plot, copied)
        assert outdated(plot, copied) == []
    assert list(copied.iterdir()) == []


def test_matplotlib_is_imported_only_to_draw(drawn: Path) -> None:
    code = (
        "import sys, test_plots as t\n"
        f"print(t.write(t.nine(), t.Path({str(drawn)!r})))\n"
        "print({'matplotlib', 'adjustText', 'pandas', 'torch'} & set(sys.modules) or 'none')"
    )
    folder = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "none"], done.stderr


# Pareto


def test_the_front_is_what_no_cheaper_row_reaches() -> None:
    found = {point.row: point.front for point in plot_of(nine(), "pareto").numbers.points}
    assert [name for name in found if found[name]] == [
        "r50_fpn_3x",
        "convnext_tiny_fpn_3x",
        "convnext_large_fpn_3x",
    ]


@pytest.mark.parametrize(("ranks", "joined"), [((3, 2, 1), True), ((1, 1, 1), False)])
def test_the_front_is_joined_where_its_rows_are_separated(
    ranks: tuple[int, ...], joined: bool
) -> None:
    board = nine()
    names = ["r50_fpn_3x", "convnext_tiny_fpn_3x", "convnext_large_fpn_3x"]
    for line in board.rows:
        first = ranks[names.index(line.row)] if line.row in names else 9
        line.values.update(rank_first=first, rank_last=9 if not joined else first)
    numbers = plot_of(board, "pareto").numbers
    found = {point.row: point.joined for point in numbers.points}
    assert [found[name] for name in names] == [False, joined, joined]
    assert ("No line where" in numbers.frame.note) is not joined


def test_latency_is_drawn_with_its_spread() -> None:
    board = nine()
    line = board.rows[0]
    line.values.update(latency_ms=40.0, latency_p95_ms=55.0)
    [point] = [p for p in plot_of(board, "pareto-latency").numbers.points if p.row == line.row]
    assert (point.x, point.up_to) == (40.0, 55.0)


def test_equal_rows_are_on_the_front_together() -> None:
    twins = make_board(row("a", 0.5, 10), row("b", 0.5, 10), row("worse", 0.4, 10))
    found = {point.row: point.front for point in plot_of(twins, "pareto").numbers.points}
    assert found == {"a": True, "b": True, "worse": False}


@pytest.mark.parametrize("name", ["pareto", "pareto-latency"])
def test_nine_rows_are_all_named_and_no_name_lies_over_another(name: str) -> None:
    names, boxes = labels_of(plot_of(nine(), name))
    assert sorted(names) == sorted(name for name, _, _ in NINE)
    assert overlapping(boxes) == []


def crowd() -> Leaderboard:
    """Sixty rows, many of them close to each other."""
    return make_board(
        *(
            row(f"backbone{i}_fpn_3x", 0.3 + (i * 37 % 60) / 200, 10**7 * (1 + i * 17 % 12))
            for i in range(60)
        )
    )


@pytest.mark.slow
def test_a_line_joins_a_name_that_lies_apart_with_its_point() -> None:
    from matplotlib.collections import LineCollection  # a report that is right imports none of it

    plot = plot_of(crowd(), "pareto")
    [axes] = plot.numbers.draw().axes
    to_pixels, drawn = axes.transData.transform, axes.collections[-1]
    assert isinstance(drawn, LineCollection)
    lines = [to_pixels(line) for line in drawn.get_segments()]
    points = {point.row: to_pixels((point.x, point.y)) for point in plot.numbers.points}
    apart = [text for text in axes.texts if not near(text, points[text.get_text()], 10)]
    assert len(apart) > 1
    for text in apart:
        point = points[text.get_text()]
        [(begin, _)] = [line for line in lines if abs(line[1] - point).max() < 5]
        assert near(text, begin, 5)


def near(text: Any, place: Any, pixels: float) -> bool:
    return bool(text.get_window_extent().padded(pixels).contains(*place))


@pytest.mark.slow
def test_of_many_rows_the_front_and_the_best_are_named() -> None:
    plot = plot_of(crowd(), "pareto")
    names, boxes = labels_of(plot)
    front = {point.row for point in plot.numbers.points if point.front}
    assert front <= set(names)
    assert len(front) < len(names) <= 15
    assert overlapping(boxes) == []


def test_a_row_without_the_cost_is_said_to_be_left_out() -> None:
    board = make_board(row("a", 0.5, 10**7), row("b", 0.4, 10**7, latency_ms=None))
    assert "1 of 2 rows are left out: latency not known." in title_of(
        plot_of(board, "pareto-latency")
    )
    assert "left out" not in title_of(plot_of(board, "pareto"))


def test_latencies_of_several_devices_are_said_not_to_compare() -> None:
    here = plot_of(make_board(row("a", 0.5, 10**7)), "pareto-latency").numbers.x_label
    assert here == "latency (ms an image at batch 1, median to 95th percentile; CPU: abacus)"
    other = row("b", 0.4, 10**7, provenance={"device": "CUDA: NVIDIA H100"})
    both = plot_of(make_board(row("a", 0.5, 10**7), other), "pareto-latency").numbers.x_label
    assert "several devices, which do not compare" in both


# Intervals


def test_the_forest_has_the_best_row_first_with_interval_rank_and_published_value() -> None:
    bars = plot_of(nine(), "intervals").numbers.bars
    assert [bar.row for bar in bars] == [name for name, _, _ in reversed(NINE)]
    best = bars[0]
    assert (best.value, best.low, best.high) == (0.6073, 0.5873, 0.6273)
    (rounded,) = plot_of(make_board(row("a", 0.7286496, 10)), "intervals").numbers.bars
    assert f"{rounded.value:.4f}" == "0.7286"  # as in the table
    assert (best.published, best.rank) == (0.6173, "1–3")


@pytest.mark.slow
def test_published_values_are_not_beside_a_shortened_training(tmp_path: Path) -> None:
    board = nine("smoke")
    for name in NAMES:
        assert board.caveat in title_of(plot_of(board, name))
        assert board.caveat not in title_of(plot_of(nine(), name))
    plot = plot_of(board, "intervals")
    assert {bar.published for bar in plot.numbers.bars} == {None}
    draw(plot, tmp_path)
    assert drawing.VERMILLION not in colors_in(tmp_path / "board-intervals.png")


def test_a_single_row_without_interval_and_rank_is_drawn(tmp_path: Path) -> None:
    plot = plot_of(make_board(result(make_row(), make_record())), "intervals")
    assert [(bar.low, bar.rank) for bar in plot.numbers.bars] == [(None, "")]
    draw(plot, tmp_path)
    assert colors_in(tmp_path / "board-intervals.png")[drawing.BLUE] > 20


def test_of_many_rows_the_best_are_shown_and_that_is_said() -> None:
    board = make_board(*(row(f"row{i:02}", 0.1 + i / 200, 10**7) for i in range(60)))
    for name, most in (("intervals", 40), ("curves", 12)):
        plot = plot_of(board, name)
        shown = plot.numbers.bars if name == "intervals" else plot.numbers.curves
        assert [line.row for line in shown] == [f"row{i:02}" for i in range(59, 59 - most, -1)]
        assert f"The best {most} of 60 rows." in title_of(plot)


# Curves


def test_a_curve_is_the_mean_of_the_complete_seeds_at_their_common_epochs() -> None:
    lost = State.LOST
    seeds = result(make_row(), make_record(seed=0), make_record(seed=1), failed("r50", 2), lost)
    board = make_board(seeds)
    values = {0: [0.1, None, 0.3], 1: [0.3, 0.4, 0.4], 2: [9.0, 9.0, 9.0]}
    curves = {
        f"r50-s{seed}-full-12345678": {"val": {"epoch": [1, 2, 3], "mAP50": found}}
        for seed, found in values.items()
    }
    [curve] = plots(board, curves)[3].numbers.curves
    assert (curve.row, curve.seeds, curve.epochs) == ("r50", 2, (1, 3))
    assert (curve.mean, curve.low, curve.high) == ((0.2, 0.35), (0.1, 0.3), (0.3, 0.4))


def test_more_curves_than_one_panel_can_hold_have_a_panel_each() -> None:
    board = make_board(*(row(f"row{i:02}", 0.1 + i / 50, 10**7) for i in range(11)))
    figure = plot_of(board, "curves").numbers.draw()
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        f"row{i:02}" for i in range(10, -1, -1)
    ]
    assert len(plot_of(nine(), "curves").numbers.draw().axes) == 1


# Text


@pytest.mark.slow
def test_words_are_shown_as_they_are_and_never_as_formulas(tmp_path: Path) -> None:
    device = "a $x$ \\ $\\frac{ <script>"
    strange = row("n" * 100, 0.4, 10**7, provenance={"device": device})
    board = make_board(strange).model_copy(update={"title": "Cost in $ and $\\frac{ & <b>"})
    plot = plot_of(board, "pareto-latency")
    assert r"\$x\$ \ \$\frac{ <script>" in plot.numbers.draw().axes[0].get_xlabel()
    assert title_of(plot).startswith(r"Cost in \$ and \$\frac{ & <b>: mAP50 against latency")
    [name], _ = labels_of(plot)
    assert (len(name), "…" in name) == (30, True)
    draw(plot, tmp_path)
    assert "<script>" not in (tmp_path / "board-pareto-latency.svg").read_text()
