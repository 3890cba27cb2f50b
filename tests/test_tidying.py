"""What a kill leaves in finished runs and beside boards is gone after the next start; what somebody writes stays."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from boards import failed
from desk import Desk, make_desk

from benchmark import locks
from benchmark.cli.sweep import run_sweep
from benchmark.files import write_json, write_text
from benchmark.run.folder import RunFolder
from benchmark.run.plan import Request

NEEDED = ("checkpoints/final.pth", "checkpoints/best_coco_bbox_mAP_epoch_3.pth", "log.txt")
LEFT = (
    "checkpoints/epoch_2.pth",
    "checkpoints/left_epoch_2_iter_15.pth",
    "checkpoints/selected_epoch_1.pth",
    "checkpoints/.final.pth.k1ll3d.tmp",
    "mmengine/20260101/vis_data/config.py",
    "stop",
    ".predictions.json.k1ll3d.tmp",
)
# In the folder that holds the results, as a board's files are.
BESIDE = (
    "results/.tiny-pareto.png.k1ll3d.tmp",
    "results/.tiny.html.k1ll3d.tmp",
    "results/runs/..contents.json.k1ll3d.tmp",
    "results/runs/.coming/tiny-s0-full-0a1b2c3d/spec.json",
    "results/runs/.leaving/tiny-s0-full-0a1b2c3d/record.json",
    "results/studies/small/.summary.md.k1ll3d.tmp",
    ".README.md.k1ll3d.tmp",
)
WRITING = """
import sys
from pathlib import Path
from benchmark.files import replacing
with replacing(Path(sys.argv[1])) as temporary:
    print(temporary, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, synthetic_data: Path) -> Desk:
    made = make_desk(tmp_path_factory.mktemp("tidy") / "project", synthetic_data)
    assert sweep(made)
    return made


@pytest.fixture
def desk(swept: Desk, tmp_path: Path) -> Desk:
    return Desk(shutil.copytree(swept.folder, tmp_path / "project"), swept.data)


def sweep(desk: Desk) -> bool:
    request = Request(desk.experiment, desk.results, data_root=desk.data)
    return run_sweep(request, None, "local", "off", set())


def lay(folder: Path, *names: str) -> None:
    for name in names:
        write_text(folder / name, "left")


def there(folder: Path, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if (folder / name).exists()]


def run_of(desk: Desk, row: str) -> RunFolder:
    (found,) = desk.results.glob(f"runs/{row}-s*")
    return RunFolder(found)


@contextmanager
def somebody_writes(path: Path) -> Iterator[Path]:
    """Another process is at it; yields its temporary file."""
    command = [sys.executable, "-c", WRITING, str(path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        yield Path(process.stdout.readline().strip())
        process.kill()


def test_a_start_with_nothing_to_do_clears_what_kills_have_left(desk: Desk) -> None:
    run = run_of(desk, "plain").path
    lay(run, *NEEDED, *LEFT)
    lay(desk.folder, *BESIDE)
    assert sweep(desk)
    assert (there(run, LEFT), there(run, NEEDED)) == ([], list(NEEDED))
    assert not (run / "mmengine").exists()
    assert there(desk.folder, BESIDE) == []


def test_what_a_living_process_writes_stays(desk: Desk) -> None:
    with somebody_writes(desk.results / "tiny-pareto.png") as temporary:
        assert temporary.name.startswith(".tiny-pareto.png.")
        assert desk.report()[0] == 0
        assert sweep(desk)
        assert temporary.exists()
    assert desk.report()[0] == 0  # it was killed
    assert not temporary.exists()


def test_a_report_clears_beside_the_board_and_a_check_changes_nothing(desk: Desk) -> None:
    left = BESIDE[0], BESIDE[1], BESIDE[-1]
    lay(desk.folder, *left)
    desk.report("--check")
    assert there(desk.folder, left) == list(left)
    desk.report()
    assert there(desk.folder, left) == []


def test_a_failed_run_keeps_what_it_may_go_on_from(desk: Desk) -> None:
    run = run_of(desk, "plain")
    record = failed("plain", run_id=run.path.name, profile="tiny")
    write_json(run.record_file, record.to_json())
    lay(run.path, *LEFT)
    sweep(desk)
    assert there(run.path, LEFT) == list(LEFT[:3])  # the checkpoints


def test_a_job_that_is_at_its_end_is_left_alone(desk: Desk) -> None:
    run = run_of(desk, "momentum")
    lay(run.path, *LEFT)
    held = locks.acquire(run.lock_file)
    sweep(desk)
    assert there(run.path, LEFT) == list(LEFT)
    held.release()
    sweep(desk)
    assert there(run.path, LEFT) == []


def test_a_link_to_checkpoints_elsewhere_removes_none_there(desk: Desk, tmp_path: Path) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / "epoch_2.pth").write_text("of another training")
    run = next(desk.results.glob("runs/plain-*"))
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    (run / "checkpoints").symlink_to(elsewhere)
    assert sweep(desk)
    assert (elsewhere / "epoch_2.pth").exists()
