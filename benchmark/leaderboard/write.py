"""Writes the leaderboard's files, or says how those on disk differ."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.errors import UserError, why
from benchmark.files import sha256_if_any
from benchmark.leaderboard.aside import WORTH_ROWS, drawing_aside
from benchmark.leaderboard.beside import readme_beside, remove_leftovers_of_boards
from benchmark.leaderboard.known_board import KnownBoard
from benchmark.leaderboard.outputs import OUTPUTS
from benchmark.leaderboard.outputs.base import File, Material, NothingToWriteError
from benchmark.leaderboard.renaming import rename_boards
from benchmark.leaderboard.reports import Report, Reports
from benchmark.run.devices import cpu_count


@dataclass
class Written:
    """What became of the leaderboard's files.

    Attributes:
        changed: Files that were written or removed; with ``check``, those that would have been.
        looked_at: Every file, whether it was right, was written or could not be.
        unchanged: Files that were right already, and were not touched; without plots.
        diffs: With ``check``, what differs in each changed file.
        skipped: What was not looked after, and why.
        problems: What could not be made or written; everything else was.
        wrong: What the user has to mend, the README's markers for example.
        held: SHA-256 of what each file held before it was looked at, None where there was none.
    """

    changed: tuple[Path, ...] = ()
    looked_at: tuple[Path, ...] = ()
    unchanged: tuple[Path, ...] = ()
    diffs: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    held: dict[str, str | None] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        """Whether every file was right already, and nothing went wrong."""
        return not (self.changed or self.problems or self.wrong)

    @contextmanager
    def noting(self, what: str) -> Iterator[None]:
        """Notes what goes wrong inside, so that the rest is made all the same."""
        try:
            yield
        except NothingToWriteError as reason:
            self.skipped += (str(reason),)
        except UserError as error:
            self.wrong += tuple(error.problems)
        except OSError as error:
            self.problems += (f"{error.filename or what}: cannot be written: {why(error)}",)
        except Exception as error:  # a picture or a journal that nobody has thought of
            self.problems += (f"{what}: cannot be made: {type(error).__name__}: {error}",)

    def put(self, file: File, check: bool, listed: bool) -> None:
        """Writes a file, or compares it, unless it is right already."""
        self.looked_at += (file.path,)
        self.held[str(file.path)] = sha256_if_any(file.path)
        if file.is_right():
            self.unchanged += (file.path,) * listed
            return
        if check:
            self.diffs += (file.difference(),)
        else:
            file.write()
        self.changed += (file.path,)


def write_report(material: Material, check: bool = False) -> Written:
    """Writes the files of all `OUTPUTS`, or compares them.

    Every write is atomic, and a file whose content is right already is not touched. What cannot be written does not
    keep the rest from being written.

    Args:
        material: What they are made of.
        check: Compare only; write nothing.
    """
    written, left_out = Written(), []
    if not check:
        _begin(material)
    for name, output in OUTPUTS.items():
        if output.needs_runs and material.configs is None:
            left_out.append(f"the {name}")
            continue
        with written.noting(name):
            for file in output.files(material):
                with written.noting(file.path.name):
                    written.put(file, check, listed=not output.many)
    if left_out:
        where = material.runs.results
        written.skipped += (f"{' and '.join(left_out)} need the run folders, and {where} has none",)
    return written


def _begin(material: Material) -> None:
    for output in OUTPUTS.values():
        if output.begin is not None:
            with suppress(Exception):  # it goes wrong again when it is written, and is said then
                output.begin(material)


def publish_all(made: Reports, results: Path, check: bool = False) -> list[Written]:
    """Writes the files of boards, or compares them, under the names that they should have; see `publish`.

    Raises:
        OSError: Files of an earlier name cannot be renamed.
    """
    renamed = rename_boards(results, made.renamed, check)
    written = [publish(report, check) for report in made.reports]
    return [*written, Written(changed=tuple(renamed))] if renamed else written


def publish(report: Report, check: bool = False) -> Written:
    """Writes a report's files, or compares them, and says so; the README is the one beside the results folder."""
    readme = readme_beside(report.runs.results)
    if not check:
        remove_leftovers_of_boards(report.runs.results)
    written = _written(report, readme, check)
    for line in written.diffs:
        print(line)
    for sentence in report.stale:
        print(f"stale: {sentence}")
    for path in written.changed:
        print(f"{'differs' if check else 'wrote'} {path}")
    for problem in (*report.skipped, *written.problems):
        print(f"warning: {problem}", file=sys.stderr)
    return written


def _written(report: Report, readme: Path, check: bool) -> Written:
    """Writes or compares a report's files, unless it is known that they are right."""
    known = KnownBoard(report, readme)
    if said := known.right():
        looked_at, unchanged, skipped = said
        return Written((), _paths(looked_at), _paths(unchanged), skipped=tuple(skipped))
    # Begun before the leaderboard is made, which takes as long as a process to import what draws.
    with drawing_aside(not check and _worth_aside(report)) as aside:
        of = (report.runs, report.configs, readme, known.looks, aside)
        written = write_report(Material(report.leaderboard, *of), check)
    if written.right and all(output.told for output in OUTPUTS.values()):
        files = [list(map(str, paths)) for paths in (written.looked_at, written.unchanged)]
        known.note(written.held, [*files, list(written.skipped)])
    return written


def _worth_aside(report: Report) -> bool:
    """Whether plots are drawn sooner beside the other files than after them."""
    drawn = report.configs is not None and any(output.begin for output in OUTPUTS.values())
    rows = len(report.of.table.rows) if drawn and report.of is not None else 0
    return rows >= WORTH_ROWS and cpu_count() > 1


def _paths(names: Iterable[str]) -> tuple[Path, ...]:
    return tuple(map(Path, names))
