"""How a file on disk differs from what the records say."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmark.errors import UserError

_MOST_LINES = 200
_DATA = re.compile(r'(<script[^>]* type="application/json"[^>]*>)(.*?)(</script>)', re.DOTALL)


def read_text(path: Path) -> str | None:
    """The file's text as it is, line ends included; None if there is no such file.

    Raises:
        UserError: It cannot be read as text.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text: {error}") from None


def same(path: Path, found: str | None, wanted: str) -> bool:
    """Whether a file is right; of a page the pictures' bytes do not count: another Pillow writes others."""
    if found == wanted:
        return True
    if found is None or path.suffix != ".html":
        return False
    shells = [_DATA.sub(r"\1\3", text) for text in (found, wanted)]
    before, after = _data(found), _data(wanted)
    return shells[0] == shells[1] and before is not None and before == after


def difference(path: Path, found: str | None, wanted: str) -> str:
    """A unified diff (on disk to what the records say), of a page the values that differ; cut where it is long."""
    if found is None:
        return f"{path.name}: is missing"
    if path.suffix == ".html":
        lines = list(islice(_page_lines(found, wanted), _MOST_LINES + 1))
    else:
        old, new = f"{path.name} (on disk)", f"{path.name} (from the records)"
        # split, not splitlines: a difference in the line ends alone is a difference too.
        before, after = found.split("\n"), wanted.split("\n")
        lines = list(difflib.unified_diff(before, after, old, new, lineterm=""))
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = ["... and more"]
    return "\n".join([*([f"{path.name}:"] if path.suffix == ".html" else []), *lines])


def _page_lines(found: str, wanted: str) -> Iterator[str]:
    before = _data(found)
    if before is None:
        yield "holds no leaderboard"
        return
    differing = list(islice(_unlike("", before, _data(wanted)), _MOST_LINES + 1))
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
    except (ValueError, KeyError, TypeError):
        return None
    return data


def _unlike(where: str, before: Any, after: Any) -> Iterator[str]:
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


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}..."
