"""What is remembered of images that were decoded before, so that a second check is quick."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from benchmark.data.decode import Look, Reader
from benchmark.files import read_json, write_json
from benchmark.home import caches

_VERSION = 1
# Of all that was ever checked on this machine: 118,000 images of COCO take 12 MB.
_MOST_FILES = 64
_MOST_BYTES = 512 << 20
_SAVED_EVERY_S = 10.0


@dataclass
class Seen:
    """The sound images of a folder, as one reader decodes them.

    It lies in the user's cache on this machine, and may be deleted. Only sound images are remembered: what is wrong
    with the others is found anew each time, until it is mended. A cache that cannot be read or written costs time.

    Attributes:
        path: The file that holds them; None where this user has no place for it.
    """

    path: Path | None
    _known: dict[str, list[int]]
    _saved: float = field(default_factory=time.monotonic)
    _news: int = 0

    @classmethod
    def of(cls, folder: Path, reader: Reader) -> Seen:
        """What is remembered of the images in ``folder``."""
        path = _path_of(folder, reader)
        return cls(path, _read(path))

    def __contains__(self, name: str) -> bool:
        """Whether the image was sound when it was last looked at."""
        return name in self._known

    def recall(self, name: str, stamp: tuple[int, ...], said: tuple[int, int]) -> Look | None:
        """What was found of an image, if neither the file nor the size that is asked for has changed since."""
        known = self._known.get(name)
        asked = [*stamp, *said]
        if not isinstance(known, list) or known[: len(asked)] != asked:
            return None
        found = known[len(asked) :]
        if len(found) != len(Look._fields):
            return None  # somebody else wrote it
        return Look(*map(bool, found))

    def note(self, name: str, stamp: tuple[int, ...], said: tuple[int, int], found: Look) -> None:
        """Remembers an image; writes to the disk every few seconds."""
        self._known[name] = [*stamp, *said, *map(int, found)]
        self._news += 1
        if time.monotonic() > self._saved + _SAVED_EVERY_S:
            self.save()

    def save(self) -> None:
        """Writes what is new, and removes what was longest unused where the cache has grown too large."""
        if self.path is None:
            return
        with suppress(OSError):
            if self._news:
                write_json(self.path, {"version": _VERSION, "images": self._known}, indent=None)
            elif self._known:
                os.utime(self.path)
            _prune(self.path.parent)
        self._news, self._saved = 0, time.monotonic()


def stamp(path: str) -> tuple[int, ...]:
    """Changes when the file does; ctime and inode also see a copy that kept its old mtime.

    Raises:
        OSError: There is no such file.
        ValueError: No file can have this name.
    """
    found = os.stat(path)  # noqa: PTH116 - in a hot loop
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _path_of(folder: Path, reader: Reader) -> Path | None:
    """Another reader, and another version of one, may decode what this one does not; None for a user without a home."""
    import PIL

    if not (home := caches()).is_absolute():
        return None
    versions = {"cv2": _opencv(), "pillow": PIL.__version__}
    named = repr((str(folder), sorted(asdict(reader).items()), versions))
    digest = hashlib.sha256(named.encode("utf-8", "surrogateescape")).hexdigest()
    return home / "detboard" / "images" / f"{digest[:16]}.json"


@cache
def _opencv() -> str:
    """The version of OpenCV, without the tenth of a second that importing it takes where it says it in a file."""
    found = find_spec("cv2")
    if found is not None and found.origin is not None:
        with suppress(OSError):
            return Path(found.origin).with_name("version.py").read_text()
    import cv2

    return cv2.__version__


def _read(path: Path | None) -> dict[str, list[int]]:
    try:
        content = read_json(path) if path else {}
        if content["version"] == _VERSION:
            return dict(content["images"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # it only saves time
    return {}


def _prune(folder: Path) -> None:
    files = [(path.stat(), path) for path in folder.iterdir()]
    held = 0
    newest_first = sorted(files, key=lambda file: file[0].st_mtime, reverse=True)
    for number, (found, path) in enumerate(newest_first):
        held += found.st_size
        if number and (number >= _MOST_FILES or held > _MOST_BYTES):
            path.unlink(missing_ok=True)
