"""A comparison in words, for a terminal or a file, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from benchmark.comparison.find import ClassDifference, Comparison, ImageDifference
from benchmark.comparison.sides import Evaluated, Side
from benchmark.errors import printable
from benchmark.leaderboard.results import COMPARABLE_PROFILE
from benchmark.statistics import LEVEL
from benchmark.statistics.intervals import Difference, Interval
from benchmark.writing.terminal import unbound_console
from benchmark.writing.words import DASH, between, fraction, signed

VERSION = 1
_INTERVAL = f"{LEVEL * 100:g} % interval"


def show(found: Comparison, images: int, as_json: bool = False) -> None:
    """Prints the comparison, with so many of the images on which the sides differ most; ``as_json`` for programs."""
    if as_json:
        print(json_text(found, images))
        return
    console = unbound_console()
    for part in renderables(found, images):
        console.print(part)


def verdict(found: Comparison) -> str:
    """The result in a sentence."""
    of_test = "test " if found.on_test else ""
    images = f"{found.a.images} {of_test}image{'' if found.a.images == 1 else 's'}"
    images = f"{len(found.a.folds)} folds" if found.a.folds else images
    if found.better is not None:
        return f"{found.better.upper()} is better: separated on these {images}."
    if found.difference is None:
        return f"Not separated: {images} give no interval."
    return f"Not separated on these {images}."


def notes(found: Comparison) -> list[str]:
    """What a reader must know before using the numbers."""
    told = [*found.a.notes, *found.b.notes]
    if found.a.folds:
        told.append(
            f"Over {len(found.a.folds)} folds: values are means over them, the intervals and p those of the corrected "
            "resampled t; each image by the runs that did not train on it."
        )
    if min(len(found.a.runs), len(found.b.runs)) == 1:
        told.append(
            "A side with one seed: the interval covers the choice of images, not how much that "
            "side's value changes with the seed."
        )
    best = any(run.spec.select == "best" for side in (found.a, found.b) for run in side.runs)
    if best and not found.on_test:
        told.append(
            "A run that records its best validation is too high: it was chosen on the very images that it is "
            "compared on."
        )
    a, b = ({run.spec.run_id for run in side.runs} for side in (found.a, found.b))
    shared = a & b
    if shared and a != b:
        told.append(f"Both sides count {', '.join(sorted(shared))}: they are not independent.")
    if len({sha256 for side in (found.a, found.b) for sha256 in _trained_on(side)}) > 1:
        told.append("A and B were trained on different annotations.")
    if found.profile != COMPARABLE_PROFILE:
        told.append(
            f"{found.profile} profile: shortened training; under the full schedule the order may be another."
        )
    return told


def _trained_on(side: Side) -> set[str]:
    """SHA-256 of the training annotations; of a row over folds of the file that was divided."""
    data = [run.spec.dataset for run in side.runs]
    over_folds = len({run.spec.fold for run in side.runs}) > 1
    return {one.hashes[0] if over_folds else one.train.sha256 for one in data}


def renderables(found: Comparison, images: int) -> Iterator[RenderableType]:
    """The comparison for a rich console, part by part; readable from 80 columns on. Arguments as of `show`."""
    yield _sides(found)
    for letter, side in (("A", found.a), ("B", found.b)):
        yield Text(f"{letter}: {' '.join(run.spec.run_id for run in side.runs)}", style="dim")
    yield Text(f"\nA - B  {signed(found.gap)}{_spread(found.difference)}")
    yield Text(verdict(found), style="bold")
    yield from (Text(f"Note: {note}") for note in notes(found))
    yield Text("")
    yield _classes(found)
    yield from _images(found, images)


def plain(found: Comparison, images: int) -> dict[str, object]:
    """The comparison as plain values: fractions in 0..1 at full precision, None where there is none."""
    a, b = found.intervals
    return {
        "schema_version": VERSION,
        "a": _plain_side(found.a, a),
        "b": _plain_side(found.b, b),
        "profile": found.profile,
        "split": "test" if found.on_test else "val",
        "images": found.a.images,
        "level": LEVEL,
        "mAP50": _plain_difference(found.gap, found.difference),
        "better": found.better,
        "verdict": verdict(found),
        "notes": notes(found),
        "classes": [_plain_class(line) for line in found.classes],
        "most_different_images": [_plain_image(line) for line in found.images[:images]],
    }


def json_text(found: Comparison, images: int) -> str:
    """What `plain` gives as one JSON document."""
    return json.dumps(plain(found, images), indent=2, ensure_ascii=False, allow_nan=False)


def _plain_side(side: Side, interval: Interval | None) -> dict[str, object]:
    runs = [
        {"run_id": r.spec.run_id, "seed": r.spec.seed, **_fold(r), "mAP50": r.map50}
        for r in side.runs
    ]
    return {
        "name": side.name,
        "row": side.row,
        "mAP50": side.map50,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "runs": runs,
    }


def _fold(run: Evaluated) -> dict[str, object]:
    return {} if run.spec.fold is None else {"fold": run.spec.fold}


def _plain_difference(gap: float | None, found: Difference | None) -> dict[str, float | None]:
    ends = (found.low, found.high, found.p) if found else (None, None, None)
    return {"difference": gap, **dict(zip(("low", "high", "p"), ends, strict=True))}


def _plain_class(line: ClassDifference) -> dict[str, object]:
    values = {"class": line.name, "objects": line.objects, "a": line.a, "b": line.b}
    return {**values, **_plain_difference(line.gap, line.difference)}


def _plain_image(line: ImageDifference) -> dict[str, object]:
    values = {"file": line.file, "objects": line.objects, "a": line.a, "b": line.b}
    return {**values, "difference": line.gap}


def _sides(found: Comparison) -> RichTable:
    on = " on the test split" if found.on_test else ""
    drawn = _table(f"mAP50 at IoU 0.5{on}", "", "<row", "<seeds", "mAP50", _INTERVAL)
    sides = zip("AB", (found.a, found.b), found.intervals, strict=True)
    for letter, side, interval in sides:
        seeds = " ".join(map(str, side.seeds))
        cells = (letter, side.row, seeds, fraction(side.map50), _range(interval))
        drawn.add_row(*map(Text, cells))
    return drawn


def _classes(found: Comparison) -> RichTable:
    drawn = _table(
        "AP50 of each class, each interval by itself",
        "<class",
        "objects",
        "A",
        "B",
        "A - B",
        _INTERVAL,
    )
    for line in found.classes:
        values = (_known(fraction, line.a), _known(fraction, line.b), _known(signed, line.gap))
        cells = (printable(line.name), str(line.objects), *values, _signed_range(line.difference))
        drawn.add_row(*map(Text, cells))
    return drawn


def _images(found: Comparison, images: int) -> Iterator[RenderableType]:
    if not images:
        return
    if not found.images:
        yield Text("\nNo image differs.")
        return
    shown, all_ = found.images[:images], len(found.images)
    title = f"AP50 within the image: {len(shown)} of {all_} that differ"
    drawn = _table(title, "<image", "objects", "A", "B", "A - B")
    for line in shown:
        values = (fraction(line.a), fraction(line.b), signed(line.gap))
        drawn.add_row(*map(Text, (printable(line.file), str(line.objects), *values)))
    yield Text("")
    yield drawn


def _table(title: str, *headings: str) -> RichTable:
    """A table of numbers; a heading that starts with ``<`` is one of texts, which may fold."""
    drawn = RichTable(
        title=Text(title),
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading in headings:
        words = heading.startswith("<")
        drawn.add_column(
            Text(heading.removeprefix("<")),
            justify="left" if words else "right",
            overflow="fold",
            no_wrap=not words,
        )
    return drawn


def _known(text: Callable[[float], str], value: float | None) -> str:
    return DASH if value is None else text(value)


def _range(found: Interval | None) -> str:
    return between(found.low, found.high) if found else DASH


def _signed_range(found: Difference | None) -> str:
    return f"{signed(found.low)} to {signed(found.high)}" if found else DASH


def _spread(found: Difference | None) -> str:
    if found is None:
        return ""
    p = "p < 0.0001" if found.p < 0.0001 else f"p = {found.p:.4f}"
    return f"  ({_INTERVAL} {_signed_range(found)}, {p})"
