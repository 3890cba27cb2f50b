"""Reads the file that wandb writes offline, ``run-<id>.wandb``; wandb itself brings no reader.

It is a 7-byte header and then a LevelDB log (blocks of 32 KiB; a record that does not fit is cut
into fragments) of protobuf messages ``wandb_internal_pb2.Record``.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEADER_BYTES = 7
BLOCK_BYTES = 32 * 1024
FRAGMENT_HEADER = struct.Struct("<IHB")  # crc32, length, type
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


@dataclass
class WandbRun:
    """What a file says of its run."""

    id: str = ""
    name: str = ""
    group: str = ""
    project: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    points: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    step_metrics: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    preempted: bool = False
    kinds: set[str] = field(default_factory=set)

    def series(self, key: str) -> list[tuple[int, Any]]:
        """The values of one key with the iteration of each."""
        return [(point["iter"], point[key]) for point in self.points if key in point]


def offline_folders(run_folder: Path) -> list[Path]:
    """The folders that wandb made for the attempts of a run, oldest first."""
    # A second attempt within one second gets the suffix "-1".
    return sorted((run_folder / "wandb").glob("*run-*"), key=lambda path: path.stat().st_mtime)


def read_run(folder: Path) -> WandbRun:
    """Reads the only ``.wandb`` file of an offline folder."""
    [path] = folder.glob("*.wandb")
    run = WandbRun()
    for record in _records(path):
        kind = record.WhichOneof("record_type")
        run.kinds.add(kind)
        _take(run, kind, getattr(record, kind))
    return run


def _take(run: WandbRun, kind: str, content: Any) -> None:
    if kind == "run":
        run.id, run.name, run.project = content.run_id, content.display_name, content.project
        run.group, run.tags = content.run_group, list(content.tags)
        _update(run.config, content.config.update)
    elif kind == "config":
        _update(run.config, content.update)
    elif kind == "history":
        run.points.append(_update({}, content.item))
    elif kind == "summary":
        _update(run.summary, content.update)
    elif kind == "metric":
        run.step_metrics[content.glob_name or content.name] = content.step_metric
    elif kind == "exit":
        run.exit_code = content.exit_code
    elif kind == "preempting":
        run.preempted = True


def _update(values: dict[str, Any], items: Any) -> dict[str, Any]:
    for item in items:
        *outer, last = list(item.nested_key) or [item.key]
        target = values
        for key in outer:
            target = target.setdefault(key, {})
        target[last] = json.loads(item.value_json)
    return values


def _records(path: Path) -> Iterator[Any]:
    from wandb.proto import wandb_internal_pb2

    data = path.read_bytes()
    assert data[:4] == b":W&B", f"{path} is not a wandb file"
    parts: list[bytes] = []
    for kind, part in _fragments(data):
        parts = [part] if kind in (FULL, FIRST) else [*parts, part]
        if kind in (FULL, LAST):
            yield wandb_internal_pb2.Record.FromString(b"".join(parts))


def _fragments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fragments in order; blocks count from the start of the file, header included."""
    position = HEADER_BYTES
    while position + FRAGMENT_HEADER.size <= len(data):
        left_in_block = BLOCK_BYTES - position % BLOCK_BYTES
        if left_in_block < FRAGMENT_HEADER.size:  # too small for a header: zeros
            position += left_in_block
            continue
        _crc, length, kind = FRAGMENT_HEADER.unpack_from(data, position)
        position += FRAGMENT_HEADER.size
        yield kind, data[position : position + length]
        position += length
