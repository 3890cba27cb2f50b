"""The objects of a data set as each row's model sees them, beside the anchors that are to find them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from benchmark.config.anchors import Anchors, Head, heads_of
from benchmark.config.input_size import InputSize, input_size
from benchmark.config.retarget import dataset_leaves
from benchmark.config.tree import Config
from benchmark.data.annotations import read_annotations
from benchmark.data.object_sizes import ClassSizes, object_sizes
from benchmark.errors import few, printable
from benchmark.run.plan import Plan
from benchmark.writing.words import DASH, counted

_WIDTH = 80
_WIDEST = 36  # of a class name: with four columns, a line fits a terminal of 80 columns

# They do not ask for an overlap: ATSS takes the nearest anchors of each level and the best of these, TOOD those whose
# predictions fit, FSAF and GridAssigner cells at an object's centre.
_BY_RANK = frozenset(
    {"ATSSAssigner", "CenterRegionAssigner", "GridAssigner", "TaskAlignedAssigner"}
)


@dataclass(frozen=True)
class Alike:
    """Rows that look for objects in the same way.

    Attributes:
        rows: Their names.
        heads: Their heads.
    """

    rows: tuple[str, ...]
    heads: tuple[Head, ...]


@dataclass(frozen=True)
class Seen:
    """Objects as some rows' models see them.

    Attributes:
        size: Of the images, None where the configs do not tell.
        files: The annotation files that are learnt from.
        classes: Sizes of the objects, in pixels of the input; empty where its size is not known.
        alike: The rows, those that have the same heads together.
    """

    size: InputSize | None
    files: tuple[Path, ...]
    classes: tuple[ClassSizes, ...]
    alike: tuple[Alike, ...]


def objects_seen(plan: Plan) -> list[Seen]:
    """Sizes of the objects that the rows of a plan learn from, at the input of each; of rows that are trained.

    Raises:
        UserError: An annotation file cannot be read, or is not in COCO's form.
    """
    configs = {run.spec.row: dict(run.config) for run in plan.runs if run.config}
    inputs = {row: (input_size(config), _files(config)) for row, config in configs.items()}
    return [
        Seen(size, files, _classes(size, files), _alike(configs, inputs, (size, files)))
        for size, files in dict.fromkeys(inputs.values())
    ]


_Input = tuple[InputSize | None, tuple[Path, ...]]


def _files(config: Config) -> tuple[Path, ...]:
    leaves = dataset_leaves(config.get("train_dataloader"))
    return tuple(dict.fromkeys(Path(leaf["ann_file"]) for leaf in leaves))


def _classes(size: InputSize | None, files: Sequence[Path]) -> tuple[ClassSizes, ...]:
    if size is None:
        return ()
    return tuple(object_sizes([read_annotations(path) for path in files], size.factors))


def _alike(configs: dict[str, Config], inputs: dict[str, _Input], of: _Input) -> tuple[Alike, ...]:
    heads = {row: tuple(heads_of(configs[row])) for row, seen in inputs.items() if seen == of}
    groups: dict[str, list[str]] = {}
    for row, found in heads.items():
        groups.setdefault(repr(found), []).append(row)
    return tuple(Alike(tuple(rows), heads[rows[0]]) for rows in groups.values())


# What is said of it


def sizes_text(seen: Sequence[Seen]) -> str:
    """A table of object sizes for each input, and the anchors of the rows that have it."""
    if not seen:
        return "No row is trained: there are no anchors to hold the objects against.\n"
    about = (
        "Objects to learn, at the input of the rows: side in pixels (the square root of width x height) that 10 %, "
        "half and 90 % of a class's boxes are below; beside them the sides of the anchors (likewise of their area)."
    )
    return "\n".join([*wrap(about, _WIDTH), *(line for one in seen for line in _lines(one))]) + "\n"


def _lines(seen: Seen) -> Iterator[str]:
    yield ""
    size = seen.size or "The size of the input is not known: neither pipeline tells it"
    yield from wrap(f"{size}:", _WIDTH)
    width = max([len("class"), *(len(_cut(one.name)) for one in seen.classes)])
    if seen.classes:
        yield f"  {'class':<{width}}  {'boxes':>8}  {'10 %':>8}  {'half':>8}  {'90 %':>8}"
    for one in seen.classes:
        sides = "".join(f"  {_px(side):>8}" for side in (one.tenth, one.median, one.ninth))
        yield f"  {_cut(one.name):<{width}}  {one.count:>8}{sides}"
    for alike in seen.alike:
        yield from _indented(f"{_who(alike.rows)}: {_heads_text(alike.heads)}")


def _indented(text: str) -> list[str]:
    return wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False)


def _cut(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= _WIDEST else f"{shown[: _WIDEST - 1]}…"


def _px(side: float) -> str:
    return DASH if math.isnan(side) else f"{side:.1f}"


def _who(rows: Sequence[str]) -> str:
    return f"{'rows' if len(rows) > 1 else 'row'} {', '.join(rows)}"


def _heads_text(heads: Sequence[Head]) -> str:
    return "; ".join(map(_head_text, heads)) or "no head that the config tells of: no anchors"


def _head_text(head: Head) -> str:
    name = f"{head.key.removeprefix('model.')} ({head.kind})"
    if head.anchors is not None:
        return f"{name}: {_anchors_text(head.anchors)}"
    if head.generator:
        return f"{name}: anchors that its config does not tell ({head.generator})"
    if not head.ranges:
        return f"{name}: no anchors"
    ranges = ", ".join(f"{max(low, 0):g} to {_limit(high)}" for low, high in head.ranges)
    return f"{name}: no anchors; regress ranges {ranges} px from a point to an object's edges"


def _limit(high: float) -> str:
    return f"{high:g}" if high < 1e5 else "any"


def _anchors_text(anchors: Anchors) -> str:
    levels = counted(len(anchors.levels), "level")
    ratios = f", heights to widths {', '.join(f'{one:g}' for one in anchors.ratios)}"
    sides = f"anchors of {anchors.smallest:.4g} to {anchors.largest:.4g} px on {levels}"
    return sides + (ratios if anchors.ratios else "")


def size_warnings(seen: Sequence[Seen]) -> list[str]:
    """A warning for each head of which the anchors are too large for half of a class, see `docs/data.md`."""
    return [
        _warning(one, alike.rows, head, head.anchors, small)
        for one in seen
        for alike in one.alike
        for head in alike.heads
        if head.anchors and (small := _too_small(one.classes, head.anchors))
    ]


def _too_small(classes: Sequence[ClassSizes], anchors: Anchors) -> list[ClassSizes]:
    return [one for one in classes if one.count and one.median < anchors.smallest / 2]


def _warning(
    seen: Seen, rows: Sequence[str], head: Head, anchors: Anchors, small: Sequence[ClassSizes]
) -> str:
    by_size = sorted(small, key=lambda one: one.median)
    named = few(f"'{printable(one.name)}' (median {_px(one.median)} px)" for one in by_size)
    knobs = ", ".join(f"{key}: {value}" for key, value in anchors.sized_by.items())
    times = anchors.smallest / by_size[0].median
    ranked = (
        f" ({head.assigner} asks for none, and loses less)" if head.assigner in _BY_RANK else ""
    )
    return (
        f"{_who(rows)}: half of the objects are smaller than half of the smallest anchor, {anchors.smallest:.4g} px, "
        f"at an input of {seen.size}: of {named}; no anchor overlaps such an object by an IoU of 0.25{ranked}, so "
        f"that few learn it; make images larger (the scale of the training and test pipelines) or anchors "
        f"smaller ({head.generator}: {knobs}); a factor of {times:.2g} brings the smallest anchor to that median"
    )
