"""What an import tells: what it has read, made and left out, on the terminal and beside the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmark.data.importing.base import Format, Source
from benchmark.data.importing.classes import ClassMap, alike
from benchmark.data.importing.join import Joined
from benchmark.data.importing.ledger import Ledger
from benchmark.data.importing.lookup import real
from benchmark.errors import few, printable
from benchmark.writing.words import counted

_ADVICE = (
    "'detboard data split {}/train.json --holdout 0.1' makes a folder with some; "
    "an experiment with 'folds: 5' needs none"
)


def kept(
    found: Joined,
    sources: Mapping[Path, tuple[Format, Source]],
    mapped: ClassMap,
    ledger: Ledger,
) -> dict[str, object]:
    """What is written beside the data, as plain values: with every name."""
    return {
        "sources": [
            {"folder": str(real(path)), "format": form.key, "classes": list(source.classes)}
            for path, (form, source) in sources.items()
        ],
        "map": dict(mapped),
        "classes": list(found.classes),
        "splits": {
            split: {"images": len(ones), "boxes": sum(len(one.picture.boxes) for one in ones)}
            for split, ones in found.splits.items()
        },
        "left_out": {
            reason: {
                "count": len(items),
                "boxes": ledger.lost_boxes[reason],
                "what": list(map(printable, items)),
            }
            for reason, items in ledger.left_out.items()
        },
        "notes": {
            kind: {"count": len(items), "what": list(map(printable, items))}
            for kind, items in ledger.notes.items()
        },
    }


def report_text(
    found: Joined, sources: Mapping[Path, tuple[Format, Source]], ledger: Ledger, folder: Path
) -> str:
    """The same in lines for a terminal, with the first few names of each kind."""
    lines = [f"{counted(len(found.classes), 'class', 'classes')}: {few(found.classes, 10)}"]
    lines += [f"  {split:<5}  {_counts(found, split)}" for split in found.splits]
    lines += _section("left out:", ledger.left_out, ledger.lost_boxes)
    lines += _section("to know:", ledger.notes, {})
    lines += _advice(found, sources, folder)
    return "\n".join(map(printable, lines))


def _counts(found: Joined, split: str) -> str:
    ones = found.splits[split]
    boxes = sum(len(one.picture.boxes) for one in ones)
    bare = sum(not one.picture.boxes for one in ones)
    if split in found.unlabelled:
        return f"{len(ones):>7} images, without labels"
    return f"{len(ones):>7} images  {boxes:>8} boxes  {bare:>6} images without a box"


def _section(
    title: str, kinds: Mapping[str, Sequence[str]], boxes: Mapping[str, int]
) -> Iterator[str]:
    if kinds:
        yield title
    for kind, items in kinds.items():
        lost = boxes.get(kind, 0)
        more = f", {counted(lost, 'box', 'boxes')}" if lost not in (0, len(items)) else ""
        yield f"  {kind} ({len(items)}{more}): {few(items, 3)}"


def _advice(
    found: Joined, sources: Mapping[Path, tuple[Format, Source]], folder: Path
) -> Iterator[str]:
    for names in alike(found.classes):
        yield f"to know: these are classes of their own: {names}; --map OLD=NEW joins them"
    other = [str(path) for path, (_, one) in sources.items() if _is_other_order(one, found.classes)]
    if other:
        yield f"to know: classes have other numbers than in {few(other)}: the order of the first source counts"
    whole = [str(path) for path, (_, source) in sources.items() if not source.is_divided]
    if whole:
        yield f"no splits in {few(whole)}: all of its images are in train.json"
    if "val" not in found.splits:
        yield f"no validation images: {_ADVICE.format(folder)}"
    if "train" not in found.splits:
        yield "no training images: what there is can judge, and nothing can be trained on it"


def _is_other_order(source: Source, classes: Sequence[str]) -> bool:
    places = [classes.index(name) for name in source.classes if name in classes]
    return places != sorted(places)
