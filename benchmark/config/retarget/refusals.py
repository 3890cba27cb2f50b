"""Why a config cannot be made one that detects boxes of a data set's classes in images."""

from __future__ import annotations

import re
from collections.abc import Iterator

from benchmark.config.retarget.masks import MASK_HEADS
from benchmark.config.tree import Config, dicts, is_list
from benchmark.config.vocabulary.words import class_of, each, mapping_of
from benchmark.data.dataset import Dataset
from benchmark.errors import shown

_PROMPTS = "detects by text prompts; needs BERT weights"
_VIDEO = "follows objects through videos, and the data has images; the config of its detector can be a row"
_TEACHER = "learns from a teacher that was trained on its own classes"
_UNLABELLED = (
    "learns from images without boxes as well (semi-supervised), which the data has none of"
)
_MASKS = "predicts masks alone, and rows are judged by boxes"
_BY_MASKS = "learns boxes and masks together, and not every object of the data has a mask"
_PANOPTIC = "needs panoptic annotations, which the data has none of"
_PROPOSALS = "learns from proposals of another model; take the detector that makes its own"
_CLASSES = "classifies whole images, and finds no boxes"
_REID = "tells persons apart (re-identification), and finds no boxes"

# Detectors and RoI heads of mmdet.
_MODELS = {
    "BaseReID": _REID,
    "BoxInst": _BY_MASKS,
    "ByteTrack": _VIDEO,
    "CLRNet": "finds lanes, and no boxes",
    "CondInst": _BY_MASKS,
    "DeepSORT": _VIDEO,
    "Detectron2Wrapper": "is a model of detectron2, whose settings mmdet does not know",
    "FastRCNN": _PROPOSALS,
    "GLIP": _PROMPTS,
    "GroundingDINO": _PROMPTS,
    "HybridTaskCascade": _BY_MASKS,
    "HybridTaskCascadeRoIHead": _BY_MASKS,
    "ImageClassifier": _CLASSES,
    "KnowledgeDistillationSingleStageDetector": _TEACHER,
    "LAD": _TEACHER,
    "Mask2Former": _MASKS,
    "Mask2FormerVideo": _VIDEO,
    "MaskFormer": _MASKS,
    "MaskTrackRCNN": _VIDEO,
    "MultiInstanceRoIHead": "has one class built in, persons, and fails in mmdet on an image with one of them",
    "OCSORT": _VIDEO,
    "PanopticFPN": _PANOPTIC,
    "QDTrack": _VIDEO,
    "RPN": "proposes regions without a class, and is no detector; take one that has it as rpn_head",
    "SCNet": _BY_MASKS,
    "SCNetRoIHead": _BY_MASKS,
    "SOLO": _MASKS,
    "SOLOv2": _MASKS,
    "SemiBaseDetector": _UNLABELLED,
    "SoftTeacher": _UNLABELLED,
    "StrongSORT": _VIDEO,
    "TwoStagePanopticSegmentor": _PANOPTIC,
    "YOLACT": _BY_MASKS,
}
# Keys of a model that are not those of a detector of boxes; also of classes that are not mmdet's own.
_KEYS = {
    "language_model": _PROMPTS,
    "detector": "is built around another detector, as trackers and teachers are; name that detector's config",
    "teacher_ckpt": _TEACHER,
    "teacher_config": _TEACHER,
    "panoptic_head": _PANOPTIC,
    "panoptic_fusion_head": _PANOPTIC,
    "semantic_head": _PANOPTIC,
    "segm_head": _BY_MASKS,
    "mask_head": _BY_MASKS,
}
# Transforms that hand the model something else than images with boxes.
_TRANSFORMS = {
    "LoadProposals": _PROPOSALS,
    "LoadTextAnnotations": _PROMPTS,
    "LoadTrackAnnotations": _VIDEO,
    "MultiBranch": _UNLABELLED,
    "PackInputs": _CLASSES,
    "PackReIDInputs": _REID,
    "PackTrackInputs": _VIDEO,
    "RandomSamplingNegPos": _PROMPTS,
}
_DATA_FILE = re.compile(r".+\.(csv|json|npy|npz|pkl|txt|xml|ya?ml)")


def reasons_against(config: Config, dataset: Dataset) -> list[str]:
    """Why a config cannot be retargeted: a line each, the same reason once; empty if it can be.

    Args:
        config: A whole config, in which classes are called by their names.
        dataset: What it is to be trained and evaluated on.
    """
    model = mapping_of(config.get("model"))
    if not model:
        return ["no model: it is a part of other configs, or of another task"]
    found = [*_of_model(model), *_of_data(config)]
    found = [pair for pair in found if pair[1] != _BY_MASKS or not dataset.masks]
    by_reason = {reason: subject for subject, reason in reversed(found)}
    return [f"{subject}: {reason}" for subject, reason in found if by_reason[reason] == subject]


def _of_model(model: Config) -> Iterator[tuple[str, str]]:
    name = class_of(model) or "model"
    if name in _MODELS:
        yield name, _MODELS[name]
        return  # all else that is strange in it comes of that
    for _, roi_head in each(model.get("roi_head"), ""):
        if class_of(roi_head) in _MODELS:
            yield class_of(roi_head), _MODELS[class_of(roi_head)]
    for _, head in each(model.get("bbox_head"), ""):
        if class_of(head) in MASK_HEADS:
            yield class_of(head), _BY_MASKS
    for key in _KEYS:
        if model.get(key):
            yield f"{name} with {key}", _KEYS[key]
    yield from _files(model, name)


def _files(model: Config, name: str) -> Iterator[tuple[str, str]]:
    """Files of another data set within a model: how often its classes are, what they are called."""
    for node in dicts(model):
        for key, value in node.items():
            if isinstance(value, str) and key != "checkpoint" and _DATA_FILE.fullmatch(value):
                reason = f"reads {shown(value)}, a file about the classes of another data set"
                yield f"{class_of(node) or name}.{key}", reason


def _of_data(config: Config) -> Iterator[tuple[str, str]]:
    # Without a validation of its own a config is validated as it is tested.
    evaluated = "val_dataloader" if config.get("val_dataloader") else "test_dataloader"
    for key in ("train_dataloader", evaluated if config.get(evaluated) else "val_dataloader"):
        loader = config.get(key)
        told = _told(key, loader)
        if told:
            yield key, told
        name = class_of(config["model"])
        for step in dicts(mapping_of(loader).get("dataset")) if name not in _MODELS else ():
            if class_of(step) in _TRANSFORMS:
                yield class_of(step), _TRANSFORMS[class_of(step)]


def _told(key: str, loader: object) -> str | None:
    if is_list(loader):
        return f"is a list of {len(loader)}; write the one that is to read the data"
    if not isinstance(mapping_of(loader).get("dataset"), dict):
        return "is missing, so that nothing says how images are read (mmdet 3 does not read mmdet 2's 'data')"
    return None
