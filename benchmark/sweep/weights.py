"""What is said of the weights that runs start from: which are here, which are to be fetched, which could not be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmark.errors import few
from benchmark.files import is_file
from benchmark.run.contents import Contents, called_in_row, named_path, weights_files
from benchmark.run.fetched.fetch import measured_sizes
from benchmark.run.fetched.needs import Looked, Need, look, needs_of
from benchmark.run.fetched.places import OWN_VARIABLE, hub
from benchmark.run.fetched.soundness import digits_of, junk_in
from benchmark.run.pickles import code_in, refusal
from benchmark.run.plan import Plan
from benchmark.run.state import Planned, not_complete
from benchmark.writing.addresses import public
from benchmark.writing.words import counted, size


def contents_of(runs: Sequence[Planned]) -> Contents:
    """The hashes that are remembered beside runs; runs share a results folder."""
    folders = {run.folder.path.parent for run in runs}
    return Contents(next(iter(folders)) / ".contents.json" if folders else None)


def to_come(runs: Sequence[Planned]) -> Iterator[str]:
    """A sentence for each file that a sweep of these runs is to fetch, with its size as its server says it."""
    contents = contents_of(runs)
    found = [look(need, contents) for need in needs_of(not_complete(runs))]
    sizes = measured_sizes([one.need for one in found if one.path is None])
    for one in found:
        need = one.need
        yield from (
            f"{need.of_rows}: {path}: {told}; it is passed over"
            for path, told in one.flawed.items()
        )
        if one.path is None:
            yield (
                f"{need.of_rows}: the weights {need.shown} are not in {hub()} ({_size_or_unknown(sizes.get(need))}): "
                "a sweep fetches them before it starts jobs, and starts none without them"
            )


def not_fetched(failed: Mapping[Need, str], runs: Sequence[Planned]) -> Iterator[str]:
    """A message for each file that could not be fetched, and one on what to do."""
    contents = contents_of(runs)
    for need, why in failed.items():
        flawed = "".join(f"; {path}: {told}" for path, told in look(need, contents).flawed.items())
        yield f"{need.of_rows}: the weights {need.shown} could not be fetched: {why}{flawed}"
    lacking = {row for need in failed for row in need.rows}
    others = [row for row in dict.fromkeys(run.spec.row for run in runs) if row not in lacking]
    if failed:
        them = "it" if len(failed) == 1 else "them"
        until = f"; until then --rows {','.join(others)} names the rows that do without {them}"
        yield (
            f"put the {'file' if len(failed) == 1 else 'files'} into {hub()}, or name a folder or a mirror that has "
            f"{them} in {OWN_VARIABLE} (docs/weights.md), and give the same command again{until if others else ''}"
        )


def code(needs: Sequence[Need], contents: Contents) -> list[str]:
    """A message for each file on this machine that holds code: jobs would refuse to load it."""
    found = [look(need, contents) for need in needs]
    return [
        f"{one.need.of_rows}: {one.path}: {refusal(names)}"
        for one in found
        if one.path is not None and (names := code_in(one.path))
    ]


def junk(runs: Sequence[Planned]) -> list[str]:
    """A message for each file of weights that a config names by its path and that is something else."""
    named = {
        (run.spec.row, called_in_row(key, run.spec.recipe), text)
        for run in not_complete(runs)
        for key, text in weights_files(run.config)
    }
    return [
        f"row '{row}': {key}: {text}: {told}; give the file of the weights themselves"
        for row, key, text in sorted(named)
        if is_file(named_path(text)) and (told := junk_in(named_path(text)))
    ]


# The list of `detboard weights`


def is_well(runs: Sequence[Planned], contents: Contents) -> bool:
    """Whether nothing that is here is damaged; what is not here yet may be fetched."""
    found = [look(need, contents) for need in needs_of(runs)]
    return not any(one.flawed for one in found) and not any(
        is_file(named_path(text)) and junk_in(named_path(text)) for _, text in _paths(runs)
    )


def listed(made: Plan, contents: Contents) -> str:
    """Every file of weights that the rows of a plan need, and a line on all of them."""
    found = [look(need, contents) for need in needs_of(made.runs)]
    sizes = measured_sizes([one.need for one in found if one.path is None])
    own = _own_files(made.runs)
    if not found and not own:
        return f"No row needs a file of weights under the profile {made.profile}."
    lines = [line for one in found for line in _lines_of(one, sizes)]
    return "\n".join([*lines, *own, _in_all(found, sizes)])


def _lines_of(one: Looked, sizes: Mapping[Need, int]) -> Iterator[str]:
    need = one.need
    yield need.name
    yield from (f"  damaged: {path}: {told}" for path, told in one.flawed.items())
    if one.path is not None:
        checked = "its hash is right" if digits_of(need.name) else "its name tells no hash"
        yield f"  here: {size(one.path.stat().st_size)}, {checked}, in {one.path.parent}"
    else:
        yield f"  missing: {_size_or_unknown(sizes.get(need))}"
    yield f"  {public(need.address)}, for {need.of_rows}"


def _size_or_unknown(count: int | None) -> str:
    return "its size is not known" if count is None else size(count)


def _in_all(found: Sequence[Looked], sizes: Mapping[Need, int]) -> str:
    lacking = [one.need for one in found if one.path is None]
    if not lacking:
        return (
            f"{counted(len(found), 'file')} to fetch, all here." if found else "Nothing to fetch."
        )
    known = [sizes[need] for need in lacking if need in sizes]
    unknown = len(lacking) - len(known)
    parts = [size(sum(known))] if known else []
    parts += [f"{unknown} of unknown size"] if unknown else []
    return (
        f"{counted(len(found), 'file')} to fetch, {len(lacking)} missing ({', '.join(parts)}); "
        "--fetch fetches them, and so does a sweep before it starts jobs."
    )


def _paths(runs: Sequence[Planned]) -> list[tuple[str, str]]:
    """Row and text of each file of weights that a config names by its path."""
    named = {(run.spec.row, text) for run in runs for _, text in weights_files(run.config)}
    return sorted(named)


def _own_files(runs: Sequence[Planned]) -> list[str]:
    rows: dict[str, list[str]] = {}
    for row, text in _paths(runs):
        rows.setdefault(text, []).append(row)
    lines = []
    for text, names in rows.items():
        path = named_path(text)
        state = (
            junk_in(path) or f"here: {size(path.stat().st_size)}"
            if is_file(path)
            else "no such file"
        )
        lines += [
            text,
            f"  {state}, a file of your own",
            f"  for {'rows' if len(names) > 1 else 'row'} {few(names)}",
        ]
    return lines
