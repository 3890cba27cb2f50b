"""Whatever lies in the current folder or on PYTHONPATH, the modules that DetBoard needs are its own."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import TINY, installed_command, run

import benchmark
from benchmark.start import NEEDED, own_modules_first

CHECKOUT = Path(benchmark.__file__).parents[1]
# Of parts of mmdet and mmengine, or for one tracker, database or measurement: whoever asks for them gets what there is.
APART = {"google", "mmyolo", "pycocotools", "requests", "tifffile", "typing_extensions"}


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_all_that_the_package_imports_is_looked_after() -> None:
    names = {name for file in (CHECKOUT / "benchmark").rglob("*.py") for name in imported(file)}
    assert names - sys.stdlib_module_names - APART <= {*NEEDED, "detboard_start"}


@pytest.fixture
def standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the user stands in, and where Python would look first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    return tmp_path


@pytest.mark.usefixtures("standing")
def test_the_current_folder_is_not_looked_in() -> None:
    assert own_modules_first() == []
    assert "" not in sys.path


@pytest.mark.parametrize("asked", [".", "{}", "/no/such/folder:."])
def test_the_current_folder_counts_where_pythonpath_names_it(
    standing: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", asked.format(standing))
    assert own_modules_first() == []
    assert sys.path[0] == ""


def test_an_empty_entry_of_pythonpath_names_nothing(
    standing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As `PYTHONPATH=$PYTHONPATH:/elsewhere` leaves where it was not set.
    monkeypatch.setenv("PYTHONPATH", ":/elsewhere")
    sys.path[:2] = [str(standing), "/elsewhere"]
    own_modules_first()
    assert str(standing) not in sys.path and sys.path[0] == "/elsewhere"


def test_a_folder_of_installed_packages_may_be_stood_in(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    monkeypatch.setattr(sys, "path", ["", *sys.path])
    packages = str(Path(yaml.__file__).parents[1])
    monkeypatch.chdir(packages)
    own_modules_first()
    assert packages in sys.path and "" not in sys.path


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mmdet/__init__.py", "mmdet"),
        ("torch.py", "torch"),
        ("benchmark/__init__.py", "benchmark"),
        ("benchmark.py", "benchmark"),
        ("benchmark/other.py", None),  # a mere folder takes nothing's place
        ("wandb/run-1/files.txt", None),
        ("mine.py", None),
        ("configs/__init__.py", None),  # nobody imports it
    ],
)
def test_a_rival_on_pythonpath_comes_last_and_is_told(
    standing: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str | None
) -> None:
    folder = standing / "on_path"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).touch()
    monkeypatch.setenv("PYTHONPATH", f"{folder}:/elsewhere")
    sys.path[:1] = [str(folder), "/elsewhere"]
    messages = own_modules_first()
    assert sys.path[0] == ("/elsewhere" if told else str(folder))
    assert str(folder) == sys.path[-1 if told else 0]
    assert [f"{folder} holds another {told} than" in message for message in messages] == (
        [True] if told else []
    )
    assert own_modules_first() == messages  # however often it is called


def test_what_a_folder_alone_holds_is_taken_from_there(
    standing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (standing / "mmdet.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(standing))
    monkeypatch.setattr(sys, "path", [str(standing)])
    monkeypatch.setattr(sys, "meta_path", [])
    assert own_modules_first() == []
    assert sys.path == [str(standing)]


def rivals(folder: Path, *names: str) -> Path:
    """A folder of modules that end whoever imports them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"raise SystemExit('{name}: the wrong one')\n")
    return folder


def test_the_command_is_ours(tmp_path: Path) -> None:
    here = rivals(tmp_path / "here", "benchmark.py", "typer.py", "yaml/__init__.py")
    asked = rivals(tmp_path / "asked", "benchmark/__init__.py", "typer.py")
    done = run([*installed_command(tmp_path), "plan", str(TINY)], here, PYTHONPATH=str(asked))
    assert f"{asked} holds another benchmark, typer than the one that is used" in done.stderr
    assert done.returncode == 2 and "the wrong one" not in done.stderr
    assert "data" in done.stderr  # which the tiny experiment has none of


def test_class_variables_say_their_type() -> None:
    """On Python 3.10 pydantic cannot read a bare ClassVar: no command that reads an experiment would start."""
    bare = [
        f"{path.name}: {line.strip()}"
        for path in sorted((CHECKOUT / "benchmark").rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.replace(" ", "").partition("=")[0].endswith(":ClassVar")
    ]
    assert not bare
