"""What the rows' configs have in common, and where each differs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from benchmark.run.identity import counting_below, counts, counts_at_top

# A top-level entry of a config: its key, and its value as JSON. Many rows share each, so that the work is done once
# for an entry and not for a row: a thousand rows take a second less.
_Entry = tuple[str, str]


def configs(by_row: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Flattens the configs of rows to key paths, and tells what most rows have from what one row has.

    Keys that do not change what is measured (where data and results lie, seed, workers, tracking) are left out.

    Args:
        by_row: Composed configs by the name of the row.

    Returns:
        ``{"common": {path: text}, "rows": {row: {path: text or None}}}``. ``common`` has every value that more rows
        have than any other value, or none at all; of a row there is what differs from it, None where the row has no
        such key. A path is ``model.backbone.depth``, with the position in a list: ``param_scheduler.0.type``. A list
        of plain values is one text.
    """
    entries = {row: _entries(config) for row, config in by_row.items()}
    often = Counter(entry for mine in entries.values() for entry in mine)
    flat = {(key, text): dict(_flattened(key, _counting(key, text))) for key, text in often}
    common = _common(often, flat, len(entries))
    differences = {entry: _different(values, common[entry[0]]) for entry, values in flat.items()}
    return {
        "common": {path: text for key in sorted(common) for path, text in common[key].items()},
        "rows": {row: _row(mine, differences, common) for row, mine in entries.items()},
    }


def _entries(config: Mapping[str, object]) -> list[_Entry]:
    return [
        (str(key), json.dumps(value, default=str))
        for key, value in config.items()
        if counts_at_top(key, value) and not _is_seed_alone(key, value)
    ]


def _is_seed_alone(key: str, value: object) -> bool:
    """Whether nothing of a mapping is left once the seed, which is not the row's, is taken out."""
    return isinstance(value, dict) and len(value) == 1 and counting_below(key, value) == {}


def _counting(key: str, text: str) -> object:
    return counting_below(key, json.loads(text))


def _common(
    often: Mapping[_Entry, int], flat: Mapping[_Entry, Mapping[str, str]], rows: int
) -> dict[str, dict[str, str]]:
    """By top-level key the usual text of each path, sorted; of equally frequent ones the first row's."""
    counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for entry, number in often.items():
        for path, text in flat[entry].items():
            counts[entry[0]][path][text] += number
    common: dict[str, dict[str, str]] = {key: {} for key, _ in often}
    for key, paths in counts.items():
        for path, texts in sorted(paths.items()):
            text, number = texts.most_common(1)[0]
            if number >= rows - texts.total():
                common[key][path] = text
    return common


def _different(values: Mapping[str, str], common: Mapping[str, str]) -> dict[str, str | None]:
    own = {path: text for path, text in values.items() if common.get(path) != text}
    return own | {path: None for path in common if path not in values}


def _row(
    entries: list[_Entry],
    differences: Mapping[_Entry, Mapping[str, str | None]],
    common: Mapping[str, Mapping[str, str]],
) -> dict[str, str | None]:
    own = {path: text for entry in entries for path, text in differences[entry].items()}
    lacking = common.keys() - {key for key, _ in entries}
    own |= {path: None for key in lacking for path in common[key]}
    return dict(sorted(own.items()))


def _flattened(path: str, value: object) -> Iterator[tuple[str, str]]:
    """The leaves below a path, as text."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            if counts(key, item):
                yield from _flattened(f"{path}.{key}", item)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for position, item in enumerate(value):
            yield from _flattened(f"{path}.{position}", item)
    else:
        yield path, _text(value)


def _text(value: object) -> str:
    """A leaf as Python writes it, words without quotes."""
    return (value or "''") if isinstance(value, str) else str(value)
