"""How the jobs of a config read images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from benchmark.config.tree import Config, by_content, dicts
from benchmark.data.decode import BACKENDS, COLOR_TYPES, Reader
from benchmark.errors import allowed

_HELD_OUT = ("val_dataloader", "test_dataloader", "tta_pipeline")
_SPLITS = {
    "train": ("train_dataloader", "custom_hooks"),  # a hook may switch the pipeline
    "val": _HELD_OUT,
    "test": _HELD_OUT,
}


def image_readers(configs: Iterable[Mapping[str, object]]) -> dict[str, set[Reader]]:
    """The readers of each split; none where its pipelines have another transform than ``LoadImageFromFile``."""
    found: dict[str, set[Reader]] = {split: set() for split in _SPLITS}
    for config in configs:
        for split, keys in _SPLITS.items():
            found[split].update(*(_within(config.get(key)) for key in keys))
    return found


def readers(config: Config) -> Iterator[str]:
    """Values that mmcv would refuse in the job."""
    found = sorted(set[Reader]().union(*image_readers([config]).values()), key=str)
    chosen = {
        **{("imdecode_backend", reader.backend): BACKENDS for reader in found},
        **{("color_type", reader.color_type): COLOR_TYPES for reader in found},
    }
    for (key, value), choices in chosen.items():
        if value not in choices:
            yield f"LoadImageFromFile.{key}: '{value}' reads nothing; {allowed(value, choices)}"


@by_content
def _within(section: object) -> frozenset[Reader]:
    return frozenset(_reader(node) for node in dicts(section) if _loads(node))


def _loads(node: Config) -> bool:
    return str(node.get("type")).rpartition(".")[2] == "LoadImageFromFile"


def _reader(node: Config) -> Reader:
    default = Reader()
    return Reader(
        str(node.get("imdecode_backend") or default.backend),
        str(node.get("color_type", default.color_type)),
    )
