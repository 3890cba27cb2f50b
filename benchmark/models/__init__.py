"""Modules that configs name by ``custom_imports``, in jobs and in mmdet's own tools alike."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import urlsplit

_HUGGING_FACE = "huggingface.co"


def file_name(url: str) -> str:
    """The name under which torch's hub keeps what an address of the web leads to; empty if it leads to no file.

    On Hugging Face's hub all weights have one name: ``pytorch_model.bin``. There the name is the repository's, too.
    """
    parts = urlsplit(url)
    path = PurePosixPath(parts.path)
    if parts.netloc == _HUGGING_FACE and "resolve" in path.parts:
        repository = path.parts[1 : path.parts.index("resolve")]
        return "--".join([*repository, path.name])
    return path.name
