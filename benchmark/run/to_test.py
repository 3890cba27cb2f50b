"""Complete runs that have not seen the test split as it is now: they are evaluated on it, and nothing is trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from benchmark.errors import attempt, few
from benchmark.files import is_file, remove_leftovers
from benchmark.run import checkpoints
from benchmark.run.folder import RunFolder
from benchmark.run.record import State
from benchmark.run.state import Planned
from benchmark.run.tested import is_tested
from benchmark.statistics.scores import MAIN
from benchmark.writing.words import DASH, counted, fraction

WEIGHTS = f"checkpoints/{checkpoints.FINAL}"


@dataclass(frozen=True)
class ToTest:
    """The runs of a plan that lack a test.

    Attributes:
        runs: Those that a job can evaluate.
        lost: Those whose weights are not here, or the weights of a run that they are made from.
    """

    runs: tuple[Planned, ...] = ()
    lost: tuple[Planned, ...] = ()

    def told(self) -> list[str]:
        """What is said of them before a sweep."""
        lines = []
        if self.runs:
            lines.append(f"{counted(len(self.runs), 'run')} to be evaluated on test.")
        if self.lost:
            ids = few([run.spec.run_id for run in self.lost])
            lines.append(f"Not to be evaluated on test, for want of {WEIGHTS}: {ids}.")
        return lines


def to_test(runs: Iterable[Planned]) -> ToTest:
    """Finds them among runs as they are planned; the specs of these say what the test split is now."""
    found = [run for run in runs if _lacks_test(run)]
    lost = [run for run in found if _is_lost(run)]
    ids = {run.spec.run_id for run in lost}
    possible = (run for run in found if run.spec.run_id not in ids)
    return ToTest(tuple(replace(run, tests=True) for run in possible), tuple(lost))


def _lacks_test(run: Planned) -> bool:
    split = run.spec.dataset.test
    if split is None or run.state is not State.COMPLETE or run.spec.study is not None:
        return False
    return not is_tested(run.folder.tested_if_any(), split)


def _is_lost(run: Planned) -> bool:
    """Whether no job could find its boxes on the test split, for want of weights."""
    if run.spec.trains:
        return not has_weights(run.folder)
    sources = (RunFolder(run.folder.path.with_name(run_id)) for run_id in run.spec.made_from)
    return any(lost_weights(one) and not _has_boxes(run, one) for one in sources)


def _has_boxes(run: Planned, source: RunFolder) -> bool:
    """Whether a run is made of the boxes of a source, which has those of the test split."""
    split = run.spec.dataset.test
    if split is None or "fuse" not in run.spec.making:
        return False
    return is_tested(source.tested_if_any(), split)


def lost_weights(folder: RunFolder) -> bool:
    """Whether a run had weights of its own, and they are gone."""
    return folder.config_file.exists() and not has_weights(folder)


def has_weights(folder: RunFolder) -> bool:
    """Whether the weights are there that a complete run's record is about."""
    return is_file(folder.checkpoints / checkpoints.FINAL)


def told_of_test(run: Planned, exit_text: str = "") -> str:
    """What a job came to that evaluated a run on the test split, in words; ``exit_text`` says how it ended."""
    tested, split = run.folder.tested_if_any(), run.spec.dataset.test
    if tested is not None and tested.problem:
        return f"not evaluated on test: {tested.problem}"
    if split is None or tested is None or not is_tested(tested, split):
        ended = f": {exit_text}" if exit_text else ""
        return f"not evaluated on test yet{ended}; the next sweep does it"
    if not tested.labelled:
        return f"predicted on {tested.images.count} test images"
    score = tested.score(MAIN)
    return f"evaluated on test: {MAIN} {DASH if score is None else fraction(score)}"


def prepare_test(run: Planned) -> None:
    """Says in the spec of a complete run which test split it is to be evaluated on, and where its data lies now.

    All else stays as it was made. In the place of a spec that cannot be read it writes the one that is asked for now.
    """
    run.folder.stop_file.unlink(missing_ok=True)
    remove_leftovers(run.folder.path, deep=True)
    spec = attempt([], run.folder.read_spec) or run.spec
    # The same annotations and given files, or the id would be another; they may have been moved since.
    dataset = replace(run.spec.dataset, name=spec.dataset.name)
    run.folder.write_spec(replace(spec, dataset=dataset, making=run.spec.making))
