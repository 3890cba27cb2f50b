"""Test-time augmentation: a detector that finds boxes in several views of an image and puts them together."""

from __future__ import annotations

from mmdet.models.test_time_augs import DetTTAModel
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.model import BaseModel

from benchmark.config.tree import Config
from benchmark.config.vocabulary.words import class_of, mapping_of

# As in mmdet's own configs; those of some models put boxes together in another way.
_USUAL: Config = {
    "type": "DetTTAModel",
    "tta_cfg": {"nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 100},
}


@MODELS.register_module()
class BoxTTAModel(DetTTAModel):  # type: ignore[misc]
    """mmdet's ``DetTTAModel``, which refuses masks: here those of models that find any are left out."""

    def _merge_single_sample(self, data_samples: list[DetDataSample]) -> DetDataSample:
        for sample in data_samples:
            if "masks" in sample.pred_instances:
                del sample.pred_instances.masks
        return super()._merge_single_sample(data_samples)


def with_views(model: BaseModel, config: Config) -> BaseModel:
    """A detector whose ``test_step`` takes batches of views, as a pipeline with ``TestTimeAug`` gives them.

    The boxes of all views, in the image's own pixels, go through non-maximum suppression class by class, and the best
    stay: by IoU 0.5 and 100 of them, unless the config's ``tta_model`` says otherwise.

    Args:
        model: The detector; its weights are shared.
        config: A run's config.
    """
    said = mapping_of(config.get("tta_model")) or _USUAL
    ours = {"type": "BoxTTAModel"} if class_of(said) == "DetTTAModel" else {}
    made: BaseModel = MODELS.build(ConfigDict({**said, **ours, "module": model}))
    return made
