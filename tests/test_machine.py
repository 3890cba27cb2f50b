"""The machine says no: one line with the cause, what is kept and what to do, and the same command goes on."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Bench, run, run_detboard
from disks import fill, remount, small_disk

from benchmark.errors import MachineError, UserError, fault_of, why
from benchmark.files import append_jsonl, write_text
from benchmark.temporary import usable_tmpdir


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB of its own."""
    with small_disk(tmp_path, "1m") as folder:
        yield folder


def the_line(stderr: str) -> str:
    """The only line that a command says."""
    assert "Traceback" not in stderr, stderr
    (line,) = stderr.strip().splitlines()
    return line


@pytest.mark.parametrize("what", ["full", "read-only"])
def test_a_sweep_says_that_its_results_cannot_be_written(
    what: str, disk: Path, synthetic_data: Path
) -> None:
    bench = Bench(synthetic_data, disk / "results")
    if what == "full":
        fill(disk)
        cause, do = "No space left on device", "make room"
    else:
        remount(disk, "ro")
        cause, do = "Read-only file system", "make the file system writable, or use another folder"
    done = bench.run("sweep", "--rows", "plain", "--wandb", "off")
    assert done.returncode == 1, done.stderr
    line = the_line(done.stderr)
    assert line.startswith(f"error: {disk}")
    assert cause in line
    assert f"finished runs stay as they are: {do}, and give the same command again" in line


def _raised(inner: BaseException, outer: BaseException, named: bool) -> BaseException:
    try:
        try:
            raise inner
        except BaseException as error:
            if named:
                raise outer from error
            raise outer  # noqa: B904 - as libraries do
    except BaseException as error:
        return error


@pytest.mark.parametrize("named", [True, False])
def test_the_innermost_cause_is_told(named: bool) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    error = _raised(full, RuntimeError("unexpected pos 64 vs 0"), named)
    assert why(error) == "No space left on device"
    assert fault_of(error) is full
    assert str(MachineError("x.pth: cannot be written", error, "make room")) == (
        "x.pth: cannot be written: No space left on device; make room"
    )


def test_what_was_handled_meanwhile_is_no_cause() -> None:
    error = _raised(FileNotFoundError(errno.ENOENT, "gone"), UserError("a bad value"), named=False)
    assert why(error) == "a bad value"
    assert fault_of(error) is None
    assert why(KeyError("lr")) == "KeyError: 'lr'"
    assert why(ValueError()) == "ValueError"
    assert why(ValueError("two\nlines \x1b[2J")) == "two lines \\x1b[2J"


def test_a_fault_in_a_worker_of_a_loader_is_known_by_its_text() -> None:
    error = OSError("Caught OSError in DataLoader worker process 0.\n[Errno 5] Input/output error")
    assert fault_of(error) is error
    assert fault_of(OSError("[Errno 2] No such file")) is None
    assert fault_of(ValueError("[Errno 28]")) is None


def test_an_error_names_the_file_that_was_to_be_written(disk: Path) -> None:
    fill(disk)
    (disk / "filler").open("ab").close()
    with pytest.raises(OSError, match="No space left") as found:
        write_text(disk / "a.json", "x" * 9000)
    assert found.value.filename == str(disk / "a.json")
    with pytest.raises(OSError, match="No space left") as found:
        append_jsonl(disk / "b.jsonl", {"x": "y" * 9000})
    assert found.value.filename == str(disk / "b.jsonl")
    assert [path.name for path in disk.iterdir() if path.name != "b.jsonl"] == ["filler"]


def test_a_file_that_is_written_again_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("mine")
    for mode in (0o600, 0o664, 0o444):
        path.chmod(mode)
        write_text(path, "yours")
        assert path.stat().st_mode & 0o777 == mode
    mask = os.umask(0o077)
    try:
        write_text(tmp_path / "new", "new")
    finally:
        os.umask(mask)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def long(tmp_path: Path) -> Path:
    folder = tmp_path / ("x" * 80)
    folder.mkdir()
    return folder


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away, which root alone may")
def test_a_file_that_root_writes_again_stays_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("mine")
    path.chmod(0o600)
    os.chown(path, 54321, 54322)
    write_text(path, "yours")
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (54321, 54322, 0o600)


def test_a_temporary_folder_that_jobs_cannot_use_is_warned_of(
    synthetic_data: Path, long: Path, tmp_path: Path
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results")
    done = bench.run("plan", "--rows", "plain", TMPDIR="/nowhere")
    assert done.returncode == 0, done.stderr
    said = the_line(done.stderr)
    assert said.startswith("warning: TMPDIR=/nowhere: No such file or directory; /")
    assert said.endswith(" is used")
    code = """
import multiprocessing.connection, os
from benchmark.temporary import usable_tmpdir
print(usable_tmpdir())
multiprocessing.connection.Listener(family="AF_UNIX")
print(len(os.environ["TMPDIR"]) <= 75, usable_tmpdir())
"""
    done = run([sys.executable, "-c", code], TMPDIR=str(long))
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert f"TMPDIR={long}: the name is too long for sockets, which take 75 bytes" in first
    assert second == "True []"


def test_without_any_temporary_folder_the_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    with pytest.raises(MachineError, match=r"No usable temporary .* name a folder that takes them"):
        usable_tmpdir()


def test_data_that_cannot_be_drawn_leaves_nothing(disk: Path) -> None:
    fill(disk)
    done = run_detboard("data", "synthesize", str(disk / "data"))
    assert done.returncode == 1
    line = the_line(done.stderr)
    assert f"{disk}/data: cannot be written: No space left on device; nothing of it is left" in line
    assert [path.name for path in disk.iterdir()] == ["filler"]


def test_results_that_lead_nowhere_are_refused(synthetic_data: Path, tmp_path: Path) -> None:
    link = tmp_path / "results"
    link.symlink_to("/nowhere/at/all")
    done = Bench(synthetic_data, link).run("plan", "--rows", "plain")
    assert done.returncode == 2
    assert f"--results {link}: {link} leads nowhere; give a folder" in done.stderr
