"""Starts a training from the weights of a whole detector, and tells which of them fit the model.

mmengine leaves out whatever does not fit, says so in one line of all keys, and trains on if nothing fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from mmengine.runner import checkpoint as checkpoint_module
from mmengine.runner import runner as runner_module
from torch.nn.modules.module import _IncompatibleKeys

from benchmark.errors import UserError
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

    has: int = 0
    used: int = 0
    counts: int = 0  # of those used, which alone are no start
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
            raise UserError(f"load_from: cannot be loaded: {'; '.join(lost)}")
        self._note(weights, unexpected, missing, shapes)

    def _note(
        self,
        weights: _Weights,
        unexpected: list[str],
        missing: list[str],
        shapes: dict[str, tuple[str, ...]],
    ) -> None:
        self.has = len(weights)
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
    tally = _Tally()
    fetch: Callable[..., object] = runner_module._load_checkpoint
    names, runner_names = vars(checkpoint_module), vars(runner_module)
    before = names["load_state_dict"]
    names["load_state_dict"] = tally.load
    runner_names["_load_checkpoint"] = lambda *args, **more: _by_name(fetch(*args, **more), file)
    try:
        yield lambda: _told(tally, file)
    finally:
        names["load_state_dict"] = before
        runner_names["_load_checkpoint"] = fetch


def _by_name(content: object, file: str) -> dict[str, object]:
    """A checkpoint as mmengine's own are; weights alone are taken for one, of which its hook for averages knows not."""
    if not isinstance(content, dict):
        raise UserError(f"load_from: {public(file)}: holds no weights by name")
    whole = content if "state_dict" in content else {"state_dict": content}
    named = whole["state_dict"]
    if not isinstance(named, dict) or not all(isinstance(key, str) for key in named):
        raise UserError(f"load_from: {public(file)}: holds no weights by name")
    return whole


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
