"""How a config is evaluated: by COCO's scores of boxes on the data set's validation images."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.config.tree import Config, dicts, is_list
from benchmark.config.vocabulary.words import class_of, mapping_of
from benchmark.data.dataset import Dataset
from benchmark.errors import few
from benchmark.statistics.scores import SCORES

_COCO = "CocoMetric"
# What every evaluator of ours has, what says where files are, and what changes no score.
_SILENT = frozenset(
    {
        "ann_file",
        "backend_args",
        "classwise",
        "collect_device",
        "file_client_args",
        "metric",
        "metric_items",
        "sort_categories",
        "type",
        "use_mp_eval",
    }
)
_SCORES = frozenset(score.metric for score in SCORES.values())


def retarget_evaluation(config: Config, dataset: Dataset) -> list[str]:
    """Gives a config one evaluator of boxes and loops that use it, in place.

    Args:
        config: A config with a validation loader.
        dataset: Its ``val`` is evaluated.

    Returns:
        What was changed.
    """
    changes = _told(config.get("val_evaluator"))
    if not config.get("val_cfg"):
        changes.append("no val_cfg -> ValLoop")
    for use in ("val", "test"):
        config[f"{use}_evaluator"] = {
            "type": _COCO,
            "ann_file": str(dataset.val.annotations),
            "metric": "bbox",
            "format_only": False,
            "backend_args": None,
        }
        loop = {"type": f"{use.capitalize()}Loop"}
        config[f"{use}_cfg"] = {**loop, **mapping_of(config.get(f"{use}_cfg"))}
    return [*changes, *_monitored(config)]


def _monitored(config: Config) -> Iterator[str]:
    """Scores that hooks and schedulers wait for: other evaluators give others, under other names."""
    for key in ("default_hooks", "custom_hooks", "param_scheduler"):
        for node in dicts(config.get(key)):
            for name in ("save_best", "monitor"):
                given = node.get(name)
                ours = _ours(given)
                if ours != given:
                    node[name] = ours
                    yield f"{name}: {_listed(given)} -> {_listed(ours)}"


def _ours(score: object) -> object:
    if is_list(score):
        return list(dict.fromkeys(map(_ours, score)))
    if not isinstance(score, str) or "/" not in score:
        return score
    metric = score.rpartition("/")[2]
    return f"coco/{metric}" if metric in _SCORES else "coco/bbox_mAP"


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if is_list(value) else str(value)


def _told(evaluators: object) -> list[str]:
    found = list(evaluators) if is_list(evaluators) else [evaluators] if evaluators else []
    names = [class_of(evaluator) or "an evaluator" for evaluator in found]
    if not names:
        return [f"evaluator: {_COCO} of boxes"]
    if names != [_COCO]:
        return [f"{' and '.join(dict.fromkeys(names))} -> {_COCO}"]
    given = mapping_of(found[0])
    kinds = _listed(given.get("metric", "bbox"))
    told = [] if kinds == "bbox" else [f"{_COCO}.metric: {kinds} -> bbox"]
    dropped = sorted(str(key) for key, value in given.items() if value and key not in _SILENT)
    return [*told, f"{_COCO} without {few(dropped)}"] if dropped else told
