"""A hook that a training's config names: it notes what is trained, and asks the job to leave."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from benchmark.files import write_text


@dataclass
class Seen:
    """What a training has done, iteration by iteration, over all its starts."""

    images: dict[int, list[int]] = field(default_factory=dict)
    batches: dict[int, int] = field(default_factory=dict)
    rates: dict[int, float] = field(default_factory=dict)
    losses: dict[int, float] = field(default_factory=dict)
    validated: list[int] = field(default_factory=list)
    loaded: int = 0


@HOOKS.register_module()
class LeavingHook(Hook):
    """Notes what is trained, and asks the job to leave at some moments: each once."""

    priority = "VERY_HIGH"
    seen: ClassVar[Seen]
    moments: ClassVar[set[str]]

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        done = runner.iter + 1
        assert done not in self.seen.images, f"iteration {done} is trained twice"
        self.seen.images[done] = [int(sample.img_id) for sample in data_batch["data_samples"]]
        self.seen.batches[done] = batch_idx
        self.seen.rates[done] = runner.optim_wrapper.get_lr()["lr"][0]
        self.seen.losses[done] = float(outputs["loss"])
        self._ask(runner, f"iteration {done}")

    def after_val_iter(self, runner: Any, *_args: Any, **_kwargs: Any) -> None:
        self._ask(runner, f"validation {runner.iter}")

    def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
        self.seen.validated.append(runner.iter)
        self._ask(runner, f"validated {runner.iter}")

    def _ask(self, runner: Any, moment: str) -> None:
        if moment in self.moments:
            self.moments.discard(moment)
            write_text(Path(runner.work_dir).parent / "stop", '{"state": "interrupted"}')
