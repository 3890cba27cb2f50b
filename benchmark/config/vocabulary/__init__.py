"""What plan says of mmdet's own vocabulary: settings that would end in the job, or that a run does not honour.

A rule is a function that takes a composed config and gives a message for each setting that it objects to, with the
setting's key and what to write instead; `RULES` is the table of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmark.config.readers import readers
from benchmark.config.tree import Config
from benchmark.config.vocabulary import (
    companions,
    data,
    evaluation,
    hooks,
    limits,
    models,
    runtime,
    steps,
    training,
)

Rule = Callable[[Config], Iterator[str]]

RULES: tuple[Rule, ...] = (
    runtime.not_ours,
    runtime.words,
    runtime.compiled,
    runtime.scaled_rate,
    data.loaders,
    data.batches,
    data.evaluated_whole,
    data.samplers,
    data.datasets,
    data.pipelines,
    data.switched,
    steps.orders,
    steps.values,
    readers,
    evaluation.metric,
    hooks.default_hooks,
    hooks.custom_hooks,
    hooks.checkpoints,
    hooks.logger,
    hooks.drawing,
    hooks.monitors,
    hooks.values,
    hooks.particulars,
    models.parts,
    models.preprocessor,
    training.loops,
    training.optimizer,
    training.schedulers,
    limits.optimizer_values,
    limits.scheduler_values,
    companions.samplers_of_joined,
    companions.sampler_of_classes,
    companions.hooks_of_models,
    companions.teacher_loop,
    companions.layer_decay,
    companions.frozen_stages,
    companions.branches,
    companions.channels,
)


def objections(config: Config) -> list[str]:
    """What stands in the way of a composed config, which has all `runtime.sections`; a message each."""
    return [problem for rule in RULES for problem in rule(config)]
