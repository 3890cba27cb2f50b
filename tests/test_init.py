"""A folder of one's own, and DetBoard installed from a wheel: neither needs a checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from command import here, run, run_detboard
from disks import small_disk

from benchmark import __version__
from benchmark.config.bases import with_bases
from benchmark.config.config_file import load_config
from benchmark.errors import UserError

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
_BESIDE = ("pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that ``init`` has made; not to be changed."""
    folder = tmp_path_factory.mktemp("init") / "mine"
    done = run_detboard("init", str(folder))
    assert done.returncode == 0, done.stderr
    assert f"cd {folder} && detboard sweep experiment.yaml" in done.stdout
    return folder


def test_what_init_writes_is_planned_as_it_is_and_with_its_other_rows(
    started: Path, tmp_path: Path
) -> None:
    experiment = shutil.copytree(started, tmp_path / "mine") / "experiment.yaml"
    text = experiment.read_text()
    # The other rows are text until somebody takes them out of their comment.
    commented = re.compile(r"^  # (- name: |  \w+: )", re.MULTILINE)
    experiment.write_text(commented.sub(r"  \1", text))
    done = here(["plan", str(experiment), "--results", str(tmp_path / "results")])
    assert done.returncode == 0, done.stderr
    assert "3 of 3 runs are missing" in done.stdout
    assert "r50_fpn_1x-s0-full-" in done.stdout and "faster_rcnn-s0-full-" in done.stdout
    assert len(yaml.safe_load(text)["rows"]) == 1


def name_data(experiment: Path, folder: Path) -> None:
    lines = experiment.read_text().splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("dataset:")]
    lines[at] = f"dataset: {{root: {folder}}}"
    experiment.write_text("\n".join(lines))


def test_own_data_is_one_line_of_what_init_writes(
    started: Path, tmp_path: Path, synthetic_data: Path
) -> None:
    experiment = tmp_path / "experiment.yaml"
    experiment.write_text((started / "experiment.yaml").read_text())
    name_data(experiment, synthetic_data)
    done = here(["config", str(experiment), "--results", str(tmp_path / "results")])
    assert done.returncode == 0, done.stderr
    assert str(synthetic_data / "train.json") in done.stdout


def test_init_refuses_what_holds_something_and_leaves_it(tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / ".hidden").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, why in (("used", "holds .hidden already"), ("file", "is a file")):
        done = here(["init", str(tmp_path / name)])
        assert done.returncode == 2
        assert f"error: {tmp_path / name}: {why}" in done.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".hidden", "file", "used"]


def test_init_on_a_full_disk_is_given_again(tmp_path: Path) -> None:
    with small_disk(tmp_path, "300k") as disk:
        done = run_detboard("init", str(disk))
        assert done.returncode == 1 and "No space left on device" in done.stderr
        assert not list(disk.glob("*"))


def test_version_names_the_commit_of_a_checkout() -> None:
    done = run_detboard("--version")
    assert done.returncode == 0, done.stderr
    git = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout[:12]
    assert re.fullmatch(rf"detboard {__version__} \({commit}(, with changes)?\)\n", done.stdout), (
        done.stdout
    )


@dataclass
class Project:
    """A git checkout of somebody's own, with DetBoard installed in it from a wheel."""

    folder: Path

    @property
    def site(self) -> Path:
        return self.folder / "site"

    @property
    def mine(self) -> Path:
        return self.folder / "mine"

    def install(self, source: Path) -> None:
        """As pip does, from what of the checkout the package is made of."""
        for name in ("benchmark", "configs"):
            shutil.copytree(ROOT / name, source / name)
        for path in (*ROOT.glob("*.py"), *(ROOT / name for name in _BESIDE)):
            shutil.copy(path, source)
        stale = source / "build" / "lib" / "benchmark" / "configs" / "heads" / "stale.py"
        stale.parent.mkdir(parents=True)
        stale.touch()
        offline = ("--no-index", "--no-deps", "--no-build-isolation", "--no-cache-dir")
        pip = [sys.executable, "-m", "pip", "install", *offline, "--target", str(self.site)]
        done = run([*pip, str(source)])
        assert done.returncode == 0, done.stderr
        shutil.rmtree(source)

    def detboard(self, *arguments: str, folder: Path | None = None) -> str:
        command = [str(self.site / "bin" / "detboard"), *arguments]
        done = run(command, folder or self.mine, PYTHONPATH=str(self.site))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def add_the_part_of_the_readme(self) -> None:
        (part,) = re.findall(
            r"```python\n(.+?)```", (self.mine / "README.md").read_text(), re.DOTALL
        )
        (self.mine / "configs" / "backbones").mkdir(parents=True)
        (self.mine / "configs" / "backbones" / "resnet34.py").write_text(part)
        with (self.mine / "experiment.yaml").open("a") as file:
            parts = "{backbone: resnet34, neck: fpn, head: retina, schedule: step_1x}"
            file.write(f"\n  - name: own\n    parts: {parts}\n")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.folder.mkdir()
    (tmp_path / "source").mkdir()
    commit = ["-c", "user.name=me", "-c", "user.email=me@here", "commit", "-qm", "x"]
    for arguments in (["init", "-q"], [*commit, "--allow-empty"]):
        subprocess.run(["git", *arguments], cwd=made.folder, check=True)
    made.install(tmp_path / "source")
    return made


@pytest.mark.slow
@pytest.mark.trains
def test_a_wheel_has_all_that_a_folder_of_ones_own_needs(
    project: Project, synthetic_data: Path
) -> None:
    """From ``init`` to the table, with a part of one's own that rests on a shipped one."""
    # Somebody else's commit is not DetBoard's.
    assert project.detboard("--version", folder=project.folder) == f"detboard {__version__}\n"
    packed = project.site / "benchmark" / "configs"
    assert {p.name for p in packed.rglob("*.py")} == {p.name for p in CONFIGS.rglob("*.py")}
    project.detboard("init", "mine", folder=project.folder)
    project.add_the_part_of_the_readme()
    assert "depth=34" in project.detboard("config", "experiment.yaml", "--rows", "own")
    name_data(project.mine / "experiment.yaml", synthetic_data)
    with (project.mine / "experiment.yaml").open("a") as file:
        file.write("\nprofile: smoke\n")
    project.detboard("sweep", "experiment.yaml", "--rows", "r18_w16_fpn", "--wandb", "off")
    (folder,) = (project.mine / "results" / "runs").glob("r18_w16_fpn-*")
    record = json.loads((folder / "record.json").read_text())
    assert (record["state"], record["provenance"]["git"]) == ("complete", None)
    sources = json.loads((folder / "spec.json").read_text())["sources"]
    assert str(packed / "heads" / "retina_w32.py") in sources
    assert all(Path(path).is_relative_to(project.folder) for path in sources)
    assert "1 of 2 rows complete" in (project.mine / "README.md").read_text()
    assert "<script>" in (project.mine / "results" / "detectors.html").read_text()


def test_a_base_is_beside_its_file_or_else_the_shipped_part_of_its_kind(tmp_path: Path) -> None:
    mine = tmp_path / "configs" / "backbones" / "mine.py"
    mine.parent.mkdir(parents=True)
    mine.write_text('_base_ = "resnet18.py"\n')
    shipped = CONFIGS / "backbones" / "resnet18.py"
    assert load_config(mine) == load_config(shipped)
    assert shipped in with_bases(mine)  # among what a record's commit is asked of
    beside = mine.with_name("resnet18.py")
    beside.write_text("model = dict(depth=1)\n")
    other = mine.with_name("other.py")
    other.write_text(mine.read_text())
    assert load_config(other) == {"model": {"depth": 1}}
    assert with_bases(other) == (other, beside)
    mine.write_text('_base_ = "retina.py"\n')  # a head
    os.utime(mine, ns=(0, 0))
    with pytest.raises(UserError, match=re.escape(str(mine.with_name("retina.py")))):
        load_config(mine)


def test_the_docs_list_the_parts_that_there_are() -> None:
    text = (ROOT / "docs" / "parts.md").read_text()
    listed = re.findall(r"^\| \w+ \| `configs/(\w+)/` \| (.+) \|$", text, re.MULTILINE)
    found = {
        kind.name: {p.stem for p in kind.glob("*.py")}
        for kind in CONFIGS.iterdir()
        if kind.is_dir()
    }
    found.pop("__pycache__", None)
    assert {kind: set(re.findall(r"`(\w+)`", names)) for kind, names in listed} == found
