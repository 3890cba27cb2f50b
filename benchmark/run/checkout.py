"""The checkout that runs are made from: its commit, and what of what they read that commit does not hold."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.run.record import GitState
from benchmark.run.state import Planned
from benchmark.writing.markers import without_tables

_PACKAGE = Path(__file__).resolve().parents[1]
_NAMED = 20  # changed files that a record names


@dataclass(frozen=True)
class Checkout:
    """A checkout as it was when its code was loaded.

    Attributes:
        commit: Hash of the commit.
        changed: Files that are not as in the commit and that any run may have read: tracked ones, and modules of the
            package; relative to the checkout.
        uncommitted: Of the files that runs were composed from, by absolute path, those that are in no commit as they
            are: how to name each in a record.
        others: Commits of the other checkouts that hold such files, by their folder.
    """

    commit: str
    changed: tuple[str, ...] = ()
    uncommitted: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def state(self, sources: Iterable[str]) -> GitState:
        """What a record says of a run that was composed from these files (absolute paths)."""
        own = [self.uncommitted[path] for path in sources if path in self.uncommitted]
        changed = sorted({*self.changed, *own})
        named = (
            *changed[:_NAMED],
            *([f"and {len(changed) - _NAMED} more"] if changed[_NAMED:] else ()),
        )
        others = {
            root: commit
            for root, commit in self.others.items()
            if any(Path(path).resolve().is_relative_to(root) for path in sources)
        }
        return GitState(self.commit, bool(changed), named, others)


def checkout_of(runs: Sequence[Planned]) -> Checkout | None:
    """The checkout that runs of one results folder are made from; see `read_checkout`."""
    sources = {source for run in runs for source in run.spec.sources}
    return read_checkout(sources, runs[0].folder.path.parents[1])


def distrusted(runs: Iterable[Planned], package: Path = _PACKAGE) -> list[str]:
    """A message for each checkout, the package's or one that runs are composed from, that git says nothing of.

    It says nothing of another user's checkout, unless it is told to trust it.
    """
    folders = {Path(source).resolve().parent for run in runs for source in run.spec.sources}
    asked = {package, *folders}
    roots = {root for folder in sorted(asked) if (root := _checkout_around(folder)) is not None}
    return [
        f"git says nothing of {root}, which is another user's, and records name no commit; to trust it: git config "
        f"--global --add safe.directory {shlex.quote(str(root))}"
        for root in sorted(roots)
        if _is_distrusted(root)
    ]


def _checkout_around(folder: Path) -> Path | None:
    return next((place for place in (folder, *folder.parents) if (place / ".git").exists()), None)


def _is_distrusted(root: Path) -> bool:
    command = ["git", "rev-parse", "HEAD"]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, cwd=root, capture_output=True, timeout=30, check=False)
        # In every language, git names the setting that it wants.
        return done.returncode != 0 and b"safe.directory" in done.stderr
    return False


def read_checkout(
    sources: Iterable[str], results: Path, package: Path = _PACKAGE
) -> Checkout | None:
    """Looks at the checkout that holds the package, and at those that hold what runs are composed from.

    Args:
        sources: Absolute paths of experiment files and parts.
        results: The results folder: what is written there changes no run.
        package: Where the code lies.

    Returns:
        None where the package is in no checkout, installed from a wheel say, and without git: then nothing is known.
    """
    root = _root(package)
    commit = _git(root, "rev-parse", "HEAD") if root else None
    if root is None or commit is None or not _listed(root, "ls-files", "-z", "--", str(package)):
        return None  # an installed package may lie in somebody's checkout, whose commit says nothing of it
    # What a link leads to is what is read.
    paths = {source: Path(source).resolve() for source in sources}
    by_root: dict[Path | None, list[Path]] = {}
    for path in set(paths.values()):
        by_root.setdefault(_root_of(path, root), []).append(path)
    own = by_root.pop(root, [])
    named = {path: path.relative_to(root).as_posix() for path in _untracked(root, own)}
    others = {}
    for other, found in by_root.items():
        named |= {path: str(path) for path in _uncommitted(other, found)}
        if other is not None and (known := _git(other, "rev-parse", "HEAD")):
            others[str(other)] = known
    uncommitted = {source: named[path] for source, path in paths.items() if path in named}
    changed = (*_changed(root, results), *_new_modules(root, package))
    return Checkout(commit, changed, uncommitted, others)


def _root(folder: Path) -> Path | None:
    found = _git(folder, "rev-parse", "--show-toplevel")
    return Path(found) if found else None


def _root_of(path: Path, root: Path) -> Path | None:
    """The checkout that a file is in: within one, that may be a submodule or another one that lies there."""
    if path.is_relative_to(root):
        return next((folder for folder in path.parents if (folder / ".git").exists()), root)
    return _root(path.parent)


def _changed(root: Path, results: Path) -> list[str]:
    """Tracked files that are not as in the commit, but for what DetBoard writes itself."""
    written = ["results"]
    with suppress(ValueError):
        written.append(results.resolve().relative_to(root).as_posix())
    apart = [f":(top,exclude){path}" for path in dict.fromkeys(written) if path != "."]
    found = _listed(root, "diff", "--name-only", "-z", "HEAD", "--", ":/", *apart)
    return [path for path in found if not _table_alone(root, path)]


def _table_alone(root: Path, path: str) -> bool:
    """Whether a changed file is a README in which nothing but DetBoard's own table is another."""
    if not path.lower().endswith(".md"):
        return False
    committed = _git(root, "show", f"HEAD:{path}")
    with suppress(OSError, UnicodeDecodeError):
        now = (root / path).read_text(encoding="utf-8").strip()
        return committed is not None and without_tables(committed) == without_tables(now)
    return False


def _new_modules(root: Path, package: Path) -> list[str]:
    """Modules of the package that git does not know, and does not ignore either."""
    found = _listed(root, "ls-files", "-z", "--others", "--exclude-standard", "--", str(package))
    return [path for path in found if path.endswith(".py")]


def _untracked(root: Path, paths: Sequence[Path]) -> list[Path]:
    """Those of the paths, which lie in a checkout, that git does not track there."""
    if not paths:
        return []
    tracked = {root / name for name in _listed(root, "ls-files", "-z", "--", *map(str, paths))}
    return [path for path in paths if path not in tracked]


def _uncommitted(root: Path | None, paths: Sequence[Path]) -> list[Path]:
    """Those of the paths that are not in their checkout's commit as they are; all of them outside of one."""
    if root is None:
        return list(paths)
    changed = _listed(root, "diff", "--name-only", "-z", "HEAD", "--", *map(str, paths))
    return [*_untracked(root, paths), *(root / name for name in changed)]


def _listed(root: Path, *arguments: str) -> list[str]:
    return [name for name in (_git(root, *arguments) or "").split("\0") if name]


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            # A checkout's own settings may name a program that git starts to look for changes.
            ["git", "-c", "core.fsmonitor=false", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()
