"""How many batches the images of a row make, and whether any where the rest of them is left out."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.config.tree import Config, dicts, leaves
from benchmark.config.vocabulary.words import class_of, mapping_of
from benchmark.data.memory import Memory
from benchmark.data.selection import left
from benchmark.run.plan import Plan
from benchmark.run.state import Planned
from benchmark.sweep.left import chosen_of


def without_batch(plan: Plan, memory: Memory) -> list[str]:
    """A message for each row of which ``drop_last`` leaves no batch, or an epoch counts more than there are."""
    problems = []
    trained = (run for run in plan.runs if run.spec.trains)
    for row, run in {run.spec.row: run for run in trained}.items():
        loader = mapping_of(run.config["train_dataloader"])
        batch, batches = loader["batch_size"] * run.spec.gpus, loader.get("num_batch_per_epoch")
        drops = _drops_rest(loader)
        if not drops and not batches:
            continue
        images = images_of(run.config, memory)
        if batches and images < batch * batches and not _is_balanced(loader):
            problems.append(
                f"row '{row}': train_dataloader.num_batch_per_epoch: {batches} batches of {batch} are more than the "
                f"{images} images that are left; lower it, or leave it out"
            )
        if drops and images < batch:
            problems.append(
                f"row '{row}': train_dataloader.batch_size: the {images} images that are left make no whole batch of "
                f"{batch}, and drop_last leaves out the rest; lower it, or leave out drop_last"
            )
    return problems


def images_of(config: Mapping[str, object], memory: Memory) -> int:
    """Training images in an epoch, after mmdet's filters and repetitions."""
    times = (leaf.times for leaf in leaves(config["train_dataloader"]))
    taken = (left(path, some, memory).images for path, some in chosen_of(config, "train"))
    return sum(number * repeats for number, repeats in zip(taken, times, strict=True))


def iterations_of(run: Planned, memory: Memory) -> int:
    """Training iterations of a run; none of one that does not train."""
    if not run.spec.trains:
        return 0
    loop, loader = (mapping_of(run.config[key]) for key in ("train_cfg", "train_dataloader"))
    if loop.get("max_iters"):
        return int(loop["max_iters"])
    batch = int(loader["batch_size"]) * run.spec.gpus
    batches = loader.get("num_batch_per_epoch") or -(-images_of(run.config, memory) // batch)
    return int(loop.get("max_epochs") or 0) * int(batches)


def _drops_rest(loader: Config) -> bool:
    drops = loader.get("drop_last") or mapping_of(loader.get("batch_sampler")).get("drop_last")
    if not drops:
        return False
    endless = class_of(loader.get("sampler")) == "InfiniteSampler"
    return not _is_balanced(loader) and not endless


def _is_balanced(loader: Config) -> bool:
    """Whether images are repeated by their classes, so that their number is not known here."""
    return any(class_of(node) == "ClassBalancedDataset" for node in dicts(loader))
