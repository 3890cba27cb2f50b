"""What is wrong with the images that rows learn predicted boxes of."""

from __future__ import annotations

from benchmark.data.check_pictures import tell_pictures
from benchmark.data.dataset import Dataset
from benchmark.data.findings import Findings, Reporter
from benchmark.data.memory import Memory
from benchmark.data.overlap import Files, in_both
from benchmark.data.pictures import Decoding, look_at
from benchmark.errors import SHOWN
from benchmark.run.plan import Plan
from benchmark.run.spec import PseudoLabels
from benchmark.run.state import not_complete


def learnt_images(plan: Plan, decoding: Decoding, memory: Memory) -> Findings:
    """Looks at the images on which rows that are to be made learn the boxes of others.

    Args:
        plan: What is to be run.
        decoding: How their jobs read images.
        memory: Remembers what large annotation files hold.
    """
    found = Findings()
    runs = not_complete(plan.runs)
    asked = {
        (run.spec.pseudo, run.spec.dataset, run.spec.validates): None
        for run in runs
        if run.spec.pseudo
    }
    for pseudo, dataset, validates in asked:
        reporter = Reporter(pseudo.images.annotations, SHOWN, found)
        _look(pseudo, dataset, decoding, memory, reporter)
        _tell_overlap(pseudo, dataset, validates, memory, reporter)
    return found


def _look(
    pseudo: PseudoLabels,
    dataset: Dataset,
    decoding: Decoding,
    memory: Memory,
    reporter: Reporter,
) -> None:
    split = pseudo.images
    images = split.read_images(memory)
    reporter.error(images.faults, "images with a field missing or wrong, which 'pseudo' names")
    if split != dataset.test:  # which is looked at with the data
        tell_pictures(reporter, split, look_at(split.images, "train", images, decoding))


def _tell_overlap(
    pseudo: PseudoLabels, dataset: Dataset, validates: bool, memory: Memory, reporter: Reporter
) -> None:
    split = pseudo.images
    these = Files(split.images, tuple(split.read_images(memory).files))
    splits = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    others = {
        name: Files(one.images, tuple(one.read_images(memory).files))
        for name, one in splits.items()
        if one is not None
    }
    if validates:
        reporter.error(
            in_both(others["val"], these),
            "images of val among those that 'pseudo' names: a row must not learn what it is judged on; leave them out",
        )
    for name in ("train",) if validates else ("train", "val"):
        reporter.warning(
            in_both(others[name], these),
            f"images of {name} among those that 'pseudo' names: they are learnt with labels and, again, with boxes "
            "that are predicted",
        )
    if "test" in others:
        reporter.warning(
            in_both(others["test"], these),
            "images of test among those that 'pseudo' names: what is measured on test was seen in training, though not "
            "its labels",
        )
