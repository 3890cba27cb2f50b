"""The evaluator: every run is judged by the same COCO box scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmark.config.tree import Config, is_list
from benchmark.config.vocabulary.words import class_of, each, is_local
from benchmark.errors import allowed, shown

_METRICS = ("CocoMetric", "HotCocoMetric")

# Names of mmdet's results that are recorded in any case.
_ITEMS = {"mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l"}
_STANDARD_IOUS = [round(0.5 + 0.05 * i, 2) for i in range(10)]

# Numbers of boxes an image that leave every score as it is: mmdet's and COCO's own.
_PROPOSALS = ([100, 300, 1000], [1, 10, 100])

# Arguments of mmdet's CocoMetric that a run fulfils whatever they say, and its metric does not take.
FULFILLED = frozenset(
    {
        "classwise",
        "file_client_args",
        "iou_thrs",
        "metric_items",
        "outfile_prefix",
        "proposal_nums",
        "sort_categories",
        "use_mp_eval",
    }
)


def _plain(value: object) -> object:
    return [_plain(item) for item in value] if is_list(value) else value


def _is_standard(value: object) -> bool:
    given = _plain(value)
    if not isinstance(given, list) or not all(isinstance(iou, float) for iou in given):
        return given is None
    return [round(iou, 4) for iou in given] == _STANDARD_IOUS


def _is_recorded(value: object) -> bool:
    return value is None or (is_list(value) and all(item in _ITEMS for item in value))


# What an argument may be, and what is said of another value.
_ARGUMENTS: dict[str, tuple[Callable[[object], bool], str]] = {
    "metric": (
        lambda value: _plain(value) in ("bbox", ["bbox"]),
        "boxes alone are evaluated; write bbox",
    ),
    "iou_thrs": (
        _is_standard,
        "the scores are those at IoU 0.5 to 0.95, as their names say; leave it out",
    ),
    "proposal_nums": (
        lambda value: value is None or _plain(value) in _PROPOSALS,
        "the scores are COCO's, of 100 boxes an image; leave it out",
    ),
    "metric_items": (
        _is_recorded,
        f"recorded are {', '.join(sorted(_ITEMS))}, in any case; leave it out",
    ),
    "format_only": (
        lambda value: not value,
        "a run is evaluated, and its boxes are in predictions.json; leave it out",
    ),
    "outfile_prefix": (
        lambda value: value is None,
        "the boxes of the last evaluation are in the run's predictions.json; leave it out",
    ),
    "file_client_args": (
        lambda value: value is None,
        "mmdet takes it no longer; leave it out",
    ),
    "backend_args": (is_local, "the annotation file is a local one; leave it out"),
    "collect_device": (lambda value: value in ("cpu", "gpu"), "allowed: cpu, gpu"),
    "prefix": (lambda value: value is None or isinstance(value, str), "is a text"),
    # A table of classes is always recorded; classes are matched by name; the evaluation is fast by itself.
    "classwise": (lambda value: isinstance(value, bool), "is true or false"),
    "sort_categories": (lambda value: isinstance(value, bool), "is true or false"),
    "use_mp_eval": (lambda value: isinstance(value, bool), "is true or false"),
    "ann_file": (lambda _: True, ""),  # filled in from the data set
    "type": (lambda _: True, ""),
    "_scope_": (lambda _: True, ""),
}


def metric(config: Config) -> Iterator[str]:
    """One CocoMetric, with arguments that leave the scores what their names say."""
    found = list(each(config.get("val_evaluator"), "val_evaluator"))
    for key, evaluator in found:
        if class_of(evaluator) not in _METRICS:
            named = class_of(evaluator) or shown(evaluator)
            yield (
                f"{key}: {named} is not used: every run is judged by mmdet's CocoMetric; write "
                "{_delete_: true, type: CocoMetric, metric: bbox} (mmdet's tools/test.py evaluates a run's "
                "config.py with others)"
            )
        elif isinstance(evaluator, dict):
            yield from _arguments(key, evaluator)
    if len(found) > 1:
        yield f"val_evaluator: has {len(found)} metrics; a run is judged by one, CocoMetric with metric bbox"


def _arguments(key: str, evaluator: Config) -> Iterator[str]:
    for name, value in evaluator.items():
        if name not in _ARGUMENTS:
            known = allowed(name, _ARGUMENTS.keys() - {"_scope_"})
            yield f"{key}.{name}: CocoMetric takes no '{name}'; {known}"
        elif not _ARGUMENTS[name][0](value):
            yield f"{key}.{name}: {shown(value)}: {_ARGUMENTS[name][1]}"
