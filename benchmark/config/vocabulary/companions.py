"""Settings that work only together with others: what they want stands in another section of the config."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.config.tree import Config, is_list
from benchmark.config.vocabulary.steps import nested
from benchmark.config.vocabulary.words import class_of, imports_own, mapping_of, named_hooks
from benchmark.errors import shown

OF_JOINED = frozenset(
    {
        "CustomSampleSizeSampler",
        "GroupMultiSourceSampler",
        "MultiDataAspectRatioBatchSampler",
        "MultiDataSampler",
        "MultiSourceSampler",
    }
)
_SILENT = ("ClassBalancedDataset", "ConcatDataset", "MultiImageMixDataset", "RepeatDataset")
_TEACHERS = frozenset({"SemiBaseDetector", "SoftTeacher"})


def samplers_of_joined(config: Config) -> Iterator[str]:
    """Samplers that draw from several sources need several."""
    loader = mapping_of(config.get("train_dataloader"))
    for name in ("sampler", "batch_sampler"):
        sampler = class_of(loader.get(name))
        if sampler in OF_JOINED and class_of(loader.get("dataset")) != "ConcatDataset":
            yield f"train_dataloader.{name}: {sampler} draws from the sources of a ConcatDataset; write DefaultSampler"


def sampler_of_classes(config: Config) -> Iterator[str]:
    """ClassAwareSampler asks a data set for the classes of each image, which a wrapper does not tell."""
    loader = mapping_of(config.get("train_dataloader"))
    dataset = class_of(loader.get("dataset"))
    if class_of(loader.get("sampler")) == "ClassAwareSampler" and dataset in _SILENT:
        yield f"train_dataloader.sampler: {dataset} tells ClassAwareSampler no classes; write what is in it"


def hooks_of_models(config: Config) -> Iterator[str]:
    """Hooks that call what only some models or data sets have."""
    own, model = imports_own(config), class_of(config.get("model"))
    dataset = class_of(mapping_of(config.get("train_dataloader")).get("dataset"))
    for key, hook in named_hooks(config):
        name = class_of(hook)
        if name == "SetEpochInfoHook" and not own:
            yield f"{key}: no model of mmdet takes the epoch that SetEpochInfoHook hands it; leave it out"
        if name == "YOLOXModeSwitchHook" and dataset != "MultiImageMixDataset" and not own:
            yield f"{key}: YOLOXModeSwitchHook switches off the mixing of a MultiImageMixDataset; leave it out"
        if name == "MeanTeacherHook" and model not in _TEACHERS and not own:
            yield f"{key}: MeanTeacherHook wants a model with teacher and student; leave it out"


def teacher_loop(config: Config) -> Iterator[str]:
    """A validation of teacher and student has two sets of scores, of which a run has one."""
    if class_of(config.get("val_cfg")) == "TeacherStudentValLoop":
        yield "val_cfg.type: TeacherStudentValLoop gives two sets of scores; write ValLoop, which gives one"


def layer_decay(config: Config) -> Iterator[str]:
    """Mmdet decays the rate by layer for ConvNeXt alone."""
    constructor = mapping_of(config.get("optim_wrapper")).get("constructor")
    backbone = class_of(mapping_of(config.get("model")).get("backbone"))
    if constructor == "LearningRateDecayOptimizerConstructor" and "ConvNeXt" not in backbone:
        yield f"optim_wrapper.constructor: {constructor} knows ConvNeXt alone, not {backbone or 'this'}; leave it out"


def frozen_stages(config: Config) -> Iterator[str]:
    """A ResNet, or one of its kin, freezes no more stages than it has."""
    backbone = mapping_of(mapping_of(config.get("model")).get("backbone"))
    frozen, stages = backbone.get("frozen_stages", -1), backbone.get("num_stages", 4)
    if not class_of(backbone).startswith(("ResN", "Res2N", "RegNet")):
        return
    if not isinstance(frozen, int) or not isinstance(stages, int) or not -1 <= frozen <= stages:
        yield f"model.backbone.frozen_stages: {shown(frozen)} is not from -1 (none) to {shown(stages)}, its stages"


def branches(config: Config) -> Iterator[str]:
    """Only a preprocessor for several branches takes images that a pipeline has split into some."""
    prepared = class_of(mapping_of(config.get("model")).get("data_preprocessor"))
    if prepared == "MultiBranchDataPreprocessor" or imports_own(config):
        return
    if any(class_of(step) == "MultiBranch" for step in _steps(config.get("train_dataloader"))):
        yield "train_dataloader: MultiBranch wants a model that is taught by another; leave it out"


def channels(config: Config) -> Iterator[str]:
    """Grey images have one channel, and are normalized by one mean."""
    mean = mapping_of(mapping_of(config.get("model")).get("data_preprocessor")).get("mean")
    if not is_list(mean) or len(mean) == 1:
        return
    for key in ("train_dataloader", "val_dataloader"):
        colours = [str(step.get("color_type")) for step in _steps(config.get(key))]
        if any(colour.startswith("grayscale") for colour in colours):
            yield (
                f"{key}: color_type grayscale gives one channel, and model.data_preprocessor.mean has {len(mean)}; "
                "leave it out: grey images are read as coloured ones"
            )


def _steps(loader: object) -> Iterator[Config]:
    for _, node in nested(mapping_of(loader).get("dataset"), ""):
        pipeline = node.get("pipeline")
        yield from (mapping_of(step) for step in (pipeline if is_list(pipeline) else ()))
