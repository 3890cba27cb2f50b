"""The page as a file: compared by the values that it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from benchmark.leaderboard.outputs.text_file import MOST_LINES, TextFile, cut

_DATA = re.compile(r'(<script[^>]* type="application/json"[^>]*>)(.*?)(</script>)', re.DOTALL)


class PageFile(TextFile):
    """A page, of which the pictures' bytes do not count: another Pillow writes others."""

    def is_right(self) -> bool:
        """Whether it shows the same values in the same page."""
        if self.on_disk == self.wanted:
            return True
        if self.on_disk is None:
            return False
        shells = [_DATA.sub(r"\1\3", text) for text in (self.on_disk, self.wanted)]
        before = _data(self.on_disk)
        return shells[0] == shells[1] and before is not None and before == _data(self.wanted)

    def difference(self) -> str:
        """The values that differ, cut where they are many."""
        if self.on_disk is None:
            return super().difference()
        lines = islice(_lines(self.on_disk, self.wanted), MOST_LINES + 1)
        return f"{self.path.name}:\n{cut(list(lines))}"


def _lines(on_disk: str, wanted: str) -> Iterator[str]:
    before = _data(on_disk)
    if before is None:
        yield "holds no leaderboard"
        return
    differing = list(islice(_unlike("", before, _data(wanted)), MOST_LINES + 1))
    yield from differing or ["another version of the page around the same values"]


def _data(text: str) -> Any:
    """What a page shows, without the bytes of its pictures; None if it is no page of a leaderboard."""
    match = _DATA.search(text)
    if match is None:
        return None
    try:
        data = json.loads(match.group(2))
        for image in data["gallery"]["images"]:
            image.pop("src", None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return data


def _unlike(where: str, before: object, after: object) -> Iterator[str]:
    """A pair of lines for each value that differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from _unlike(f"{where}.{key}", before.get(key), after.get(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for position, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _unlike(f"{where}.{position}", old, new)
    elif before != after:
        yield f"-{where.lstrip('.')}: {_shown(before)}"
        yield f"+{where.lstrip('.')}: {_shown(after)}"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}..."
