from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import log_softmax, one_hot

from benchmark import ops

ops.install()

import mmcv.ops  # noqa: E402
from mmdet.models.losses.focal_loss import (  # noqa: E402
    FocalLoss,
    py_sigmoid_focal_loss,
    sigmoid_focal_loss,
)

from benchmark.ops.torch_ops import focal_loss  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(
    ops.origin() == "compiled", reason="mmcv's own operators are compiled here"
)


# Focal losses.


def logits(count: int, classes: int, dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor]:
    """Scores, some of them saturated, and labels of which a third are background."""
    generator = torch.Generator().manual_seed(count)
    scores = torch.randn(count, classes, generator=generator, dtype=torch.float64) * 6
    labels = torch.randint(0, classes + classes // 2 + 1, (count,), generator=generator)
    labels = labels.clamp(max=classes)
    if count:
        scores[0], scores[-1] = 60.0, -60.0
        labels[-1] = 0
    return scores.to(device=device, dtype=dtype), labels.to(device)


def gradient(loss: Callable[[Tensor], Tensor], scores: Tensor) -> tuple[Tensor, Tensor]:
    """The values, and their sum's derivative with factors that differ by element."""
    leaf = scores.detach().clone().requires_grad_()
    values = loss(leaf)
    factors = torch.linspace(0.5, 2, values.numel(), device=values.device, dtype=values.dtype)
    (values * factors.reshape(values.shape)).sum().backward()
    assert leaf.grad is not None
    return values.detach(), leaf.grad


def python_focal_loss(scores: Tensor, labels: Tensor, **options: float) -> Tensor:
    target = one_hot(labels, scores.shape[1] + 1)[:, : scores.shape[1]]
    return py_sigmoid_focal_loss(scores, target, reduction="none", **options)


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (1.5, 0.6), (0.0, 0.5)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (200, 10)], ids=str)
def test_sigmoid_focal_loss_is_mmdets_python_version(
    device: str, shape: tuple[int, int], dtype: torch.dtype, gamma: float, alpha: float
) -> None:
    scores, labels = logits(*shape, dtype, device)
    ours = gradient(
        lambda x: mmcv.ops.sigmoid_focal_loss(x, labels, gamma, alpha, None, "none"), scores
    )
    # The Python version is compared in double precision: its own 1 - sigmoid loses digits.
    theirs = gradient(
        lambda x: python_focal_loss(x, labels, gamma=gamma, alpha=alpha), scores.double()
    )
    tolerance = {torch.float64: 1e-12, torch.float32: 2e-6}[dtype]
    for mine, reference in zip(ours, theirs, strict=True):
        assert mine.dtype == dtype
        torch.testing.assert_close(mine.double(), reference, rtol=tolerance, atol=tolerance)


def test_sigmoid_focal_loss_gradient_is_that_of_its_values(device: str) -> None:
    scores, labels = logits(20, 3, torch.float64, device)
    scores = scores[1:-1].requires_grad_()
    weight = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64, device=device)
    assert torch.autograd.gradcheck(
        lambda x: mmcv.ops.sigmoid_focal_loss(x, labels[1:-1], 1.7, 0.3, weight, "none"), (scores,)
    )


def test_sigmoid_focal_loss_class_weights_scale_a_row_by_its_label(device: str) -> None:
    scores, labels = logits(50, 4, torch.float64, device)
    weight = torch.tensor([0.5, 1.0, 3.0, 2.0], dtype=torch.float64, device=device)
    factors = torch.cat([weight, weight.new_ones(1)])[labels][:, None]
    ours = gradient(
        lambda x: mmcv.ops.sigmoid_focal_loss(x, labels, 2.0, 0.25, weight, "none"), scores
    )
    theirs = gradient(lambda x: python_focal_loss(x, labels) * factors, scores)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert set(labels.tolist()) == {0, 1, 2, 3, 4}


def test_sigmoid_focal_loss_through_mmdets_wrapper(device: str) -> None:
    scores, labels = logits(60, 5, torch.float32, device)
    weight = torch.linspace(0, 1, 60, device=device)
    target = one_hot(labels, 6)[:, :5]
    ours = sigmoid_focal_loss(scores, labels, weight, avg_factor=7.0)
    torch.testing.assert_close(ours, py_sigmoid_focal_loss(scores, target, weight, avg_factor=7.0))
    # On CUDA this takes the operator, elsewhere the Python version.
    torch.testing.assert_close(FocalLoss()(scores, labels, weight, avg_factor=7.0), ours)


def test_sigmoid_focal_loss_does_not_depend_on_how_rows_are_cut(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, labels = logits(50, 4, torch.float32, device)

    def loss(x: Tensor) -> Tensor:
        return mmcv.ops.sigmoid_focal_loss(x, labels, 2.0, 0.25, None, "none")

    whole = gradient(loss, scores)
    monkeypatch.setattr(focal_loss, "_CHUNK_ELEMENTS", 7 * 4)
    torch.testing.assert_close(gradient(loss, scores), whole, rtol=1e-6, atol=1e-7)
    monkeypatch.setattr(focal_loss, "_CHUNK_ELEMENTS", 1)
    torch.testing.assert_close(gradient(loss, scores), whole, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_sigmoid_focal_loss_in_half_precision(device: str, dtype: torch.dtype) -> None:
    scores, labels = logits(100, 6, dtype, device)

    def loss(x: Tensor) -> Tensor:
        return mmcv.ops.sigmoid_focal_loss(x, labels, 2.0, 0.25, None, "none")

    ours, exact = loss(scores), loss(scores.double())
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, exact.to(dtype))
    with torch.autocast(device, dtype=dtype):
        layer = torch.nn.Linear(6, 6, device=device)
        loss(layer(torch.ones(100, 6, device=device))).float().mean().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.isfinite().all()
    assert layer.weight.grad.abs().sum() > 0


def softmax_reference(scores: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    log_p = log_softmax(scores, dim=1).gather(1, labels[:, None])[:, 0]
    return -0.25 * (1 - log_p.exp()) ** 2 * log_p * weight[labels]


def test_softmax_focal_loss_is_the_formula(device: str) -> None:
    scores, labels = logits(60, 5, torch.float64, device)
    scores, labels = scores[1:-1] / 3, labels[1:-1] % 5
    weight = torch.linspace(0.5, 2, 5, dtype=torch.float64, device=device)

    def ours(x: Tensor) -> Tensor:
        # mmcv overwrites its argument, and multiplies by a gradient of one value only.
        return mmcv.ops.softmax_focal_loss(x * 1, labels, 2.0, 0.25, weight, "sum")

    values, slopes = gradient(ours, scores)
    expected = gradient(lambda x: softmax_reference(x, labels, weight).sum(), scores)
    torch.testing.assert_close((values, slopes), expected, rtol=1e-10, atol=1e-10)


def test_softmax_focal_loss_labels_outside_the_classes_cost_nothing(device: str) -> None:
    scores, _ = logits(3, 4, torch.float32, device)
    labels = torch.tensor([-1, 4, 2], device=device)
    loss = gradient(
        lambda x: mmcv.ops.softmax_focal_loss(x * 1, labels, 2.0, 0.25, None, "sum"), scores
    )
    only = gradient(
        lambda x: mmcv.ops.softmax_focal_loss(x * 1, labels[2:], 2.0, 0.25, None, "sum"), scores[2:]
    )
    torch.testing.assert_close(loss[0], only[0])
    torch.testing.assert_close(loss[1][2:], only[1])
    assert not loss[1][:2].any()


# RoI align.


def naive_roi_align(
    images: np.ndarray, rois: np.ndarray, size: int, scale: float, samples: int, aligned: bool
) -> np.ndarray:
    """Mean of bilinear samples in each bin; https://arxiv.org/abs/1703.06870."""
    out = np.zeros((len(rois), images.shape[1], size, size))
    for r, (image, *box) in enumerate(rois):
        x1, y1, x2, y2 = np.array(box) * scale - (0.5 if aligned else 0)
        w, h = (x2 - x1, y2 - y1) if aligned else (max(x2 - x1, 1), max(y2 - y1, 1))
        steps = [samples or int(np.ceil(side / size)) for side in (h, w)]
        for i, j in np.ndindex(size, size):
            points = [
                (
                    y1 + h * (i + (a + 0.5) / steps[0]) / size,
                    x1 + w * (j + (b + 0.5) / steps[1]) / size,
                )
                for a, b in np.ndindex(*steps)
            ]
            values = [bilinear(images[int(image)], y, x) for y, x in points]
            out[r, :, i, j] = np.sum(values, axis=0) / max(len(values), 1) if values else 0
    return out


def bilinear(image: np.ndarray, y: float, x: float) -> np.ndarray:
    height, width = image.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(len(image))
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    upper = image[:, top, left] * (1 - dx) + image[:, top, right] * dx
    lower = image[:, bottom, left] * (1 - dx) + image[:, bottom, right] * dx
    return upper * (1 - dy) + lower * dy


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("samples", [0, 2])
def test_roi_align_values_and_gradients(device: str, samples: int, aligned: bool) -> None:
    random = np.random.default_rng(0)
    images = random.normal(size=(2, 3, 12, 10))
    corner, sides = random.uniform(-3, 15, (6, 2)), random.uniform(0.5, 14, (6, 2))
    rois = np.concatenate([random.integers(0, 2, (6, 1)), corner, corner + sides], axis=1)
    expected = naive_roi_align(images, rois, 3, 0.5, samples, aligned)
    given = [torch.from_numpy(array).to(device) for array in (images, rois)]
    pooled = mmcv.ops.roi_align(*given, (3, 3), 0.5, samples, "avg", aligned)
    np.testing.assert_allclose(pooled.cpu().numpy(), expected, rtol=1e-9, atol=1e-9)
    assert np.abs(expected).sum() > 1
    leaf, boxes = given[0].requires_grad_(), given[1][:3]
    # Atomic additions on CUDA make the order of a sum, and its last bits, vary.
    assert torch.autograd.gradcheck(
        lambda x: mmcv.ops.roi_align(x, boxes, (3, 3), 0.5, samples, "avg", aligned),
        (leaf,),
        nondet_tol=1e-9,
    )


def test_roi_align_of_no_regions(device: str) -> None:
    images = torch.ones(1, 2, 8, 8, device=device)
    pooled = mmcv.ops.RoIAlign((7, 7))(images, torch.zeros(0, 5, device=device))
    assert pooled.shape == (0, 2, 7, 7)


# The stand-in module.


def test_an_operator_that_is_not_served_names_itself_and_the_way_out() -> None:
    extension = sys.modules["mmcv._ext"]
    with pytest.raises(NotImplementedError, match=r"'ball_query_forward'.*--no-binary onedl-mmcv"):
        extension.ball_query_forward(1, key=2)
    with pytest.raises(NotImplementedError, match="'psamask_forward'"):
        mmcv.ops.PSAMask("collect", (3, 3))(torch.ones(1, 9, 3, 3))
    with pytest.raises(AttributeError):
        extension.__wrapped__  # noqa: B018


def test_everything_said_to_be_served_is() -> None:
    extension = sys.modules["mmcv._ext"]
    assert ops.served() == sorted(ops.served())
    for name in ops.served():
        served = getattr(extension, name)
        assert served.__name__ == name
        assert served.__module__.startswith("benchmark.ops.torch_ops.")


def python(*arguments: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(("-c", code) if code else ()), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_a_fresh_process_gets_mmcv_ops_without_paying_before() -> None:
    done = python(
        code="""
import sys
from benchmark import ops
assert ops.origin() == "torchvision"
assert not {"torch", "mmcv", "numpy"} & sys.modules.keys()
ops.install()
first = sys.modules["mmcv._ext"]
ops.install()
assert sys.modules["mmcv._ext"] is first
assert "torch" not in sys.modules
import importlib.util
assert importlib.util.find_spec("mmcv._ext").origin == "benchmark.ops.torch_ops"
import mmcv.ops, torch
from mmengine.utils.dl_utils import mmcv_full_available
assert mmcv_full_available()
print(mmcv.ops.nms(torch.tensor([[0., 0., 2., 2.]]), torch.tensor([1.]), 0.5)[1].tolist())
"""
    )
    assert done.stdout.strip() == "[0]", done.stderr


def test_compiled_operators_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mmcv").mkdir()
    (tmp_path / "mmcv" / "__init__.py").touch()
    (tmp_path / "mmcv" / "_ext.py").write_text("compiled = True\n")
    done = python(
        str(tmp_path),
        code="""
import sys
sys.path.insert(0, sys.argv[1])
from benchmark import ops
assert ops.origin() == "compiled"
ops.install()
assert "mmcv._ext" not in sys.modules
import mmcv._ext
assert ops.origin() == "compiled"
ops.install()
print(mmcv._ext.compiled)
""",
    )
    assert done.stdout.strip() == "True", done.stderr


def test_installing_after_mmdet_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mmcv._ext")
    with pytest.raises(RuntimeError, match=r"before mmdet\.models"):
        ops.install()


def test_any_script_runs_with_the_operators(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("value = 7\n")
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, beside\n"
        "from benchmark import ops\n"
        "if __name__ == '__main__':\n"
        "    assert isinstance(sys.modules['mmcv._ext'], ops._Extension)\n"
        "    print(sys.argv[1:], beside.value, sys.argv[0] == __file__)\n"
        "    sys.exit(3)\n"
    )
    done = python("-m", "benchmark.ops", str(script), "config.py", "--amp")
    assert done.stdout.strip() == "['config.py', '--amp'] 7 True", done.stderr
    assert done.returncode == 3


def test_running_no_script_says_how() -> None:
    for arguments in ((), ("nowhere.py",)):
        done = python("-m", "benchmark.ops", *arguments)
        assert done.returncode == 2
        assert "usage: python -m benchmark.ops SCRIPT" in done.stderr
        assert "Traceback" not in done.stderr
    assert "nowhere.py" in done.stderr
