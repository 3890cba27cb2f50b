"""How the jobs of a config read images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchmark.config.tree import Config, dicts
from benchmark.data.decode import Reader

_SPLITS = {
    "train": ("train_dataloader", "custom_hooks"),  # a hook may switch the pipeline
    "val": ("val_dataloader", "test_dataloader", "tta_pipeline"),
}


def image_readers(configs: Iterable[Mapping[str, object]]) -> dict[str, set[Reader]]:
    """The readers of each split; none where its pipelines have another transform than ``LoadImageFromFile``."""
    found: dict[str, set[Reader]] = {split: set() for split in _SPLITS}
    for config in configs:
        for split, keys in _SPLITS.items():
            found[split] |= {
                _reader(node) for key in keys for node in dicts(config.get(key)) if _loads(node)
            }
    return found


def _loads(node: Config) -> bool:
    return str(node.get("type")).rpartition(".")[2] == "LoadImageFromFile"


def _reader(node: Config) -> Reader:
    default = Reader()
    return Reader(
        str(node.get("imdecode_backend", default.backend)),
        str(node.get("color_type", default.color_type)),
    )
