"""The leaderboard as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from benchmark.leaderboard.agreement import agreement_text
from benchmark.leaderboard.columns.on_test import TEST_MAP50
from benchmark.leaderboard.outputs.base import text_output
from benchmark.run.record import State
from benchmark.writing.markdown import escape, link, piped_table
from benchmark.writing.words import DASH, fraction, shortened

if TYPE_CHECKING:
    from benchmark.leaderboard.columns.column import Column, Group
    from benchmark.leaderboard.document import ClassPrecision, Leaderboard, Line
    from benchmark.leaderboard.run_of_row import Run

_SHORT = ("row", "leaderboard_map50", "published_split", "map50", "test_map50", "status")
_SHORT_UNPUBLISHED = ("rank", "row", "map50", "interval", "status")
_OF_PUBLISHED = ("leaderboard_map50", "difference", "published_inside")
_SHORT_ON_TEST = ("rank", "row", "test_map50", "test_interval", "status")
_ADDRESS = re.compile("https?://")  # no path of this machine is linked
_MOST_CLASSES = 20  # a wider table is for the page and the JSON file


def table_text(leaderboard: Leaderboard) -> str:
    """The pipe table of the columns for readers; the best measured mAP50 is bold.

    Columns of published values are left out where no row has one.
    """
    left_out = () if _has_published(leaderboard) else _OF_PUBLISHED
    columns = [column for column in leaderboard.main_columns if column.key not in left_out]
    return _columns_text(leaderboard, columns)


def _has_published(leaderboard: Leaderboard) -> bool:
    return any(line.values["leaderboard_map50"] is not None for line in leaderboard.rows)


def short_table_text(leaderboard: Leaderboard) -> str:
    """The pipe table in a line's width: each row's name, its published value, what was measured, its state.

    Where no row has a published value, rank and interval stand in its place.
    """
    by_key = {column.key: column for column in leaderboard.declared}
    ranked = _SHORT_ON_TEST if leaderboard.judge else _SHORT_UNPUBLISHED
    keys = _SHORT if _has_published(leaderboard) else ranked
    return _columns_text(leaderboard, [by_key[key] for key in keys if key in by_key])


def _columns_text(leaderboard: Leaderboard, columns: Sequence[Column]) -> str:
    titles = leaderboard.titles
    top = leaderboard.best
    lines = [[escape(titles[column.key]) for column in columns]]
    for position, cells in enumerate(leaderboard.texts):
        bold = leaderboard.judged_key if position in top else ""
        lines.append([_cell(cells[c.key], c.key == bold) for c in columns])
    return piped_table(lines, [column.right for column in columns])


def _cell(text: str, bold: bool) -> str:
    return f"**{escape(text)}**" if bold else escape(text)


def page(leaderboard: Leaderboard) -> str:
    """The whole page: title, what was run on what, the tables, and the failures with their causes.

    It names no time, no machine and no absolute path of its own: same records in, same bytes out.
    """
    parts = [f"# {escape(leaderboard.heading)}\n", _facts(leaderboard), table_text(leaderboard)]
    parts += [f"{escape(text)}.\n"] if (text := agreement_text(leaderboard)) else []
    measured = ("map50", TEST_MAP50)  # rows that are trained on train and val have the latter alone
    if any(line.values.get(key) is not None for line in leaderboard.rows for key in measured):
        parts += _sections(leaderboard)
    earlier = (f"- {escape(sentence)}\n" for sentence in leaderboard.earlier_better)
    parts += _listed("Notes", _notes(leaderboard))
    parts += _listed("Better before the end", earlier)
    parts += _listed("Failed runs", _failures(leaderboard))
    parts += _listed("Dashes", _dashes(leaderboard))
    parts += _listed("Published values", _sources(leaderboard))
    return "\n".join(parts)


def _facts(leaderboard: Leaderboard) -> str:
    several = " (values are means over the complete ones)" if len(leaderboard.seeds) > 1 else ""
    images = leaderboard.dataset.val_images
    known = f", {images} validation images" if images else ""
    if images and leaderboard.dataset.folds:
        known = f", {images} images in {leaderboard.dataset.folds} folds, each validated on once"
    return (
        f"- Profile: {escape(leaderboard.profile)}\n"
        f"- Data set: {dataset_text(leaderboard)}{known}\n"
        f"{_test(leaderboard)}"
        f"- Seeds: {', '.join(map(str, leaderboard.seeds))}{several}\n"
        f"- Rows complete: {leaderboard.progress}\n"
        f"- {method_text(leaderboard)}\n"
        f"{_selection(leaderboard)}"
    )


def _test(leaderboard: Leaderboard) -> str:
    test = leaderboard.dataset.test
    words = f"- Test split: {_digits(test.sha256)}, {test.images} images\n" if test else ""
    return words + (f"- Rows are {escape(leaderboard.judged_by)}\n" if leaderboard.judge else "")


def _selection(leaderboard: Leaderboard) -> str:
    return f"- Note: {escape(leaderboard.selection)}\n" if leaderboard.selection else ""


def method_text(leaderboard: Leaderboard) -> str:
    """How to read intervals and ranks, in a sentence."""
    method = leaderboard.method
    over = leaderboard.resampled
    if method.folds:
        return (
            f"Values: means over {over}, over seeds within a fold first. Intervals: {method.level * 100:g} %, "
            f"{escape(method.folds)}; {_ranked_over_folds(leaderboard)}"
        )
    return (
        f"Intervals: {method.level * 100:g} %, over {over} ({method.resamples:,} bootstrap resamples); rows whose "
        f"difference a paired test does not separate ({escape(method.correction)}) share ranks"
    )


def _ranked_over_folds(leaderboard: Leaderboard) -> str:
    """Which rows share ranks where the data is divided; every fold's run has seen the same test images."""
    method = leaderboard.method
    on_test = f"over images and runs ({method.resamples:,} bootstrap resamples)"
    ranked = f"({escape(method.correction)}) share ranks"
    if leaderboard.judge:
        return f"on the test split {on_test}; rows whose difference there a paired test does not separate {ranked}"
    after = f"; intervals on the test split: {on_test}" if leaderboard.dataset.test else ""
    return f"rows whose difference, paired by fold, it does not separate {ranked}{after}"


def dataset_text(leaderboard: Leaderboard) -> str:
    """The dataset's name and the first digits of its annotation files' SHA-256."""
    data = leaderboard.dataset
    second = "folds" if data.folds else "val"
    return f"{escape(data.name)} ({hashes_text(data.train, data.val, second)})"


def hashes_text(train: str, val: str, second: str = "val") -> str:
    """The first digits of the SHA-256 of a dataset's annotation files, or of the divided one and its ``folds``."""
    return f"train {_digits(train)}, {second} {_digits(val)}"


def _digits(sha256: str) -> str:
    return f"`{''.join(one for one in sha256[:8] if one.isalnum())}`"


_TITLES: dict[Group, tuple[str, str]] = {
    "quality": ("Quality", "Average precision over IoU thresholds and object sizes."),
    "errors": (
        "Errors",
        "How much mAP50 would rise without one kind of error ([TIDE](https://arxiv.org/abs/2008.08115)).",
    ),
    "cost": ("Cost", "Latency is that of the whole predict path at batch 1."),
}


def _sections(leaderboard: Leaderboard) -> list[str]:
    parts = []
    for group, (title, words) in _TITLES.items():
        columns = [
            c for c in leaderboard.declared if c.key == "row" or (c.group == group and c.shown)
        ]
        parts += [f"## {title}\n", f"{words}\n", _columns_text(leaderboard, columns)]
        if group == "quality":
            parts += _per_class(leaderboard, "validation", lambda line: line.per_class)
        if group == "quality" and leaderboard.dataset.test:
            parts += _per_class(leaderboard, "test", lambda line: line.test_per_class)
    return [*parts, "## Where the numbers come from\n", _origins(leaderboard)]


def _per_class(
    leaderboard: Leaderboard, split: str, of: Callable[[Line], Mapping[str, ClassPrecision]]
) -> list[str]:
    classes = leaderboard.dataset.classes
    if len(classes) > _MOST_CLASSES:
        return []
    lines = [["Row", *map(escape, classes)]]
    for line in leaderboard.rows:
        found = (of(line).get(name) for name in classes)
        values = [None if of_class is None else of_class.mAP50 for of_class in found]
        cells = [DASH if value is None else fraction(value) for value in values]
        lines.append([escape(line.row), *cells])
    table = piped_table(lines, [False, *(True for _ in classes)])
    on = " on the test split" if split == "test" else ""
    return [f"### mAP50 of each class{on}\n", table]


def _origins(leaderboard: Leaderboard) -> str:
    of_fold = ["Fold"] if leaderboard.dataset.folds else []
    lines = [["Run", "Seed", *of_fold, "mAP50", "Commit", "Config", "W&B"]]
    for line in leaderboard.rows:
        lines += [_origin(run) for run in line.runs if run.run_id is not None]
    return piped_table(lines, [False, *(True for _ in ("Seed", *of_fold, "mAP50")), *[False] * 3])


def _origin(run: Run) -> list[str]:
    commit = (run.commit or DASH)[:8] + (" (changed)" if run.dirty else "")
    tracked = run.url is not None and run.url.startswith(("http://", "https://"))
    return [
        link(run.run_id or "", run.folder),
        str(run.seed),
        *([] if run.fold is None else [str(run.fold)]),
        DASH if run.map50 is None else fraction(run.map50),
        escape(commit),
        escape((run.config_sha256 or DASH)[:8]),
        link("run", run.url) if tracked else DASH,
    ]


def _listed(title: str, lines: Iterator[str]) -> list[str]:
    found = "".join(lines)
    return [f"## {title}\n", found] if found else []


def _notes(leaderboard: Leaderboard) -> Iterator[str]:
    """A line for every sentence on how the boxes of a row came about."""
    for line in leaderboard.rows:
        for note in line.notes:
            yield f"- {escape(line.row)}: {escape(note)}\n"


def _failures(leaderboard: Leaderboard) -> Iterator[str]:
    for line in leaderboard.rows:
        for run in line.runs:
            if run.state == State.FAILED.value:
                yield _failure(line, run)


def _failure(line: Line, run: Run) -> str:
    kind = run.failure.kind if run.failure else "error"
    message = run.failure.message if run.failure else ""
    cause = escape(shortened(message)) if message else "no message"
    log = link("log", f"{run.folder}/log.txt")
    return f"- {escape(line.row)}, {run.which}: {escape(kind)}: {cause} ({log})\n"


def _dashes(leaderboard: Leaderboard) -> Iterator[str]:
    """A line for every reason that a complete row lacks a value for."""
    titles = leaderboard.titles
    readers = {column.key for column in leaderboard.declared if column.shown}
    for line in leaderboard.rows:
        shown = [key for key in line.missing if key in readers]
        for why in dict.fromkeys(line.missing[key] for key in shown):
            names = ", ".join(titles[key] for key in shown if line.missing[key] == why)
            yield f"- {escape(line.row)}: {escape(names)}: {escape(shortened(why))}\n"


def _sources(leaderboard: Leaderboard) -> Iterator[str]:
    """A line for every published value of which the experiment says where it stands."""
    for line, words in zip(leaderboard.rows, leaderboard.texts, strict=True):
        if source := line.values.get("published_source"):
            on = f" on {words['published_split']}" if "published_split" in words else ""
            where = link(shortened(source), source if _ADDRESS.match(source) else None)
            yield f"- {escape(line.row)}: {words['leaderboard_map50']}{on}: {where}\n"


MARKDOWN = text_output(".md", page)
