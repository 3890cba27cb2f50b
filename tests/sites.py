"""A results folder and a cluster with a queue, and drivers that are watched as a person does: for tests of both."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import Bench, clean_environment, here
from toy_queue import NAME, PLACE, WITH_QUEUE, ToyCluster

from benchmark.launchers import LAUNCHERS, living
from benchmark.run.folder import RunFolder

HERE = Path(__file__).parent
QUEUE = ("--launcher", NAME, "--wandb", "off")


@dataclass
class Site:
    """A results folder, and a cluster with a queue."""

    bench: Bench
    cluster: ToyCluster

    def here(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command in this process, which knows nothing of what was submitted before."""
        living._launchers.clear()
        return here([*arguments])

    def sweep(self, *more: str) -> subprocess.CompletedProcess[str]:
        return self.here(*self.arguments("sweep", *QUEUE, *more))

    def plan(self, *more: str) -> str:
        done = self.here(*self.arguments("plan", *more))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self, *more: str) -> str:
        done = self.here("stop", *more, "--results", str(self.bench.results))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def arguments(self, verb: str, *more: str) -> list[str]:
        return self.bench.arguments(verb, *more)[3:]

    def command(self, verb: str, *more: str) -> list[str]:
        """A command of a process of its own."""
        return [sys.executable, "-c", WITH_QUEUE, *self.arguments(verb, *QUEUE, *more)]

    def folder(self, row: str) -> RunFolder:
        return RunFolder(self.bench.folder(row))

    def name(self, row: str) -> str:
        return self.bench.folder(row).name


@pytest.fixture
def site(synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    (tmp_path / "cluster").mkdir()
    cluster = ToyCluster(tmp_path / "cluster")
    monkeypatch.setenv(PLACE, str(cluster.folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parent)]))
    monkeypatch.setitem(LAUNCHERS, NAME, "toy_queue:ToyQueue")
    yield Site(Bench(synthetic_data, tmp_path / "results"), cluster)
    cluster.close()
    living._launchers.clear()


@dataclass
class Driver:
    """A sweep that watches, and what it has said."""

    process: subprocess.Popen[bytes]
    terminal: int | None = None
    told: str = ""

    def hears(self, words: str, seconds: float = 60) -> None:
        """Waits until it says so."""
        stream = self.terminal
        if stream is None:
            assert self.process.stdout is not None
            stream = self.process.stdout.fileno()
        end = time.monotonic() + seconds
        while words not in self.told:
            ready, _, _ = select.select([stream], [], [], max(0.0, end - time.monotonic()))
            assert ready, self.told
            try:
                read = os.read(stream, 10_000)
            except OSError:  # of a terminal whose other side is closed
                read = b""
            assert read, self.told
            self.told += read.decode().replace("\r\n", "\n")

    def ends(self) -> int:
        """Waits for its end; returns its status."""
        if self.terminal is None:
            rest, _ = self.process.communicate(timeout=60)
            self.told += rest.decode()
        return self.process.wait(timeout=60)

    def says(self, text: str) -> None:
        """Types something at its terminal."""
        assert self.terminal is not None
        os.write(self.terminal, text.encode())


@pytest.fixture
def drive(site: Site) -> Iterator[Callable[..., Driver]]:
    """Starts a sweep that watches, at a terminal if asked to."""
    started: list[Driver] = []

    def start(*more: str, verb: str = "sweep", terminal: bool = False, **env: str) -> Driver:
        command, environment = site.command(verb, *more), {**clean_environment(), **env}
        if not terminal:
            output = subprocess.PIPE
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )
            started.append(Driver(process))
            return started[-1]
        ours, theirs = pty.openpty()
        leader = (
            "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        )
        at = [sys.executable, "-c", f"{leader}os.execv(sys.argv[1], sys.argv[1:])", *command]
        process = subprocess.Popen(
            at, stdin=theirs, stdout=theirs, stderr=theirs, env={**environment, "TERM": "xterm"}
        )
        os.close(theirs)
        started.append(Driver(process, ours))
        return started[-1]

    yield start
    for driver in started:
        driver.process.kill()
        driver.process.wait()
        if driver.terminal is not None:
            os.close(driver.terminal)
