"""Whether the image files of a split are there, can be decoded, and are what the annotations say."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import NamedTuple, TypeAlias

from benchmark.data.absent import absence, absent
from benchmark.data.annotations import Images
from benchmark.data.decode import Look, Reader, look, wh
from benchmark.data.faults import Fault
from benchmark.data.seen import Seen, stamp

# Images that are decoded where not all are: what a plan takes a moment for.
_SAMPLED = 20
_SAMPLED_PIXELS = 1 << 27
# One at a time: a scan of 20000 x 20000 takes 1.2 GB of memory, and as much again while it is decoded.
_LARGE_PIXELS = 1 << 26
_AT_ONCE = 512

Told: TypeAlias = Callable[[int, int], None]
"""Called with how many images are decoded, and how many are to be."""


@dataclass(frozen=True)
class Decoding:
    """Which images a check decodes, and how.

    Attributes:
        readers: How jobs read the images of a split, by its name; as mmcv does if nobody says so.
        every: Whether every image is decoded that was not before; else a few, spread over the split.
        told: Hears how far it is.
    """

    readers: Mapping[str, Iterable[Reader]] = field(default_factory=dict)
    every: bool = True
    told: Told | None = None


@dataclass
class Pictures:
    """What is found in the image files of a split, each once.

    Attributes:
        faults: What jobs would fail on: by the kind, a line about each file.
        turned: Images annotated with the size that they have before their EXIF orientation turns them: a line about
            each, by its name.
        flat: Images of over 8 bits a channel of which next to nothing is left in 8.
    """

    faults: dict[str, dict[str, None]] = field(default_factory=dict)
    turned: dict[str, str] = field(default_factory=dict)
    flat: dict[str, None] = field(default_factory=dict)

    def add_fault(self, fault: Fault) -> None:
        """Files a fault under its kind."""
        self.faults.setdefault(fault.kind, {})[fault.told] = None

    def add_look(self, name: str, said: tuple[int, int], found: Look) -> None:
        """Notes what is odd about a sound image."""
        if found.turned:
            self.turned[name] = f"{name} is {wh(said[::-1])} upright"
        if found.flat:
            self.flat[name] = None


def look_at(folder: Path, split: str, images: Images, decoding: Decoding) -> Pictures:
    """Looks at the image files of a split.

    Args:
        folder: What the names are relative to.
        split: The split's name, by which its readers are found.
        images: What the annotations list.
        decoding: Which files are decoded, and how.
    """
    found = Pictures()
    there = set(images.names)
    for name in absent(folder, images.names):
        there.discard(name)
        found.add_fault(absence(os.path.join(folder, name), name))  # noqa: PTH118 - names may be odd
    chosen = _chosen(images, decoding.every)
    listed = [_Listed(*image) for image in chosen if image[0] in there]
    for reader in sorted(set(decoding.readers.get(split, (Reader(),))), key=str):
        if reader.works:
            _decode(folder, listed, reader, decoding.told, found)
    return found


def undecoded(folder: Path, split: str, images: Images, decoding: Decoding) -> int:
    """How many of a split's images have not been decoded yet, by their names alone."""
    readers = decoding.readers.get(split, (Reader(),))
    seen = [Seen.of(folder, reader) for reader in readers if reader.works]
    return sum(not all(name in one for one in seen) for name in dict.fromkeys(images.files))


class _Listed(NamedTuple):
    """An image as the annotations list it."""

    name: str
    width: int
    height: int

    @property
    def said(self) -> tuple[int, int]:
        return self.width, self.height


def _chosen(images: Images, every: bool) -> Iterable[tuple[str, int, int]]:
    whole = dict.fromkeys(
        zip(images.files, images.width.tolist(), images.height.tolist(), strict=True)
    )
    if every:
        return whole
    return _sample(list(whole))


def _sample(images: Sequence[tuple[str, int, int]]) -> Iterator[tuple[str, int, int]]:
    left = _SAMPLED_PIXELS
    for image in images[:: max(1, len(images) // _SAMPLED)]:
        left -= image[1] * image[2]
        if left > 0:
            yield image


def _decode(
    folder: Path,
    images: Sequence[_Listed],
    reader: Reader,
    told: Told | None,
    into: Pictures,
) -> None:
    seen = Seen.of(folder, reader)
    try:
        with _silenced(), closing(_looks(folder, images, reader, seen)) as looks:
            for number, (image, found) in enumerate(looks, start=1):
                if isinstance(found, Fault):
                    into.add_fault(found)
                else:
                    into.add_look(image.name, image.said, found)
                if told:
                    told(number, len(images))
    finally:
        seen.save()  # also what was decoded before Ctrl-C


def _looks(
    folder: Path, images: Sequence[_Listed], reader: Reader, seen: Seen
) -> Generator[tuple[_Listed, Look | Fault], None, None]:
    """Looks at images side by side, in threads: decoders work outside Python's lock."""
    eye = _Eye(folder, reader, seen)
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(images), _AT_ONCE):
            part = images[start : start + _AT_ONCE]
            futures = [pool.submit(eye.look, image) for image in part]
            try:
                for image, future in zip(part, futures, strict=True):
                    when, found = future.result()
                    if when and isinstance(found, Look):
                        seen.note(image.name, when, image.said, found)
                    yield image, found
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


class _Eye:
    """Looks at one image, unless it was seen before."""

    def __init__(self, folder: Path, reader: Reader, seen: Seen) -> None:
        self._folder, self._reader, self._seen = str(folder), reader, seen
        self._alone = Lock()

    def look(self, image: _Listed) -> tuple[tuple[int, ...], Look | Fault]:
        """The file's stamp, empty where it is nothing new, and what is found."""
        path = os.path.join(self._folder, image.name)  # noqa: PTH118 - in a hot loop
        try:
            when = stamp(path)
        except (OSError, ValueError):
            return (), absence(path, image.name)
        known = self._seen.recall(image.name, when, image.said)
        if known:
            return (), known
        is_large = image.width * image.height > _LARGE_PIXELS
        with self._alone if is_large else nullcontext():
            return when, look(path, image.name, image.said, self._reader)


@contextmanager
def _silenced() -> Iterator[None]:
    """Nothing reaches standard error: libraries that decode write there, and do not say of which file."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
