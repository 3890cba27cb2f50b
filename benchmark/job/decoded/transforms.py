"""mmcv's ``LoadImageFromFile`` and ``Resize``, asking a store first.

A resized image is kept where a pipeline resizes to one size and no step before that looks at the image. Whether it does
is looked at each time that it is run: a hook may have changed it. Only these very classes ask; what inherits from them
may do anything.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

import mmcv.transforms
import mmdet.datasets.transforms as of_mmdet
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.dataset.base_dataset import Compose

from benchmark.job.decoded.entry import Picture
from benchmark.job.decoded.keys import Seen, key_of, seen
from benchmark.job.decoded.store import Store

_RESIZES = (mmcv.transforms.Resize, of_mmdet.Resize)
# None of them looks at the image itself, or changes it.
_BLIND = (
    mmcv.transforms.LoadAnnotations,
    of_mmdet.FilterAnnotations,
    of_mmdet.LoadAnnotations,
    of_mmdet.LoadEmptyAnnotations,
    of_mmdet.LoadProposals,
)
_DECODING = ("color_type", "imdecode_backend")
_RESIZING = ("scale", "scale_factor", "keep_ratio", "backend", "interpolation")
_RESIZED_BY = "_resized_by"  # what a loading step is told, while its pipeline runs

Results = dict[str, Any]


class _InUse:
    """The store that is asked; None as long as none is."""

    store: Store | None = None


def ask(store: Store | None) -> None:
    """Has the transforms of this process, and of loader workers that it forks, ask a store from now on, or none."""
    if store is not None:
        _change()
    _InUse.store = store


@functools.lru_cache(maxsize=1)
def _change() -> None:
    LoadImageFromFile.transform = _asking(LoadImageFromFile.transform)
    mmcv.transforms.Resize._resize_img = _taking(mmcv.transforms.Resize._resize_img)
    Compose.__call__ = _looking_ahead(Compose.__call__)
    mmcv.transforms.Compose.transform = _looking_ahead(mmcv.transforms.Compose.transform)


def _looking_ahead(run: Callable[..., Results | None]) -> Callable[..., Results | None]:
    """A pipeline that tells its loading step what will resize the image."""

    @functools.wraps(run)
    def told(self: Any, results: Results) -> Results | None:
        found = _resized(self.transforms) if _InUse.store is not None else None
        if found is None:
            return run(self, results)
        load, resize = found
        vars(load)[_RESIZED_BY] = resize
        try:
            return run(self, results)
        finally:
            vars(load).pop(_RESIZED_BY, None)

    return told


def _resized(transforms: Sequence[object]) -> tuple[object, object] | None:
    """The step that loads the image and the one that resizes it to one size, where nothing looks at it between them."""
    load = None
    for step in transforms:
        if type(step) is LoadImageFromFile:
            load = step
        elif type(step) in _RESIZES:
            return (load, step) if load is not None else None
        elif type(step) not in _BLIND:
            return None
    return None


class _Waiting(np.ndarray):
    """Stands for a decoded image, in its shape and without its memory, until the step that resizes it comes."""

    picture: Picture
    resized_by: object


class _Fresh(np.ndarray):
    """A decoded image that is kept once it is resized."""

    asked: _Asked


def _asking(load: Callable[..., Results | None]) -> Callable[..., Results | None]:
    """``LoadImageFromFile.transform`` with a store."""

    @functools.wraps(load)
    def transform(self: Any, results: Results) -> Results | None:
        store, file = _InUse.store, None
        if store is not None and type(self) is LoadImageFromFile and _is_local(self):
            file = seen(results["img_path"])
        if store is None or file is None:
            return load(self, results)
        resize = vars(self).get(_RESIZED_BY)
        key = _key(file, self, resize)
        picture = store.get(key)
        if picture is None:
            return _load_and_keep(load, self, results, _Asked(store, key, file, resize))
        return _with(results, _of(picture, resize, self.to_float32))

    return transform


class _Asked:
    """What a store did not have."""

    def __init__(self, store: Store, key: bytes, file: Seen, resize: object) -> None:
        self.store, self.key, self.file, self.resize = store, key, file, resize
        self._settled = file.settled  # before it is read, however long that takes

    @property
    def as_it_was(self) -> bool:
        """Whether the file is still what the key says."""
        return self._settled and seen(self.file.path) == self.file

    def keep(self, picture: Picture) -> None:
        """Keeps what was made of the file."""
        self.store.put(self.key, picture)


def _is_local(load: Any) -> bool:
    """Whether a step reads from a path, and not from what stands behind an address."""
    arguments = load.backend_args or {"backend": "local"}
    return load.file_client_args is None and arguments == {"backend": "local"}


def _key(file: Seen, load: Any, resize: Any) -> bytes:
    decoding = {name: getattr(load, name) for name in _DECODING}
    if resize is None:  # numbers of what was decoded, whatever they become
        return key_of(file, decoding, None)
    decoding["to_float32"] = load.to_float32
    return key_of(file, decoding, {name: getattr(resize, name) for name in _RESIZING})


def _of(picture: Picture, resize: object, to_float32: bool) -> Any:
    """The image that the loading step hands on."""
    if resize is None:
        return picture.pixels.astype(np.float32) if to_float32 else picture.pixels
    waiting = np.broadcast_to(np.zeros((), picture.pixels.dtype), picture.decoded).view(_Waiting)
    waiting.picture, waiting.resized_by = picture, resize
    return waiting


def _with(results: Results, image: Any) -> Results:
    results["img"] = image
    results["img_shape"] = image.shape[:2]
    results["ori_shape"] = image.shape[:2]
    return results


def _load_and_keep(
    load: Callable[..., Results | None], self: Any, results: Results, asked: _Asked
) -> Results | None:
    if asked.resize is not None:
        made = load(self, results)
        if made is not None and asked.as_it_was:
            fresh = made["img"].view(_Fresh)
            fresh.asked = asked
            made["img"] = fresh
        return made
    plain = copy.copy(self)
    plain.to_float32 = False  # a quarter of the bytes are kept, and are the same as numbers
    made = load(plain, results)
    if made is not None:
        image = made["img"]
        if asked.as_it_was:
            asked.keep(Picture(image, image.shape))
        made["img"] = image.astype(np.float32) if self.to_float32 else image
    return made


def _taking(resize: Callable[..., None]) -> Callable[..., None]:
    """``Resize._resize_img`` that takes what a store had, or has it keep what it makes."""

    @functools.wraps(resize)
    def resize_img(self: Any, results: Results) -> None:
        image = results.get("img")
        if isinstance(image, _Waiting):
            assert image.resized_by is self  # no other would come first
            _take(self, results, image)
        elif isinstance(image, _Fresh):
            results["img"] = image.view(np.ndarray)
            resize(self, results)
            image.asked.keep(Picture(results["img"], image.shape))
        else:
            resize(self, results)

    return resize_img


def _take(resize: Any, results: Results, waiting: _Waiting) -> None:
    pixels = waiting.picture.pixels
    (height, width), (old_height, old_width) = pixels.shape[:2], waiting.shape[:2]
    results["img"] = pixels
    results["img_shape"] = pixels.shape[:2]
    results["scale_factor"] = (width / old_width, height / old_height)
    results["keep_ratio"] = resize.keep_ratio
