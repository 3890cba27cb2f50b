"""What stands on a neck: heads, and what of them follows when other maps come."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.config.replace.done import Done
from benchmark.config.replace.levels import like, listed
from benchmark.config.replace.necks import Maps
from benchmark.config.tree import Config, dicts, is_list

# Their anchors are so many strides wide: with other strides they are the same in other places.
_ANCHORS = ("AnchorGenerator", "mmdet.AnchorGenerator")
_DENSE = ("bbox_head", "rpn_head")
# Those of RoI heads in which nothing but ``in_channels`` and ``out_channels`` says how wide the maps are.
_OF_ANY_WIDTH = (
    "SingleRoIExtractor",
    "BBoxHead",
    "ConvFCBBoxHead",
    "Shared2FCBBoxHead",
    "Shared4Conv1FCBBoxHead",
    "FCNMaskHead",
)


def fit(model: Config, before: Maps | None, now: Maps, neck: str, done: Done) -> None:
    """Has the heads of a model take the maps of a neck, in place.

    Args:
        model: Config of a detector.
        before: What the neck before gave them; None where the heads are new, or nothing tells.
        now: What this one gives them.
        neck: What messages call it.
        done: Takes up what was changed, and what cannot be.
    """
    if "encoder" in model or "decoder" in model:
        if before is not None and before != now:
            done.problems.append(f"{neck} gives {now}; {model.get('type')} takes {before}")
        return
    for key, head in _dense_heads(model):
        _fit_dense(key, head, now, neck, done)
    if isinstance(model.get("roi_head"), dict):
        _fit_roi(model["roi_head"], now, neck, done)


def _dense_heads(model: Config) -> Iterator[tuple[str, Config]]:
    for key in _DENSE:
        if isinstance(model.get(key), dict):
            yield key, model[key]


def _fit_dense(key: str, head: Config, now: Maps, neck: str, done: Done) -> None:
    stages = head.get("stages")
    for i, stage in enumerate(stages if is_list(stages) else []):  # of a cascade of proposals
        if isinstance(stage, dict):
            _fit_dense(f"{key}.stages.{i}", stage, now, neck, done)
    _fit_strides(key, head, now, neck, done)
    takes = head.get("in_channels")
    gives = like(takes, now.channels)
    if takes is not None and not is_list(takes) and len(set(now.channels)) > 1:
        done.problems.append(f"{neck} gives {now}; {key} {head.get('type')} takes {takes} of each")
    elif takes is not None and takes != gives:
        head["in_channels"] = gives
        done.changes.append(f"{key}.in_channels: {listed(takes)} -> {listed(gives)}")


def _fit_strides(key: str, head: Config, now: Maps, neck: str, done: Done) -> None:
    """Strides that a head names; one that names none takes what comes, or has them by default."""
    for name, node in _with_strides(head):
        has = [_side(stride) for stride in node["strides"]]
        if not now.strides or has == list(now.strides):
            continue
        path = f"{key}.{name}strides"
        if len(has) != len(now.strides) or not _follows(node):
            done.problems.append(
                f"{neck} gives {len(now.strides)} maps, {now}; {path} of {head.get('type')} is {listed(has)}, "
                f"for {len(has)}: take a head that is made for such maps, or a neck that gives those"
            )
            continue
        node["strides"] = list(now.strides)
        done.changes.append(f"{path}: {listed(has)} -> {listed(now.strides)}")


def _with_strides(head: Config) -> Iterator[tuple[str, Config]]:
    if is_list(head.get("strides")):
        yield "", head
    for name in ("anchor_generator", "prior_generator"):
        node = head.get(name)
        if isinstance(node, dict) and is_list(node.get("strides")):
            yield f"{name}.", node


def _nodes(value: object) -> list[Config]:
    return [one for one in (value if is_list(value) else [value]) if isinstance(one, dict)]


def _side(stride: object) -> int:
    return int(str(stride[0] if is_list(stride) else stride))


def _follows(node: Config) -> bool:
    return node.get("type") in _ANCHORS and not node.get("base_sizes")


def _fit_roi(roi_head: Config, now: Maps, neck: str, done: Done) -> None:
    """What is cut out of the maps, and the heads that take it: ``bbox_roi_extractor`` and ``bbox_head``, ..."""
    if len(set(now.channels)) > 1:
        done.problems.append(f"{neck} gives {now}; roi_head takes maps of one width")
        return
    for key, value in list(roi_head.items()):
        branch, _, rest = key.partition("_")
        if rest == "roi_extractor" and (extractors := _nodes(value)):  # None shares another's
            for node in extractors:
                _fit_regions(f"roi_head.{key}", node, now, done)
            _fit_width(roi_head, branch, now.channels[0], neck, done)


def _fit_regions(key: str, node: Config, now: Maps, done: Done) -> None:
    had = list(node.get("featmap_strides") or ())
    has = list(now.strides[: len(had)]) if now.strides else had
    if len(has) != len(had):
        done.problems.append(f"{key} takes maps at strides {listed(had)}; the neck gives {now}")
    elif had != has:
        node["featmap_strides"] = has
        done.changes.append(f"{key}.featmap_strides: {listed(had)} -> {listed(has)}")


def _fit_width(roi_head: Config, branch: str, width: int, neck: str, done: Done) -> None:
    extractors = roi_head[f"{branch}_roi_extractor"]
    nodes = _nodes(extractors)
    had = nodes[0].get("out_channels")
    if had == width or not isinstance(had, int):
        return
    takers = [n for n in dicts(roi_head.get(f"{branch}_head")) if n.get("in_channels") == had]
    fixed = [str(n.get("type")) for n in (*nodes, *takers) if n.get("type") not in _OF_ANY_WIDTH]
    if fixed or not takers:
        who = ", ".join(dict.fromkeys(fixed)) or f"{branch}_head"
        done.problems.append(f"{neck} gives {width} channels; roi_head ({who}) takes {had}")
        return
    for node in nodes:
        node["out_channels"] = width
    for node in takers:
        node["in_channels"] = width
    done.changes.append(
        f"roi_head: {branch}_roi_extractor, {branch}_head: {had} -> {width} channels"
    )
