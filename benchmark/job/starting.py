"""Takes the weights of a whole detector: for a start those that fit the model, to be evaluated all or none.

mmengine leaves out whatever does not fit, says so in one line of all keys, and goes on if nothing fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from mmengine.runner import checkpoint as checkpoint_module
from mmengine.runner import runner as runner_module
from torch.nn.modules.module import _IncompatibleKeys

from benchmark.errors import UserError, few
from benchmark.run.loaded import Loaded
from benchmark.writing.addresses import public
from benchmark.writing.words import counted

_OTHER_SHAPE = re.compile(
    r"size mismatch for (\S+): .*?shape torch\.Size\(\[([^\]]*)\]\).*?shape .*?torch\.Size\(\[([^\]]*)\]\)",
    re.DOTALL,
)
_OF_BATCH_NORM = "num_batches_tracked"  # a count that older checkpoints lack
_Weights = Mapping[str, torch.Tensor]
_STRICTLY: Callable[..., None] = checkpoint_module.load_state_dict


@dataclass
class _Tally:
    """What the last loading into a model came to, by the words of torch's modules, which may rename old keys."""

    key: str = "load_from"  # in the row
    has: int = 0
    used: int = 0
    counts: int = 0  # of those used, which alone are no start
    shapes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)

    def load(
        self, model: torch.nn.Module, weights: _Weights, strict: bool = False, logger: object = None
    ) -> None:
        """In the place of mmengine's ``load_state_dict``: what fits is loaded, what does not is noted."""
        if strict:
            return _STRICTLY(model, weights, strict, logger)
        missing: list[str] = []
        unexpected: list[str] = []
        said: list[str] = []
        versions = getattr(weights, "_metadata", None) or {}

        def descend(module: torch.nn.Module, own: dict[str, torch.Tensor], prefix: str) -> None:
            about = versions.get(prefix[:-1], {})
            module._load_from_state_dict(own, prefix, about, True, missing, unexpected, said)
            for name, child in module.named_children():
                start = f"{prefix}{name}."
                descend(child, {k: v for k, v in own.items() if k.startswith(start)}, start)
            for hook in module._load_state_dict_post_hooks.values():
                hook(module, _IncompatibleKeys(missing, unexpected))

        descend(model, dict(weights), "")
        shapes = {
            found[1]: found.groups()[1:] for text in said if (found := _OTHER_SHAPE.match(text))
        }
        lost = [text for text in said if not _OTHER_SHAPE.match(text)]
        if lost:
            raise UserError(f"{self.key}: cannot be loaded: {'; '.join(lost)}")
        self._note(weights, unexpected, missing, shapes)

    def _note(
        self,
        weights: _Weights,
        unexpected: list[str],
        missing: list[str],
        shapes: dict[str, tuple[str, ...]],
    ) -> None:
        self.has, self.shapes = len(weights), shapes
        self.unused = dict.fromkeys(unexpected, "not in the model")
        self.unused |= {
            key: f"({was}) in the file, ({now}) in the model" for key, (was, now) in shapes.items()
        }
        lacks = [key for key in missing if not key.endswith(_OF_BATCH_NORM)]
        self.fresh = sorted([*dict.fromkeys(lacks), *shapes])
        self.used = self.has - len(self.unused)
        self.counts = sum(
            key.endswith(_OF_BATCH_NORM) and key not in self.unused for key in weights
        )


@contextmanager
def counted_loading(file: str) -> Iterator[Callable[[], Loaded]]:
    """Notes what a runner loads meanwhile into its model; yields what tells it in the end.

    Args:
        file: What the config names.

    Raises:
        UserError: The file holds no weights by name, or none that fits; inside the block, or when it is told.
    """
    with _tallied("load_from", file) as tally:
        yield lambda: _told(tally, file)


@contextmanager
def whole_loading(file: str, classes: int) -> Iterator[Callable[[], None]]:
    """As `counted_loading`, but what is yielded refuses a file of which anything does not fit the model.

    Args:
        file: What the config names.
        classes: How many the model tells apart.

    Raises:
        UserError: The file holds no weights by name, or lacks some of the model, or has others.
    """
    with _tallied("checkpoint", file) as tally:
        yield lambda: _require_all(tally, file, classes)


@contextmanager
def _tallied(key: str, file: str) -> Iterator[_Tally]:
    tally = _Tally(key)
    fetch: Callable[..., object] = runner_module._load_checkpoint
    names, runner_names = vars(checkpoint_module), vars(runner_module)
    before = names["load_state_dict"]
    names["load_state_dict"] = tally.load
    runner_names["_load_checkpoint"] = lambda *args, **more: _by_name(
        fetch(*args, **more), f"{key}: {public(file)}"
    )
    try:
        yield tally
    finally:
        names["load_state_dict"] = before
        runner_names["_load_checkpoint"] = fetch


def _by_name(content: object, named: str) -> dict[str, object]:
    """A checkpoint as mmengine's own are; weights alone are taken for one, of which its hook for averages knows not."""
    if not isinstance(content, dict):
        raise UserError(f"{named}: holds no weights by name")
    whole = content if "state_dict" in content else {"state_dict": content}
    weights = whole["state_dict"]
    if not isinstance(weights, dict) or not all(isinstance(key, str) for key in weights):
        raise UserError(f"{named}: holds no weights by name")
    return whole


def _require_all(tally: _Tally, file: str, classes: int) -> None:
    if not tally.unused and not tally.fresh:
        print(f"evaluates {public(file)}: all of its {counted(tally.has, 'key')}", flush=True)
        return
    strange = [f"{key} {why}" for key, why in tally.unused.items()]
    lacking = [key for key in tally.fresh if key not in tally.unused]
    found = _classes_in(tally.shapes, classes)
    told = [
        f"it tells {found} classes apart, and the data has {classes}" if found else "",
        f"it does not fit: {few(strange, 3)}" if strange else "",
        f"it lacks {few(lacking, 3)}" if lacking else "",
    ]
    raise UserError(
        f"checkpoint: {public(file)}: is of another model than the config builds for this data, and is evaluated "
        f"whole or not at all: {'; '.join(filter(None, told))}"
    )


def refuse_other_classes(file: str, meta: object, classes: Sequence[str]) -> None:
    """Refuses a checkpoint that says of itself that its labels are of other classes, or of these in another order.

    Args:
        file: What the config names.
        meta: What the checkpoint says of itself; versions of mmdet say it in two ways, or not at all.
        classes: Those of the data, in label order.

    Raises:
        UserError: They are others.
    """
    said = _said_classes(meta)
    if not said or _plain(said) == _plain(classes):
        return
    theirs, ours = (f"{len(names)} ({few(names)})" for names in (said, classes))
    what = f"the checkpoint tells {theirs} classes apart, the data has {ours}"
    if sorted(_plain(said)) == sorted(_plain(classes)):
        what = f"the checkpoint has the classes in another order than the data: {few(said)}; the data: {few(classes)}"
    raise UserError(
        f"checkpoint: {public(file)}: {what}: its labels would be taken for others; name a checkpoint of these "
        "classes, or start a training from it with 'load_from' in place of 'checkpoint'"
    )


def refuse_not_numbers(file: str, weights: _Weights) -> None:
    """Refuses weights that hold a NaN, as of a training that diverged: their model finds nothing in any image.

    Args:
        file: What the config names.
        weights: As the model has them; infinite values may be meant, as in masks of attention.

    Raises:
        UserError: There is a NaN in some of them.
    """
    lost = [
        key for key, value in weights.items() if value.is_floating_point() and value.isnan().any()
    ]
    if lost:
        raise UserError(
            f"checkpoint: {public(file)}: {counted(len(lost), 'weight holds', 'weights hold')} NaN, so that nothing "
            f"would be found: {few(lost, 3)}; name one from before its training diverged"
        )


def _said_classes(meta: object) -> Sequence[str]:
    known = meta if isinstance(meta, dict) else {}
    about = known.get("dataset_meta")
    said = (about.get("classes") if isinstance(about, dict) else None) or known.get("CLASSES") or ()
    return [str(name) for name in said] if isinstance(said, list | tuple) else []


def _plain(names: Sequence[str]) -> list[str]:
    return [name.casefold().strip() for name in names]


def _classes_in(shapes: Mapping[str, tuple[str, ...]], classes: int) -> int | None:
    """How many classes a checkpoint tells apart, where all that does not fit a model follows from their number.

    Layers have an output for each class, or several, and perhaps one for the background.

    Args:
        shapes: By key the shapes in the file and in the model, as torch words them.
        classes: How many the model tells apart.
    """
    outputs = ([int(text.split(",")[0] or 0) for text in pair] for pair in shapes.values())
    found = {_classes_of(in_file, in_model, classes) for in_file, in_model in outputs}
    return found.pop() if len(found) == 1 else None


def _classes_of(outputs: int, own: int, classes: int) -> int | None:
    if own == classes + 1:
        return outputs - 1
    each, rest = divmod(own, classes)
    return outputs // each if not rest and each and not outputs % each else None


def _told(tally: _Tally, file: str) -> Loaded:
    """What is said and recorded of it.

    Raises:
        UserError: Nothing fits.
    """
    loaded = Loaded(public(file), tally.used, tally.unused, tally.fresh)
    if loaded.used == tally.counts:
        keys = ", ".join(list(tally.unused or [_OF_BATCH_NORM])[:3])
        raise UserError(
            f"load_from: {loaded.file}: none of its {counted(tally.has, 'key')} ({keys} ...) fits the model, so that "
            "the training would start without it; name the checkpoint of a model of this kind, or leave load_from out"
        )
    print(
        f"starts from {loaded.file}: {loaded.used} of its {counted(tally.has, 'key')} used, {len(loaded.unused)} not, "
        f"{counted(len(loaded.fresh), 'key')} of the model not loaded"
    )
    for key, why in loaded.unused.items():
        print(f"  not used: {key}: {why}")
    for key in loaded.fresh:
        print(f"  not loaded: {key}", flush=True)
    return loaded
