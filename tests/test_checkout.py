"""What a record says of the commit: whether it holds what ran, and what it does not hold."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from command import TINY, variant

from benchmark.run.checkout import Checkout, read_checkout
from benchmark.run.plan import Request, make_plan
from benchmark.run.record import GitState

README = "# Mine\n\n<!-- detboard:tiny:begin -->{}<!-- detboard:tiny:end -->\n\nMore.\n"


class Repository:
    """A checkout with a package, an experiment with parts of its own, and a README that holds its table."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "benchmark").mkdir(parents=True)
        (folder / "benchmark" / "__init__.py").write_text("")
        (folder / "README.md").write_text(README.format("\nold\n"))
        (folder / ".gitignore").write_text("ignored*\n")
        variant(folder / "experiments", lambda _: None)
        self.git("init", "-q")
        self.commit()

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-qm", "all", "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def state(self, *more: Path) -> GitState:
        sources = [str(path) for path in [*self.folder.rglob("experiments/**/*.*"), *more]]
        found = read_checkout(sources, self.folder / "mine" / "results", self.folder / "benchmark")
        assert found is not None
        return found.state(sources)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_a_clean_checkout_stays_so_whatever_detboard_writes(repository: Repository) -> None:
    commit = repository.git("rev-parse", "HEAD")
    assert repository.state() == GitState(commit, dirty=False, changed=())
    for folder in ("results", "mine/results"):
        (repository.folder / folder).mkdir(parents=True)
        (repository.folder / folder / "tiny.md").write_text("a table")
    commit = repository.commit()
    (repository.folder / "mine" / "results" / "tiny.md").write_text("another table")
    (repository.folder / "results" / "tiny.md").write_text("another table")
    (repository.folder / "README.md").write_text(README.format("\nnew\n\n| a | table |\n"))
    (repository.folder / "notes.txt").write_text("that no run reads")
    assert repository.state() == GitState(commit, dirty=False, changed=())
    (repository.folder / "README.md").write_text(README.format("\nnew\n").replace("More", "Less"))
    assert repository.state() == GitState(commit, dirty=True, changed=("README.md",))


def test_what_is_read_through_a_link_or_in_an_inner_checkout_is_that_of_its_commit(
    repository: Repository, tmp_path: Path
) -> None:
    (repository.folder / "link").symlink_to("experiments")
    (repository.folder / "outside.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    (tmp_path / "elsewhere.yaml").write_text("")
    commit = repository.commit()
    inner = Repository(repository.folder / "inner")
    linked = repository.folder / "link" / "tiny.yaml"
    inside = inner.folder / "README.md"
    roundabout = repository.folder / "link" / ".." / "experiments" / "tiny.yaml"
    state = repository.state(linked, inside, roundabout)
    held = {str(inner.folder): inner.git("rev-parse", "HEAD")}
    assert state == GitState(commit, dirty=False, changed=(), others=held)
    inside.write_text("another")
    linked.write_text("another")
    state = repository.state(linked, inside, repository.folder / "outside.yaml")
    assert state.dirty
    elsewhere = str(tmp_path / "elsewhere.yaml")
    assert {*state.changed} == {str(inside), elsewhere, "experiments/tiny.yaml"}


def test_modules_beside_the_experiment_are_among_what_runs_are_made_of(
    repository: Repository, synthetic_data: Path
) -> None:
    folder = repository.folder / "experiments"
    imports = {"imports": ["mine"], "allow_failed_imports": False}
    (folder / "mine.py").write_text("import helper_of_mine\n")
    (folder / "helper_of_mine.py").write_text("")
    request = Request(
        folder / "tiny.yaml",
        folder / "results",
        data_root=synthetic_data,
        overrides={"+custom_imports": imports},
    )
    sources = make_plan(request).runs[0].spec.sources
    found = read_checkout(sources, folder / "results", repository.folder / "benchmark")
    assert found is not None
    names = ("experiments/helper_of_mine.py", "experiments/mine.py")
    assert found.state(sources).changed == names


def test_what_no_commit_holds_is_named(repository: Repository, tmp_path: Path) -> None:
    parts = repository.folder / "experiments" / "configs"
    (parts / "heads" / "new.py").write_text("x = 1\n")
    (parts / "heads" / "ignored.py").write_text("x = 1\n")
    (parts / "heads" / "tiny.py").write_text("x = 1\n")
    (repository.folder / "benchmark" / "extra.py").write_text("")
    elsewhere = tmp_path / "other.yaml"
    elsewhere.write_text("")
    state = repository.state(elsewhere)
    assert state.dirty
    assert list(state.changed) == [
        str(elsewhere),
        "benchmark/extra.py",
        "experiments/configs/heads/ignored.py",
        "experiments/configs/heads/new.py",
        "experiments/configs/heads/tiny.py",
    ]


def test_files_of_another_checkout_are_held_against_its_commit(
    repository: Repository, tmp_path: Path
) -> None:
    other = Repository(tmp_path / "other")
    path = other.folder / "experiments" / "tiny.yaml"
    commit = other.git("rev-parse", "HEAD")
    state = repository.state(path)
    assert (state.dirty, state.others) == (False, {str(other.folder): commit})
    path.write_text("changed")
    assert list(repository.state(path).changed) == [str(path)]


def test_a_record_names_the_first_of_many() -> None:
    many = tuple(f"benchmark/{number:02}.py" for number in range(25))
    state = Checkout("c0ffee", changed=many).state([])
    assert state.changed == (*many[:20], "and 5 more")


def test_nothing_is_known_outside_of_a_checkout(tmp_path: Path) -> None:
    assert read_checkout([], tmp_path / "results", tmp_path) is None


def test_a_run_names_what_it_is_composed_from(synthetic_data: Path, tmp_path: Path) -> None:
    path = variant(tmp_path, lambda _: None)
    (tmp_path / "configs" / "heads" / "base.py").write_text("x = 1\n")
    head = tmp_path / "configs" / "heads" / "tiny.py"
    head.write_text("_base_ = ['base.py']\n" + head.read_text())
    request = Request(path, tmp_path / "results", data_root=synthetic_data)
    run, *_ = make_plan(request).runs
    named = {Path(source) for source in run.spec.sources}
    kinds = ("schedules", "heads", "necks", "backbones", "profiles")
    own = {tmp_path / "configs" / kind / "tiny.py" for kind in kinds}
    shipped = {TINY.parents[2] / "configs" / name for name in ("runtime.py", "datasets/coco.py")}
    assert named == {path, tmp_path / "configs" / "heads" / "base.py", *own, *shipped}
