"""Runs the command line as a user does: a process of its own, no terminal, no input."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from warm import Command, can_start

import benchmark
from benchmark.cli import main

# A command that counts how often it opens the annotation files; see `opened`.
_COUNTING = """
import collections, sys
opened = collections.Counter()
sys.addaudithook(lambda event, given: opened.update([str(given[0])]) if event == "open" else None)
from benchmark.cli import main
try:
    main()
finally:
    for name, count in opened.items():
        if name.endswith(("train.json", "val.json")):
            print("opened", name.rpartition("/")[2], count, file=sys.stderr)
"""
COUNTED = [sys.executable, "-c", _COUNTING]

TINY = Path(__file__).parent / "tiny" / "tiny.yaml"
SHIPPED = Path(__file__).parent.parent / "experiments"
LEADERBOARD = SHIPPED / "leaderboard.yaml"


def variant(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of the tiny experiment, and its parts, in ``folder``, with something changed."""
    shutil.copytree(TINY.parent / "configs", folder / "configs")
    content = yaml.safe_load(TINY.read_text())
    change(content)
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def study(folder: Path, **content: Any) -> Path:
    """A study file over the row ``plain`` of a copy of the tiny experiment in ``folder``."""
    if not (folder / "tiny.yaml").exists():
        variant(folder, lambda _: None)
    search = {"lr": {"type": "float", "low": 0.001, "high": 0.1, "log": True}}
    whole = {"experiment": "tiny.yaml", "row": "plain", "n_trials": 4, "search": search, **content}
    path = folder / "tune.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


@dataclass
class Bench:
    """A results folder, and the commands that work on it."""

    data: Path
    results: Path
    experiment: Path = TINY

    def arguments(self, verb: str, *more: str) -> list[str]:
        common = ["--data-root", str(self.data), "--results", str(self.results)]
        return [sys.executable, "-m", "benchmark", verb, str(self.experiment), *common, *more]

    def run(self, verb: str, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return run(self.arguments(verb, *more), **environment)

    def here(self, verb: str, *more: str) -> subprocess.CompletedProcess[str]:
        """What `run` gives, from this process; see `here`."""
        return here(self.arguments(verb, *more)[3:])

    def start(self, verb: str, *more: str, **environment: str) -> subprocess.Popen[str]:
        """Starts a command in a process group of its own, as a shell does."""
        arguments = self.arguments(verb, *more)
        make = Command if can_start(arguments, environment) else subprocess.Popen[str]
        return make(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=_environment(environment),
        )

    def folder(self, row: str) -> Path:
        """The only run folder of a row."""
        (found,) = self.results.glob(f"runs/{row}-s*")
        return found

    def record(self, row: str) -> dict[str, Any]:
        return json.loads((self.folder(row) / "record.json").read_text())

    def points(self, row: str, kind: str) -> list[dict[str, Any]]:
        path = self.folder(row) / "metrics.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [point for line in lines if (point := _parsed(line)).get("kind") == kind]


def run(
    arguments: list[str], folder: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command in ``folder``; where the tests run, if None."""
    make = Command if can_start(arguments, environment) else subprocess.Popen[str]
    with make(
        arguments,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(environment),
    ) as process:
        try:
            said, wrong = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(arguments, process.returncode, said, wrong)


def installed_command(folder: Path) -> list[str]:
    """The command as pip makes it of what is installed, in a script in ``folder``: for folders that hold rivals.

    With ``python -m`` Python would take a module of the current folder before any of ours is asked.
    """
    script = folder / "detboard"
    lines = (
        "import sys",
        f"sys.path.append({str(Path(benchmark.__file__).parents[1])!r})",
        "from detboard_start import main",
        "if __name__ == '__main__':",
        "    main()",
    )
    script.write_text("\n".join(lines))
    return [sys.executable, str(script)]


def run_detboard(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "benchmark", *arguments], **environment)


def here(arguments: list[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command in this process, for what is about no process: all is imported, and so it is for its jobs.

    The server that forks these outlives the command: the next one's jobs have nothing to import either. Like `run`,
    in ``folder``; where the tests run, if None.
    """
    before = Path.cwd()
    path, out, err = list(sys.path), io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", ["detboard", *arguments]),
        patch.dict(os.environ, _environment({}), clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            os.chdir(folder or before)
            main()
            status: Any = 0
        except SystemExit as end:
            status = end.code
        finally:
            sys.path[:] = path
            os.chdir(before)
    return subprocess.CompletedProcess(arguments, int(status or 0), out.getvalue(), err.getvalue())


def opened(errors: str) -> dict[str, int]:
    """How often a `COUNTED` command has opened each annotation file, from its standard error."""
    told = [line.split() for line in errors.splitlines() if line.startswith("opened ")]
    return {name: int(count) for _, name, count in told}


def _environment(more: dict[str, str]) -> dict[str, str]:
    # Without bytecode on disk, every process would compile all that it imports.
    unwanted = ("WANDB_", "PYTHONDONTWRITEBYTECODE")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
    return {**clean, "COLUMNS": "200", "CUDA_VISIBLE_DEVICES": "", **more}


def clean_environment() -> dict[str, str]:
    """What commands run in."""
    return _environment({})


def _parsed(line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except json.JSONDecodeError:  # the job is writing it
        return {}


def wait_until(true: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Waits, and leaves three quarters of the time to what it waits for, however long a look takes."""
    end = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if true():
            return
        now = time.monotonic()
        assert now < end, f"waited {seconds} s for {what}"
        time.sleep(max(0.02, 3 * (now - began)))


def job_pid(folder: Path) -> int:
    return int(json.loads((folder / "job.lock.holder").read_text())["pid"])


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill_group(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
