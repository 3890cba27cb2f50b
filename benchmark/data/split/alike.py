"""Near-duplicates among images: the same picture in another size, quality or brightness.

Each image has a difference hash of 128 bits: of the grey picture at 9x8 pixels, whether each pixel is brighter than its
left neighbour, and of that at 8x9, whether it is brighter than its upper one (the first half is Krawetz's dHash, 2013;
pictures of one kind of scene, a floor or a sky, often agree in one half and hardly ever in both). Two images are
near-duplicates if at most 8 of the 128 bits differ: among 369 photographs of litter no two others differed in fewer
than 14, and copies of 60 of them at half the size, with JPEG's quality 30 and a tenth darker, in at most 7. A copy that
was cropped by a fiftieth differs in 9 as often as not, and one that was mirrored in half of the bits: neither is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BITS = 8
"""How many of the 128 bits may differ at most."""

_DRAFT = 64  # pixels: a JPEG file is decoded no larger than needed
# Of nine chunks one is the same in any two hashes that differ in at most eight bits.
_CHUNKS = BITS + 1


def alike(files: Sequence[Path]) -> tuple[NDArray[np.intp], list[Path]]:
    """Which of some image files are near-duplicates.

    Args:
        files: The files.

    Returns:
        Pairs of positions, shape (P, 2), which connect all that are near-duplicates, not each with each; and the files
        that could not be read, which are like none.
    """
    with ThreadPoolExecutor(max_workers=2) as threads:
        found = list(threads.map(_hash, files))
    lost = [file for file, bits in zip(files, found, strict=True) if bits is None]
    known = np.array([place for place, bits in enumerate(found) if bits is not None], np.intp)
    if not len(known):
        return np.empty((0, 2), np.intp), lost
    hashes = np.stack([bits for bits in found if bits is not None])
    distinct, first, of = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    same = np.column_stack([first[of.ravel()], np.arange(len(hashes))])
    near = first[_near(distinct)]
    pairs = np.concatenate([same, near])
    return known[pairs[pairs[:, 0] != pairs[:, 1]]], lost


def _hash(file: Path) -> NDArray[np.bool_] | None:
    """Shape (128,); None of a file that holds no picture that can be read."""
    from PIL import Image

    try:
        with Image.open(file) as opened:
            opened.draft("L", (_DRAFT, _DRAFT))
            grey = opened.convert("L")
            sizes = ((9, 8), (8, 9))
            across, down = (
                np.asarray(grey.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0), np.int16)
                for size in sizes
            )
    except Exception:  # whatever a decoder raises: `detboard data check` says what is wrong
        return None
    brighter = (across[:, 1:] > across[:, :-1], down[1:] > down[:-1])
    return np.concatenate([half.ravel() for half in brighter])


def _near(hashes: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Pairs of rows that differ in at most `BITS` bits, shape (P, 2); hashes of shape (N, 128), all different."""
    packed = np.packbits(hashes, axis=1).view(np.uint64)
    found = [
        pairs[np.bitwise_count(packed[pairs[:, 0]] ^ packed[pairs[:, 1]]).sum(axis=1) <= BITS]
        for chunk in np.array_split(hashes, _CHUNKS, axis=1)
        for pairs in _of_one_chunk(chunk)
    ]
    return np.concatenate(found) if found else np.empty((0, 2), np.intp)


def _of_one_chunk(chunk: NDArray[np.bool_]) -> Iterator[NDArray[np.intp]]:
    """Pairs of rows whose chunks are the same, shape (P, 2), a few rows' at a time."""
    _, of = np.unique(chunk, axis=0, return_inverse=True)
    order = np.argsort(of.ravel(), kind="stable")
    starts = np.flatnonzero(np.diff(of.ravel()[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        for place in range(len(rows) - 1):
            others = rows[place + 1 :]
            yield np.column_stack([np.full(len(others), rows[place]), others])
