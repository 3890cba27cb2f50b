"""Folders among temporary files go with who made them, or with the next to make one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from benchmark.temporary import held_folder, made_in

_HOLD = """
import time
from benchmark.temporary import held_folder
with held_folder("detboard-try-") as folder:
    (folder / "big").write_bytes(b"big")
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_goes_with_its_process_or_with_the_next_where_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    command = [sys.executable, "-c", _HOLD]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with held_folder("detboard-try-") as mine:
            assert not [*mine.iterdir()] and len([*tmp_path.iterdir()]) == 2
        (theirs,) = tmp_path.iterdir()  # it is held
        assert (theirs / "work" / "big").read_bytes() == b"big"
        other.send_signal(signal.SIGKILL)
    assert [*tmp_path.iterdir()] == [theirs]
    with held_folder("detboard-another-"):
        assert theirs.is_dir()
    with held_folder("detboard-try-"):
        assert not theirs.exists()
    assert not [*tmp_path.iterdir()]


def test_where_libraries_make_their_files_is_as_before_afterwards(tmp_path: Path) -> None:
    with made_in(str(tmp_path)):
        assert tempfile.gettempdir() == str(tmp_path)
        with made_in(None):
            assert tempfile.gettempdir() == str(tmp_path)
    assert tempfile.gettempdir() != str(tmp_path)
