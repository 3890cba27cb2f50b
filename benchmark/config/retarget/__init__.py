"""A config made for another data set: its paths, classes and heads, whatever data set it was written for."""

from __future__ import annotations

from benchmark.config.retarget.classes import fit_classes
from benchmark.config.retarget.data import retarget_data
from benchmark.config.retarget.evaluation import retarget_evaluation
from benchmark.config.retarget.fill import dataset_leaves as dataset_leaves
from benchmark.config.retarget.fill import fill_dataset as fill_dataset
from benchmark.config.retarget.masks import drop_masks, predicts_masks
from benchmark.config.retarget.names import use_registered_names as use_registered_names
from benchmark.config.retarget.pipelines import retarget_pipelines
from benchmark.config.retarget.refusals import reasons_against
from benchmark.config.retarget.training import retarget_training
from benchmark.config.tree import Config
from benchmark.data.dataset import Dataset
from benchmark.errors import UserError


def retarget(config: Config, dataset: Dataset) -> tuple[str, ...]:
    """Makes a detection config of any origin one that learns and is judged on a data set, in place.

    It is trained on the data set's ``train`` and evaluated on its ``val``, by COCO's scores of boxes. Every head that
    tells classes apart has the data set's number of classes. A branch for masks goes where the data set has none.

    Args:
        config: A whole, plain config as mmengine reads it from a file; none of it is shared.
        dataset: What it is to be trained and evaluated on.

    Returns:
        What was changed, a short line each; keys of the model are without ``model.``.

    Raises:
        UserError: With every reason why it cannot be retargeted, a line each; then the config is as it was, but for
            classes in the place of their names.
    """
    use_registered_names(config)
    if reasons := reasons_against(config, dataset):
        raise UserError(reasons)
    model: Config = config["model"]
    changes = drop_masks(model, dataset.masks)
    if changes and dataset.is_absent:
        changes.append("masks: whether every object has one is known only where the data is")
    changes += fit_classes(model, len(dataset.classes))
    changes += retarget_data(config, dataset)
    changes += retarget_pipelines(config, with_masks=dataset.masks and predicts_masks(model))
    changes += retarget_evaluation(config, dataset)
    changes += retarget_training(config)
    return tuple(dict.fromkeys(changes))
