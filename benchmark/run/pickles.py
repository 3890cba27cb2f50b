"""What a file of weights would call when it is loaded: found in its bytes, without loading it and without torch."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO

from benchmark.errors import few, printable

OPTION = "--trust-checkpoints"
IF_TRUSTED = f"if you trust whoever made the file, give {OPTION} (docs/trust.md)"
# Modules whose functions a training's job judges one by one, see `benchmark.job.weights`.
_JUDGED_LATER = ("torch", "collections", "_codecs")
# What stands in checkpoints of numpy and mmengine, and of the official DETR, DINO and Swin, beside tensors.
DATA = frozenset(
    {
        "numpy._core.multiarray._reconstruct",  # numpy 2
        "numpy._core.multiarray.scalar",
        "numpy.core.multiarray._reconstruct",  # numpy 1
        "numpy.core.multiarray.scalar",
        "numpy.dtype",
        "numpy.ndarray",
        "mmengine.config.config.ConfigDict",
        "mmengine.logging.history_buffer.HistoryBuffer",
        "mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler",
        "builtins.bytes",
        "builtins.getattr",
        "argparse.Namespace",
        "pathlib.PosixPath",
        "pathlib._local.PosixPath",  # Python 3.13
        "torch.torch_version.TorchVersion",
    }
)
_BUILT_IN = {"bytearray", "set", "complex", "getattr", "bytes"}
_LEGACY = 4  # pickles before the one that holds the content, in files of torch before 1.6


def refusal(names: Iterable[str]) -> str:
    """Says that a file is not loaded for what it holds beside data, and what to do."""
    return (
        f"holds {few(map(printable, names), 3)}, which is code and no weights, so that it is not loaded; "
        f"{IF_TRUSTED}"
    )


def code_in(path: Path) -> list[str]:
    """The names in a checkpoint that are no data, such as ``posix.system``; empty of any other file.

    What is not seen here is refused when it is loaded: this is for a message before the first training.
    """
    try:
        about = path.stat()
    except OSError:
        return []
    if path.suffix in (".pkl", ".pickle"):
        return ["a pickle"]
    return list(_code_in(path, about.st_mtime_ns, about.st_size))


@lru_cache(maxsize=256)  # many rows name one file
def _code_in(path: Path, _changed_ns: int, _size: int) -> tuple[str, ...]:
    names: dict[str, None] = {}
    with suppress(Exception):  # whatever a file may hold: the job says why it cannot be loaded
        for name in _named(path):
            if not _is_data(name):
                names[name] = None
    return tuple(names)


def _is_data(name: str) -> bool:
    module, _, rest = name.rpartition(".")
    if module in ("builtins", "__builtin__"):
        return rest in _BUILT_IN
    return name in DATA or name.split(".")[0] in _JUDGED_LATER


def _named(path: Path) -> Iterator[str]:
    """The names that a checkpoint's pickles take from modules."""
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        if start == b"PK":
            with zipfile.ZipFile(file) as archive:
                for member in archive.namelist():
                    if member.endswith("data.pkl"):
                        with archive.open(member) as content:
                            yield from _globals(content)
        elif start in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
            for _ in range(_LEGACY + 1):
                yield from _globals(file)


def _globals(file: IO[bytes]) -> Iterator[str]:
    last: list[str] = []
    for operation, argument, _ in pickletools.genops(file):
        if operation.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif operation.name == "STACK_GLOBAL":
            yield ".".join(last[-2:])
        elif isinstance(argument, str):
            last = [*last[-1:], argument]
