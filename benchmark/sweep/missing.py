"""What a sweep has to do, and what stands in its way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from benchmark.config.readers import image_readers
from benchmark.config.sources import own_data
from benchmark.config.vocabulary.machine import needs_of
from benchmark.data.check import check
from benchmark.data.dataset import Dataset
from benchmark.data.findings import Findings
from benchmark.data.memory import Memory
from benchmark.data.pictures import Decoding, Told, undecoded
from benchmark.errors import attempt
from benchmark.launchers import Launcher
from benchmark.run.conflicts import conflicts
from benchmark.run.contents import named_path
from benchmark.run.fetched.needs import unnamable
from benchmark.run.fetched.places import own
from benchmark.run.folder import RunFolder
from benchmark.run.given_boxes import check_given
from benchmark.run.pickles import code_in, refusal
from benchmark.run.plan import Plan
from benchmark.run.record import State
from benchmark.run.state import Planned, not_complete
from benchmark.run.tested import is_tested
from benchmark.run.to_test import ToTest, lost_weights, to_test
from benchmark.sweep.batches import without_batch
from benchmark.sweep.foresight import foreseen
from benchmark.sweep.learnt import learnt_images
from benchmark.sweep.left import left_of
from benchmark.sweep.weights import junk
from benchmark.temporary import usable_tmpdir


def missing(plan: Plan, retry: Iterable[State] = ()) -> list[Planned]:
    """The runs that have no record, those whose state is to be tried again, and those that ask for it themselves.

    With them those that are made from any of these. A damaged one runs again where that is asked for: what it holds
    may be mended.
    """
    again = set(retry)
    chosen = {run.spec.run_id for run in plan.runs if run.state in again or _asks(run)}
    while more := {run.spec.run_id for run in plan.runs if chosen & {*run.spec.made_from}} - chosen:
        chosen |= more
    return [_to_do(run) for run in plan.runs if run.spec.run_id in chosen]


def to_do(plan: Plan, retry: Iterable[State] = ()) -> list[Planned]:
    """All that a sweep starts jobs for: what is `missing`, and what is to be evaluated on the test split alone."""
    runs = missing(plan, retry)
    # Those whose jobs a driver before this one has submitted come first: they have their places already.
    runs.sort(key=lambda run: run.state not in (State.RUNNING, State.QUEUED))
    return [*runs, *tests_of(plan, runs).runs]


def tests_of(plan: Plan, missing_runs: Iterable[Planned]) -> ToTest:
    """The complete runs that have not seen the test split as it is now, and are not to be made again anyway."""
    again = {run.spec.run_id for run in missing_runs}
    return to_test(run for run in plan.runs if run.spec.run_id not in again)


def _asks(run: Planned) -> bool:
    if run.record is None:
        return run.state is not State.DAMAGED
    return run.record.asks_for_another_try


def _to_do(run: Planned) -> Planned:
    """A run that is complete so far is made again from others that are."""
    complete = run.state is State.COMPLETE
    return replace(run, state=State.WAITING, record=None, outdated=True) if complete else run


def obstacles(plan: Plan, launcher: Launcher, trusted: bool, told: Told | None = None) -> Findings:
    """What would make runs fail, found before any of them starts: the data, and what the launcher cannot run.

    Args:
        plan: What is to be run.
        launcher: What is to run it.
        trusted: Whether weights that hold code are loaded, too.
        told: Hears how many images are decoded, and how many are to be; if None, only a few images are.
    """
    memory = Memory(plan.cache)
    decoding = replace(decoding_of(plan), every=bool(told), told=told)
    found = Findings(warnings=usable_tmpdir())
    for dataset in _datasets(plan):
        found.add(check(dataset, decoding=decoding, memory=memory))
    found.add(left_of(plan, memory))
    found.add(learnt_images(plan, decoding, memory))
    found.errors.extend(launcher.obstacles({row.name: row.gpus for row in plan.rows}))
    found.errors.extend([*conflicts(), *_lacking(plan, launcher), *without_batch(plan, memory)])
    found.errors.extend(_without_sources(plan))
    found.add(check_given(not_complete(plan.runs), plan.aside))
    found.errors.extend([] if trusted else _not_data(plan))
    attempt(found.errors, own)
    found.errors.extend([*unnamable(not_complete(plan.runs)), *junk(plan.runs)])
    found.warnings.extend(foreseen(plan, launcher, memory))
    # The validation images are in each of the data sets.
    return Findings([*dict.fromkeys(found.errors)], [*dict.fromkeys(found.warnings)])


def _without_sources(plan: Plan) -> list[str]:
    """A message for each row that is made from runs which are not complete, and not asked for either."""
    return [
        f"row '{row}': it is made from runs/{run_id}, which is {state}: sweep that row, too (see --rows, --seeds)"
        for (row, run_id), state in _lacking_sources(plan).items()
    ]


def _lacking_sources(plan: Plan) -> dict[tuple[str, str], str]:
    """By row and id of a run that it is made from why that is not there, where it is not asked for either."""
    asked = {run.spec.run_id for run in plan.runs}
    waiting = not_complete(plan.runs)
    told = {
        (run.spec.row, run_id): _state_of(run.folder.path.with_name(run_id))
        or _untested(run, run.folder.path.with_name(run_id))
        for run in [*waiting, *to_test(plan.runs).runs]
        for run_id in run.spec.made_from
        if run_id not in asked
    }
    return {one: state for one, state in told.items() if state}


def for_now(plan: Plan) -> tuple[Plan, list[str]]:
    """The plan without runs over all seeds that lack those of seeds that are not asked for, and a warning for each.

    What is made from such a run is left for later with it.
    """
    if {*plan.experiment.seeds} <= {*plan.seeds}:
        return plan, []
    over_seeds = {row.name for row in plan.rows if row.recipe.over_seeds}
    rows = {row for row, _ in _lacking_sources(plan)} & over_seeds
    later = {run.spec.run_id: run for run in plan.runs if run.spec.row in rows}
    while more := [
        r for r in plan.runs if r.spec.run_id not in later and later.keys() & {*r.spec.made_from}
    ]:
        later |= {run.spec.run_id: run for run in more}
    told = dict.fromkeys(run.spec.row for run in later.values())
    kept = tuple(run for run in plan.runs if run.spec.run_id not in later)
    return replace(plan, runs=kept), [
        f"row '{row}': left for later: it takes all seeds of the experiment, and not all are asked for or there"
        for row in told
    ]


def _untested(run: Planned, source: Path) -> str:
    """Why the boxes of a source on the test split cannot be fused yet, in words; empty if they can, or are not to be.

    Nor are those that no sweep could make, of a training whose weights are gone.
    """
    split, folder = run.spec.dataset.test, RunFolder(source)
    if split is None or run.spec.study is not None or "fuse" not in run.spec.making:
        return ""
    done = lost_weights(folder) or is_tested(folder.tested_if_any(), split)
    return "" if done else "not evaluated on the test split yet"


def _state_of(path: Path) -> str:
    """Why nothing can be made from a run yet, in a word; empty if it is complete."""
    wrong: list[str] = []
    record = attempt(wrong, RunFolder(path).record_if_ended)
    if wrong:
        return "damaged"
    if record is None:
        return "not made yet"
    return "" if record.state is State.COMPLETE else record.state.value


def _datasets(plan: Plan) -> list[Dataset]:
    """The data, and once more for each other file that a row trains on."""
    others = [own_data(dict(run.config), run.spec.dataset) for run in plan.runs]
    return list(dict.fromkeys([plan.dataset, *(data for own in others for data in own.values())]))


def _lacking(plan: Plan, launcher: Launcher) -> list[str]:
    """What a row needs of the machine it runs on that it does not have, as far as can be told from here."""
    rows = {run.spec.row: run for run in not_complete(plan.runs)}
    needs = {row: needs_of(dict(run.config)) for row, run in rows.items()}
    has_gpu = any(need.gpu for need in needs.values()) and launcher.pool.has_gpus
    return [
        f"row '{row}': {problem}"
        for row, need in needs.items()
        for problem in need.unmet(has_gpu, rows[row].spec.gpus)
    ]


def _not_data(plan: Plan) -> list[str]:
    """A message for each row and file of weights that holds code: what fetches and reads them refuses it, too."""
    named = {(run.spec.row, text) for run in not_complete(plan.runs) for text in run.spec.files}
    found = {(row, text): code_in(named_path(text)) for row, text in sorted(named)}
    return [
        f"row '{row}': {text}: {refusal(names)}" for (row, text), names in found.items() if names
    ]


def undecoded_images(plan: Plan) -> int:
    """How many images of the data no check has decoded yet, as far as their names tell."""
    memory, decoding = Memory(plan.cache), decoding_of(plan)
    splits = {
        (name, split)
        for data in _datasets(plan)
        for name, split in (("train", data.train), ("val", data.val), ("test", data.test))
        if split is not None
    }
    return sum(
        undecoded(split.images, name, split.read_images(memory), decoding) for name, split in splits
    )


def decoding_of(plan: Plan) -> Decoding:
    """Decodes every image as the plan's runs do."""
    return Decoding(image_readers(run.config for run in plan.runs))
