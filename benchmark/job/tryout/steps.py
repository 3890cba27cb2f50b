"""The steps of a try-out, each of which may fail by itself; in the order in which mmengine's Runner takes them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from mmcv.transforms import Compose
from mmdet.engine.hooks import PipelineSwitchHook
from mmengine.hooks import CheckpointHook, Hook

from benchmark.config.tree import LOADERS, Config
from benchmark.config.unvalidated import as_if_validated
from benchmark.errors import few
from benchmark.job.building import build_runner, config_of, read_content
from benchmark.job.inputs import Inputs
from benchmark.job.training import Diverged, JobRunner
from benchmark.job.tryout import images
from benchmark.job.tryout.culprit import mappings
from benchmark.job.tryout.finite import not_numbers, noting_first, weights_that_are_none
from benchmark.job.tryout.places import places_below, places_of_data, places_of_model
from benchmark.job.tryout.weights import leave_out
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions

_IMAGES = 2


class NotANumber(Diverged):
    """A loss or a weight is NaN or infinite.

    Attributes:
        key: Key path of the part that has first given such a value.
    """

    def __init__(self, words: str, key: str) -> None:
        self.key = key
        super().__init__(words)


@dataclass(frozen=True)
class Step:
    """Something that a job does.

    Attributes:
        words: What it is, in words that follow a "while".
        section: Key of the config that it is about.
        take: Does it.
    """

    words: str
    section: str
    take: Callable[[], None]


class _Outputs(Hook):  # type: ignore[misc]
    """Keeps what a training step has given."""

    losses: dict[str, Any] | None = None

    def after_train_iter(
        self, runner: object, batch_idx: int, data_batch: object = None, outputs: Any = None
    ) -> None:
        """Keeps it."""
        self.losses = outputs


class Steps:
    """What a try-out does, one after the other.

    Attributes:
        content: The config, as it was before anything was built from it.
        section: Key of the config that the present step is about.
        named: Key paths of what was built so far, by the object's ``id``.
        notes: What is tried otherwise than a run would do it.
        params: Number of the model's parameters; None before it is built.
    """

    def __init__(self, folder: RunFolder, options: JobOptions) -> None:
        self._folder = folder
        self._options = options
        self._spec = folder.read_spec()
        self._runner: JobRunner
        self._batch: Any = None
        self._outputs = _Outputs()
        self.content: Config = {}
        self.section = ""
        self.named: dict[int, str] = {}
        self.notes: list[str] = []
        self.params: int | None = None

    def all(self) -> Iterator[Step]:
        """Every step, each of which is to be taken before the next is asked for."""
        steps = (
            Step("its config was read", "custom_imports", self._read),
            Step("its model was built", "", self._build),
            Step("its training data was opened", "train_dataloader", self._open_training),
            Step("its optimizer was built", "optim_wrapper", self._build_optimizer),
            Step("its schedulers were built", "param_scheduler", self._build_schedulers),
            Step("its validation was built", "val_dataloader", self._open_validation),
            Step("its hooks began", "custom_hooks", self._begin),
            Step("its weights were set", "model", self._set_weights),
            Step("a checkpoint was loaded", "load_from", self._load),
            Step("training images were loaded", "train_dataloader", self._load_training),
            Step("its later pipeline was tried", "custom_hooks", self._switch),
            Step("a training step was taken", "model", self._train),
            Step("a loss was computed without objects", "model", self._lose_without_objects),
            Step("a validation image was loaded", "val_dataloader", self._load_validation),
            Step("boxes were predicted", "model", self._predict),
            Step("boxes were evaluated", "val_evaluator", self._evaluate),
        )
        for step in steps:
            self.section = step.section
            yield step

    def _read(self) -> None:
        content = read_content(self._spec, self._folder, Inputs(self._spec, self._folder))
        # What a run without a validation would be evaluated with is tried all the same.
        self.content = content if self._spec.validates else as_if_validated(content)
        self.notes += leave_out(self.content)

    def _build(self) -> None:
        content = copy.deepcopy(self.content)
        for key in LOADERS:  # in this process, so that an error keeps its traceback
            if content.get(key):
                content[key] |= {"num_workers": 0, "persistent_workers": False}
                content[key].pop("prefetch_factor", None)
        config = config_of(self._folder, content)
        self._runner = build_runner(config, self._folder, self._options.resources)
        self._runner.belong_to(self._spec.ids, None)
        self._runner._hooks = [h for h in self._runner.hooks if not isinstance(h, CheckpointHook)]
        self._runner.register_hook(self._outputs)
        model = self._runner.bare_model
        self.params = sum(parameter.numel() for parameter in model.parameters())
        self.named |= places_of_model(model, self.content)

    def _open_training(self) -> None:
        self._runner._train_loop = self._runner.build_train_loop(self._runner._train_loop)
        self.named |= places_of_data(self._runner, "train_dataloader")

    def _build_optimizer(self) -> None:
        runner = self._runner
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)

    def _build_schedulers(self) -> None:
        runner = self._runner
        if runner.param_schedulers is not None:
            runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)

    def _open_validation(self) -> None:
        self._runner._val_loop = self._runner.build_val_loop(self._runner._val_loop)
        self.named |= places_of_data(self._runner, "val_dataloader")

    def _begin(self) -> None:
        self._runner.call_hook("before_run")

    def _set_weights(self) -> None:
        self._runner._init_model_weights()

    def _load(self) -> None:
        runner = self._runner
        runner.load_or_resume()
        if (loaded := runner.loaded) is not None:
            unused = f"{loaded.used} of its {loaded.used + len(loaded.unused)} keys fit"
            self.notes.append(f"load_from: {loaded.file}: {unused}")
        loop = runner.train_loop
        runner.optim_wrapper.initialize_count_status(runner.model, loop.iter, loop.max_iters)
        runner.call_hook("before_train")
        runner.call_hook("before_train_epoch")

    def _load_training(self) -> None:
        loader = self._runner.train_dataloader
        self._batch = loader.collate_fn(images.with_objects(loader, _IMAGES))

    def _switch(self) -> None:
        """The pipeline that a training goes over to in its last epochs: it would be met after days."""
        loader: Any = self._runner.train_dataloader
        for hook in [one for one in self._runner.hooks if isinstance(one, PipelineSwitchHook)]:
            before, later = getattr(loader.dataset, "pipeline", None), Compose(hook.switch_pipeline)
            at = next(
                (path for path, node in mappings(self.content) if "switch_pipeline" in node), ""
            )
            if before is None:  # what repeats or joins data sets: the hook sets what nothing reads
                kind = type(loader.dataset).__name__
                self.notes.append(f"{at}: goes over to nothing: {kind} has no pipeline of its own")
                continue
            self.named |= dict(places_below(later.transforms, f"{at}.switch_pipeline"))
            loader.dataset.pipeline = later
            loader.collate_fn(images.with_objects(loader, _IMAGES))
            loader.dataset.pipeline = before

    def _train(self) -> None:
        runner, loop = self._runner, self._runner.train_loop
        runner.model.train()
        # Looked at in the step itself: it spoils the weights.
        with noting_first(runner.bare_model) as failing:
            if hasattr(loop, "run_epoch"):
                loop.run_iter(0, self._batch)
            else:
                loop.run_iter(self._batch)
        if wrong := not_numbers(self._outputs.losses or {}):
            key = next((self.named[id(one)] for one in failing if id(one) in self.named), "model")
            raise NotANumber(f"in the first step {', '.join(wrong)}", key)
        if lost := weights_that_are_none(runner.bare_model):
            raise NotANumber(
                f"after the first step {few(lost, 2)} hold values that are no numbers",
                "optim_wrapper",
            )

    def _loss(self, batch: Any) -> None:
        model: Any = self._runner.bare_model
        with torch.no_grad(), self._runner.optim_wrapper.optim_context(self._runner.model):
            given = model.data_preprocessor(batch, True)
            model(**given, mode="loss")

    def _lose_without_objects(self) -> None:
        """A batch with an image that shows nothing: mmdet leaves such images out unless a config says otherwise."""
        loader = self._runner.train_dataloader
        empty = images.without_objects(loader)
        if empty is not None:
            self._loss(loader.collate_fn([*images.with_objects(loader, 1), empty]))

    def _load_validation(self) -> None:
        loader = self._runner.val_dataloader
        self._batch = loader.collate_fn([images.first(loader)])

    def _predict(self) -> None:
        runner = self._runner
        runner.call_hook("before_val")
        runner.call_hook("before_val_epoch")
        runner.model.eval()
        runner.val_loop.run_iter(0, self._batch)

    def _evaluate(self) -> None:
        metrics = self._runner.val_loop.evaluator.evaluate(1)
        self._runner.call_hook("after_val_epoch", metrics=metrics)
        self._runner.call_hook("after_val")
