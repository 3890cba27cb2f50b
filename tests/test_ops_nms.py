from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark import ops

ops.install()

import mmcv.ops  # noqa: E402

pytestmark = pytest.mark.skipif(
    ops.origin() == "compiled", reason="mmcv's own operators are compiled here"
)


# Non-maximum suppression: mmcv's loops, written out one pair at a time in C floats.


def overlap(a: np.ndarray, b: np.ndarray, offset: int) -> np.float32:
    one = np.float32(offset)
    w = max(np.float32(0), min(a[2], b[2]) - max(a[0], b[0]) + one)
    h = max(np.float32(0), min(a[3], b[3]) - max(a[1], b[1]) + one)
    areas = [(c[2] - c[0] + one) * (c[3] - c[1] + one) for c in (a, b)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return w * h / (areas[0] + areas[1] - w * h)


def naive_groups(
    boxes: np.ndarray, scores: np.ndarray, threshold: float, offset: int, inclusive: bool = False
) -> list[list[int]]:
    limit, groups = np.float32(threshold), []
    left = list(np.argsort(-scores, kind="stable"))
    while left:
        best, *rest = left
        overlaps = {j: overlap(boxes[best], boxes[j], offset) for j in rest}
        gone = [j for j, v in overlaps.items() if v > limit or (inclusive and v == limit)]
        groups.append([int(j) for j in (best, *gone)])
        left = [j for j in rest if j not in gone]
    return groups


def naive_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float, offset: int) -> list[int]:
    return [group[0] for group in naive_groups(boxes, scores, threshold, offset)]


def random_boxes(seed: int, count: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping boxes (xyxy) and scores, float32."""
    random = np.random.default_rng(seed)
    corner, size = random.uniform(0, 60, (count, 2)), random.uniform(0, 50, (count, 2))
    boxes = np.concatenate([corner, corner + size], axis=1)
    scores = random.random(count)
    if kind == "integer":
        boxes = boxes.round()
    if kind == "far":
        boxes = boxes * 2000 + 1e5
    if kind == "ties":
        boxes, scores = boxes.round(-1), scores.round(1)
    return boxes.astype(np.float32), scores.astype(np.float32)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("kind", ["float", "integer", "far", "ties"])
def test_nms_keeps_what_the_naive_loop_keeps(device: str, kind: str, offset: int) -> None:
    for seed in range(6):
        boxes, scores = random_boxes(seed, 60, kind)
        for threshold in (0.1, 0.5, 0.6, 0.7):
            given = [torch.from_numpy(array).to(device) for array in (boxes, scores)]
            dets, inds = mmcv.ops.nms(*given, threshold, offset)
            assert inds.tolist() == naive_nms(boxes, scores, threshold, offset)
            assert inds.dtype == torch.long
            assert inds.device.type == device
            assert torch.equal(dets, torch.cat([given[0], given[1][:, None]], dim=1)[inds])


@pytest.mark.parametrize("offset", [0, 1])
def test_nms_overlap_equal_to_the_threshold_is_kept(device: str, offset: int) -> None:
    # 6 of 10 pixels: a threshold of 0.6 in double precision is below the same number in C floats.
    boxes = torch.tensor([[0.0, 0.0, 10.0, 1.0], [0.0, 0.0, 6.0, 1.0]], device=device)
    boxes[:, 2:] -= offset
    scores = torch.tensor([0.9, 0.8], device=device)
    assert mmcv.ops.nms(boxes, scores, 0.6, offset)[1].tolist() == [0, 1]
    assert mmcv.ops.nms(boxes, scores, 0.59, offset)[1].tolist() == [0]


@pytest.mark.parametrize("offset", [0, 1])
def test_nms_of_nothing_is_nothing(device: str, offset: int) -> None:
    boxes, scores = torch.zeros(0, 4, device=device), torch.zeros(0, device=device)
    dets, inds = mmcv.ops.nms(boxes, scores, 0.5, offset)
    assert dets.shape == (0, 5)
    assert (inds.shape, inds.dtype) == ((0,), torch.long)


def test_nms_offset_changes_the_answer() -> None:
    # Without the offset the overlap is 1 of 5 pixels; with it, 4 of 8.
    boxes = torch.tensor([[0.0, 0.0, 1.0, 2.0], [0.0, 1.0, 1.0, 3.0]])
    scores = torch.tensor([0.9, 0.8])
    assert mmcv.ops.nms(boxes, scores, 0.4, 0)[1].tolist() == [0, 1]
    assert mmcv.ops.nms(boxes, scores, 0.4, 1)[1].tolist() == [0]


def test_nms_takes_numpy_half_precision_and_limits(device: str) -> None:
    boxes, scores = random_boxes(0, 40, "integer")
    expected = naive_nms(boxes, scores, 0.5, 0)
    assert mmcv.ops.nms(boxes, scores, 0.5)[1].tolist() == expected
    half = torch.from_numpy(boxes).to(device).half()
    assert mmcv.ops.nms(half, torch.from_numpy(scores).to(device), 0.5)[1].tolist() == expected
    assert mmcv.ops.nms(boxes, scores, 0.5, max_num=3)[1].tolist() == expected[:3]
    above = [i for i in expected if scores[i] > 0.4]
    assert mmcv.ops.nms(boxes, scores, 0.5, score_threshold=0.4)[1].tolist() == above
    assert len(above) < len(expected)


@pytest.mark.parametrize("split_thr", [10000, 1], ids=["in one", "class by class"])
@pytest.mark.parametrize("agnostic", [False, True], ids=["class-wise", "class-agnostic"])
def test_batched_nms(device: str, agnostic: bool, split_thr: int) -> None:
    for seed in range(4):
        boxes, scores = random_boxes(seed, 60, "integer")
        labels = np.random.default_rng(seed).integers(0, 4, 60)
        # Split by class, mmcv suppresses within each class even where it is told not to.
        apart = labels if not agnostic or split_thr == 1 else np.zeros_like(labels)
        kept = []
        for label in np.unique(apart):
            inside = np.flatnonzero(apart == label)
            kept += list(inside[naive_nms(boxes[inside], scores[inside], 0.5, 0)])
        kept.sort(key=lambda i: -scores[i])
        given = [torch.from_numpy(array).to(device) for array in (boxes, scores, labels)]
        config = {"type": "nms", "iou_threshold": 0.5, "split_thr": split_thr, "max_num": 20}
        dets, inds = mmcv.ops.batched_nms(*given, config, class_agnostic=agnostic)
        assert inds.tolist() == kept[:20]
        assert torch.equal(dets[:, :4], given[0][inds])


def test_batched_nms_of_nothing(device: str) -> None:
    nothing = torch.zeros(0, device=device)
    with pytest.raises(RuntimeError):  # mmcv itself takes the largest coordinate of no boxes
        mmcv.ops.batched_nms(nothing.reshape(0, 4), nothing, nothing.long(), {"iou_threshold": 0.5})
    dets, inds = mmcv.ops.batched_nms(
        nothing.reshape(0, 4), nothing, nothing.long(), {"iou_threshold": 0.5}, class_agnostic=True
    )
    assert (dets.shape, inds.shape) == ((0, 5), (0,))


@pytest.mark.parametrize("kind", ["float", "integer", "ties"])
def test_nms_match_groups(kind: str) -> None:
    for seed in range(4):
        boxes, scores = random_boxes(seed, 40, kind)
        dets = torch.from_numpy(np.concatenate([boxes, scores[:, None]], axis=1))
        groups = [group.tolist() for group in mmcv.ops.nms_match(dets, 0.5)]
        assert groups == naive_groups(boxes, scores, 0.5, 0, inclusive=True)
    assert mmcv.ops.nms_match(torch.zeros(0, 5), 0.5) == []


def naive_softnms(
    boxes: np.ndarray, scores: np.ndarray, method: str, offset: int, least: float
) -> tuple[list[int], list[float]]:
    """mmcv's loop with its swaps; IoU threshold 0.3, sigma 0.5."""
    scores, inds, count, done = scores.copy(), list(range(len(scores))), len(scores), 0
    while done < count:
        best = max(range(done, count), key=lambda pos: (scores[inds[pos]], -pos))
        inds[done], inds[best] = inds[best], inds[done]
        chosen, pos = inds[done], done + 1
        while pos < count:
            v = overlap(boxes[chosen], boxes[inds[pos]], offset)
            low = v >= np.float32(0.3)
            factor = {
                "naive": np.float32(not low),
                "linear": np.float32(1) - v if low else np.float32(1),
                "gaussian": np.exp(-(v * v) / np.float32(0.5)),
            }[method]
            scores[inds[pos]] *= factor
            if scores[inds[pos]] < np.float32(least):
                inds[pos] = inds[count - 1]
                count -= 1
            else:
                pos += 1
        done += 1
    return inds[:count], [float(scores[i]) for i in inds[:count]]


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize(
    ("method", "kind"),
    # The last bit of an exponential, which decides between ties, differs from library to library.
    [
        ("naive", "float"),
        ("linear", "float"),
        ("gaussian", "float"),
        ("naive", "ties"),
        ("linear", "ties"),
    ],
)
def test_softnms_is_the_naive_loop(kind: str, method: str, offset: int) -> None:
    for seed in range(4):
        boxes, scores = random_boxes(seed, 40, kind)
        given = torch.from_numpy(boxes), torch.from_numpy(scores)
        dets, inds = mmcv.ops.soft_nms(*given, 0.3, 0.5, 0.05, method, offset)
        expected, rescored = naive_softnms(boxes, scores, method, offset, 0.05)
        assert inds.tolist() == expected
        assert dets[:, 4].tolist() == pytest.approx(rescored, rel=1e-5)
        assert torch.equal(dets[:, :4], given[0][inds])
        assert torch.equal(given[1], torch.from_numpy(scores))
