"""The figures of ``perf/README.md``: each names the commit that it was measured at, and says if it is out of date."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "perf" / "README.md"
FIGURES = "## Last figures"
OLD = "older than the last change of what it measures"
MEASURED_AT = re.compile(r"at\s+`([0-9a-f]{7,40})`,\s+(\d{4}-\d\d-\d\d),\s+\d+\s+cores,\s+\S")

_JOB = ("benchmark/job", "benchmark/tracking", "benchmark/statistics", "benchmark/run/record.py")
_LOCAL = tuple(
    f"benchmark/launchers/{name}.py" for name in ("child", "local", "preload", "preload_trackers")
)
_TURN = ("benchmark/sweep/loop.py", "benchmark/sweep/places.py")
_PLANNED = tuple(
    f"benchmark/{name}"
    for name in ("cli", "sweep", "leaderboard", "run", "config", "data", "experiment", "writing")
)
_TUNING = tuple(
    f"benchmark/tuning/{name}.py"
    for name in ("driver", "simulated", "strategies", "validations", "seeding")
)
_BOXES = ("benchmark/statistics", "benchmark/data/annotations.py")
_TRAINED = ("benchmark/job", "benchmark/config", "benchmark/ops", "configs")

PATHS: dict[str, tuple[str, ...]] = {
    "overhead": ("perf/overhead.py", "tests/tiny", *_TURN, *_JOB, *_LOCAL),
    "cluster": ("perf/cluster.py", "perf/overhead.py", "benchmark/launchers", *_JOB),
    "startup": ("perf/startup.py", *_PLANNED),
    "report": ("perf/report.py", "perf/startup.py", *_PLANNED, "benchmark/statistics"),
    "page": ("tests/test_page_data.py", "benchmark/leaderboard/outputs"),
    "evaluation": ("perf/evaluation.py", *_BOXES),
    "bootstrap": ("perf/bootstrap.py", *_BOXES),
    "tuning": ("perf/tuning.py", "perf/spaces.py", "perf/figures.py", *_TUNING),
    "loading": ("perf/loading.py", "benchmark/job/decoded"),
    "record": (
        "experiments/small.yaml",
        "experiments/miniature.yaml",
        "experiments/miniature",
        "configs",
    ),
    "warm_start": (
        "perf/warm_start.py",
        *(f"benchmark/tuning/{n}.py" for n in ("informed", "prior")),
    ),
    "throughput": ("perf/throughput.py", "perf/turns.py", *_TRAINED),
}
"""By the first word of a section's heading: files and folders whose change makes its figures old."""


@dataclass(frozen=True)
class Section:
    """A section of the last figures.

    Attributes:
        heading: It begins with the name of a script.
        text: What stands below, in one line.
    """

    heading: str
    text: str

    @property
    def name(self) -> str:
        return re.split(r"\W", self.heading, maxsplit=1)[0]

    @property
    def commit(self) -> str | None:
        found = MEASURED_AT.search(self.text)
        return found[1] if found else None


def sections(text: str) -> Iterator[Section]:
    _, _, figures = text.partition(f"\n{FIGURES}\n")
    figures, *_ = figures.split("\n## ")
    for part in figures.split("\n### ")[1:]:
        heading, _, rest = part.partition("\n")
        yield Section(heading, " ".join(rest.split()))


SECTIONS = list(sections(README.read_text(encoding="utf-8")))


def git(*arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
    except OSError as error:
        pytest.skip(f"no git: {error}")


def lines(*arguments: str, root: Path) -> list[str]:
    done = git(*arguments, root=root)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def changed(root: Path, commit: str, paths: tuple[str, ...]) -> Iterator[str]:
    """The files below ``paths`` that now do something else than at a commit, in the work tree."""
    differing = lines("diff", "--name-only", "--relative", commit, "--", *paths, root=root)
    new = lines("ls-files", "--others", "--exclude-standard", "--", *paths, root=root)
    return (name for name in [*differing, *new] if not _is_alike(root, commit, name))


def _is_alike(root: Path, commit: str, name: str) -> bool:
    """Whether a file differs in comments, layout and docstrings alone."""
    then, now = git("show", f"{commit}:./{name}", root=root), root / name
    if then.returncode or not now.exists() or now.suffix != ".py":
        return False
    return _meaning(then.stdout) == _meaning(now.read_text(encoding="utf-8"))


def _meaning(code: str) -> str:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            has = ast.get_docstring(node, clean=False) is not None
            node.body = node.body[1:] if has else node.body
    return ast.dump(tree)


def require_history(commit: str) -> None:
    """Skips where this checkout cannot know the commit."""
    if git("rev-parse", "--is-inside-work-tree").stdout.strip() != "true":
        pytest.skip("no checkout of git")
    if git("cat-file", "-e", f"{commit}^{{commit}}").returncode:
        pytest.skip(f"{commit} is not among the commits of this checkout")


def test_every_section_of_figures_is_known_and_names_its_commit() -> None:
    assert SECTIONS, f"perf/README.md has no section below '{FIGURES}'"
    assert not [one.heading for one in SECTIONS if one.name not in PATHS]
    assert not [path for paths in PATHS.values() for path in paths if not (ROOT / path).exists()]
    unnamed = [one.heading for one in SECTIONS if one.commit is None]
    assert not unnamed, f"{unnamed}: copy the line that the script prints first to above the table"


def test_no_figure_stands_outside_of_a_section() -> None:
    _, _, figures = README.read_text(encoding="utf-8").partition(f"\n{FIGURES}\n")
    assert "\n| " not in figures.partition("\n### ")[0]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.heading)
def test_figures_say_whether_they_are_out_of_date(section: Section) -> None:
    commit = section.commit
    assert commit is not None
    require_history(commit)
    ours = git("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0
    assert ours, f"{commit} is no commit that HEAD stands on: measure again, at one that is"
    since = next(changed(ROOT, commit, PATHS[section.name]), "")
    if since and OLD not in section.text:
        script = f"perf/{section.name}.py"
        how = f"python {script}" if (ROOT / script).exists() else "the command that it names"
        pytest.fail(
            f"'{section.heading}' of perf/README.md was measured at {commit}, and {since} has changed since. "
            f"Commit, run {how} and put in what it prints; or write behind its first line: {OLD}"
        )
    assert since or OLD not in section.text, f"'{section.heading}' is not {OLD}: leave that out"


@pytest.fixture(name="checkout")
def fixture_checkout(tmp_path: Path) -> Path:
    """A package of one module in a repository of its own; the commit is its HEAD."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "one.py").write_text('"""A module."""\nX = 1\n\n\ndef f():\n    """One."""\n')
    (folder / "one.yaml").write_text("x: 1\n")
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (("init", "-q"), ("add", "-A"), (*author, "commit", "-q", "-m", "first")):
        assert git(*command, root=tmp_path).returncode == 0
    return tmp_path


def test_comments_and_docstrings_change_nothing(checkout: Path) -> None:
    text = '"""The module."""\n\nX = 1  # one\n\n\ndef f():\n    """Two."""\n'
    (checkout / "package" / "one.py").write_text(text)
    assert not list(changed(checkout, "HEAD", ("package", "not/there.py")))


@pytest.mark.parametrize(
    ("name", "text"),
    [("one.py", "X = 2\n"), ("one.yaml", "# one\nx: 1\n"), ("two.py", ""), ("one.py", None)],
)
def test_code_data_and_new_files_are_changes(checkout: Path, name: str, text: str | None) -> None:
    path = checkout / "package" / name
    path.unlink() if text is None else path.write_text(text)
    assert list(changed(checkout, "HEAD", ("package",))) == [f"package/{name}"]
