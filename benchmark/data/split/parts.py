"""A part of an annotation file."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def part_of(content: Mapping[str, object], ids: Collection[int]) -> dict[str, object]:
    """Those entries of an annotation file that are of some images; all else of it stays as it is.

    Args:
        content: The plain values of the file, of which every entry is sound.
        ids: Of the images.
    """
    chosen = set(ids)
    return {
        **content,
        "images": [entry for entry in _entries(content, "images") if entry["id"] in chosen],
        "annotations": [e for e in _entries(content, "annotations") if e["image_id"] in chosen],
    }


def _entries(content: Mapping[str, object], key: str) -> list[dict[str, object]]:
    entries = content[key]
    assert isinstance(entries, list)
    return entries
