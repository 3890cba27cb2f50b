"""What models of timm give as backbones: their maps, and images of which sizes they take."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from unittest.mock import patch

from benchmark.errors import nearest, why

if TYPE_CHECKING:
    import torch
    from timm.models import PretrainedCfg

_DIGITS = re.compile(r"-[0-9a-f]{8,}\.pth$")
# What the sides of images are tried as multiples of, before the side that a model was made for: any, as they come;
# and what most detectors pad to. Each with an image that fits it.
_SIZES = {1: (203, 157), 32: (160, 192)}


@contextmanager
def on_meta() -> Iterator[None]:
    """Tensors without values. Rates of dropped paths are read back while a model is built: they have some."""
    import torch

    with (
        patch.object(torch, "linspace", partial(torch.linspace, device="cpu")),
        torch.device("meta"),
    ):
        yield


def of_timm(name: str) -> dict[str, object]:
    """What a model of timm gives.

    Args:
        name: With or without the tag of its weights: ``resnet34``, ``resnet34.a1_in1k``.

    Returns:
        ``levels``: ``[index, channels, stride]`` each; ``name`` with the tag; ``weights``: their address, None if
        there are none; ``mean`` and ``std`` in 0..255, RGB; ``options`` of its constructor, and ``pad_to``, what the
        sides of images are to be padded to multiples of.

    Raises:
        ValueError: There is no such model, or it gives no maps of images of any size.
    """
    import torch

    torch.set_num_threads(1)
    name = _current(name)
    config = _weights(name)
    options, pad_to, maps = _maps(name, config.input_size[-1])
    return {
        "levels": maps,
        "name": f"{config.architecture}.{config.tag}" if config.tag else name,
        "weights": _address(name, config),
        "mean": [round(value * 255, 3) for value in config.mean],
        "std": [round(value * 255, 3) for value in config.std],
        "options": options,
        "pad_to": pad_to,
    }


def _current(name: str) -> str:
    """What timm calls a model now, with the tag of its weights, of which the older name has none."""
    import timm

    return timm.models.get_deprecated_models().get(name) or name


def _weights(name: str) -> PretrainedCfg:
    import timm

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = nearest(f"timm/{name}", (f"timm/{one}" for one in timm.list_models()))
        raise ValueError(f"timm {timm.__version__} has no model of this name{near}")
    tags = [one for one in timm.list_pretrained() if one.partition(".")[0] == architecture]
    if tag and name not in tags:
        raise ValueError(f"timm {timm.__version__} has no such weights; it has {', '.join(tags)}")
    return timm.models.get_pretrained_cfg(name) or timm.models.PretrainedCfg(
        architecture=architecture, hf_hub_id=None
    )


def _address(name: str, config: PretrainedCfg) -> str | None:
    """Where a model's weights are: at an address whose name has digits of their hash, or on Hugging Face's hub."""
    url = config.url if isinstance(config.url, str) else ""
    if _DIGITS.search(url) and not config.custom_load:
        return url
    if not config.hf_hub_id:
        return url or None
    hub = config.hf_hub_id
    repository = f"{hub}{name}" if hub.endswith("/") else hub
    file = config.hf_hub_filename or "pytorch_model.bin"
    return f"https://huggingface.co/{repository}/resolve/main/{file}"


def _maps(name: str, side: int) -> tuple[Mapping[str, bool], int, list[list[int]]]:
    """Options under which a model takes images of many sizes, the multiple of their sides, and its maps then."""
    import timm

    plain = partial(timm.create_model, name, pretrained=False, features_only=True)
    resized = partial(plain, strict_img_size=False)
    for build, options in ((plain, dict[str, bool]()), (resized, {"strict_img_size": False})):
        try:
            with on_meta():
                made = build()
            made.eval()
        except TypeError:  # no such option
            continue
        except (RuntimeError, AttributeError) as error:
            raise ValueError(f"gives no maps of its stages: {why(error)}") from None
        _refuse_one_stride(made)
        for pad_to, size in {**_SIZES, side: (side * 2, side)}.items():
            if found := _seen(made, size):
                return options, pad_to, [list(level) for level in found]
    raise ValueError(
        f"takes images of {side} x {side} pixels alone, or its maps do not lie evenly over the image; the images of a "
        "detector are of many sizes: take another model"
    )


def _refuse_one_stride(model: torch.nn.Module) -> None:
    strides = set(model.feature_info.reduction())  # type: ignore[operator, union-attr]
    if len(strides) == 1:
        raise ValueError(
            f"all its maps have stride {strides.pop()}, of which no pyramid can be made: take a model that has stages"
        )


def _seen(model: torch.nn.Module, size: tuple[int, int]) -> list[tuple[int, int, int]] | None:
    """Index, channels and stride of each map of an image of ``size`` (height, width); None if one is not even."""
    import torch

    try:
        with torch.no_grad(), on_meta():
            maps = model(torch.zeros(1, 3, *size))
    except Exception:  # whatever a model raises at a size that it does not take
        return None
    info = model.feature_info
    last = getattr(getattr(model, "output_fmt", None), "value", "") == "NHWC"
    found = []
    for index, stride, one in zip(info.out_indices, info.reduction(), maps, strict=True):  # type: ignore[operator, union-attr, arg-type]
        channels, *sides = one.movedim(-1, 1).shape[1:] if last else one.shape[1:]
        if sides != [-(-side // stride) for side in size]:
            return None
        found.append((int(index), int(channels), int(stride)))
    return found
