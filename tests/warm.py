"""Commands that have torch and mmdet loaded when they begin: forked from a process that has, in place of a new Python.

A command that trains imports for 7 s of a CPU, in the server that forks its jobs. Where a test is about what becomes of
the runs, that is most of its time. What it starts here is a process like any other: a child of the test's own process,
with the standard streams, the folder, the environment and the session that were asked for.
"""

from __future__ import annotations

import ctypes
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from multiprocessing import forkserver, util
from pathlib import Path
from typing import Any

from benchmark.leaderboard.outputs import OUTPUTS

WARM = [sys.executable, "-m", "benchmark"]
"""How the commands begin that can be started here; scripts can, too: Python, a path that ends in .py, arguments."""
_PR_SET_CHILD_SUBREAPER, _PR_SET_PDEATHSIG = 36, 1  # of Linux: prctl(2)
_FORKSERVER = "from multiprocessing.forkserver import main"
_LONGEST = 1 << 20
_POPEN = subprocess.Popen
_SCRIPTS = ("record.py", "zoo.py")  # of perf: they load all that, to train in forks of themselves


class Command(subprocess.Popen[str]):
    """What `subprocess.Popen` gives, of a command that begins as `WARM`, or of a script.

    It writes the outputs that this process would write.
    """

    def _execute_child(self, *given: Any) -> None:
        arguments, cwd, env = given[0], given[5], given[6]
        (p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite) = given[10:16]
        streams = [p2cread, c2pwrite, errwrite if errwrite != -1 else c2pwrite]
        asked = {
            "arguments": [str(argument) for argument in arguments[1:]],
            "outputs": list(OUTPUTS),
            "folder": str(cwd or Path.cwd()),
            "environment": dict(os.environ if env is None else env),
            "session": bool(given[21]),
            "parent": os.getpid(),
        }
        self.pid = _server().fork(asked, streams)
        self._child_created = True
        for theirs, ours in ((p2cread, p2cwrite), (c2pwrite, c2pread), (errwrite, errread)):
            if theirs != -1 and ours != -1:
                os.close(theirs)
        if (devnull := getattr(self, "_devnull", None)) is not None:
            os.close(devnull)


def can_start(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a command imports torch, and reads nothing of its environment before it does anything."""
    trains = arguments[: len(WARM)] == WARM and arguments[len(WARM)] in ("sweep", "tune", "all")
    script = arguments[0] == sys.executable and Path(arguments[1]).name in _SCRIPTS
    return (trains or script) and all(
        key.startswith(("DETBOARD_", "WANDB_", "SLURM_")) for key in environment
    )


def popen(arguments: Sequence[str], **how: Any) -> subprocess.Popen[str]:
    """In place of `subprocess.Popen`: commands and scripts are forked, whatever they do; all else is started."""
    python, first, *rest = [*arguments, "", ""]
    ours = first.endswith(".py") or (first == "-m" and rest[0] in ("benchmark", "benchmark.ops"))
    return (Command if python == sys.executable and ours else _POPEN)(arguments, **how)


class _Server:
    """The process that commands are forked from; it ends with this one."""

    def __init__(self) -> None:
        self._end, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        unwanted = ("WANDB_", "DETBOARD_", "SLURM_", "PYTHONDONTWRITEBYTECODE")
        clean = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
        surroundings = {**clean, "GOMP_SPINCOUNT": "1000", "CUDA_VISIBLE_DEVICES": ""}
        with other:
            _POPEN(
                [sys.executable, __file__, str(other.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
                env={**surroundings, "PYTHONPATH": str(Path(__file__).parents[1])},
            )

    def fork(self, asked: dict[str, Any], streams: list[int]) -> int:
        """The number of a new process, which is a child of this one."""
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
        socket.send_fds(self._end, [json.dumps(asked).encode()], streams)
        told = self._end.recv(64)
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0)  # what others leave behind is init's
        assert told, "the server of warm commands is gone"
        return int(told)


@lru_cache(maxsize=1)
def _server() -> _Server:
    return _Server()


def _serve(asking: socket.socket) -> dict[str, Any]:
    """Forks a process whenever one is asked for; in that, returns what it is to do."""
    while True:
        message, streams, _, _ = socket.recv_fds(asking, _LONGEST, 3)
        if not message:
            sys.exit()
        between = os.fork()
        if between == 0:
            if os.fork():
                os._exit(0)  # the command is then a child of the nearest that asks for orphans
            asked = {**json.loads(message), "streams": streams}
            while os.getppid() != asked["parent"]:
                time.sleep(0.001)
            asking.send(str(os.getpid()).encode())
            asking.close()
            return asked
        os.waitpid(between, 0)
        for stream in streams:
            os.close(stream)


def _become(asked: dict[str, Any]) -> None:
    """Makes this process what was asked for."""
    if asked["session"]:
        os.setsid()
    for number, stream in enumerate(asked["streams"]):
        os.dup2(stream, number)
    for stream in asked["streams"]:
        if stream > 2:
            os.close(stream)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    for name in OUTPUTS.keys() - asked["outputs"]:
        del OUTPUTS[name]
    util.spawnv_passfds = _forked  # type: ignore[assignment]


def _forked(path: bytes, arguments: list[str], passed: list[int]) -> int:
    """In place of a new Python, a fork of this one becomes the server that forks the jobs; see `spawnv_passfds`."""
    if not arguments[-1].startswith(_FORKSERVER):
        return _new(path, arguments, passed)
    pid = os.fork()
    if pid:
        return pid
    try:
        keep = sorted({0, 1, 2, *passed})
        for low, high in zip(keep, [*keep[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
            os.closerange(low + 1, high)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)  # as in a new program
        vars(forkserver._forkserver)["_lock"] = (
            threading.Lock()
        )  # it is held by who is starting this
        exec(arguments[-1], {"__name__": "__main__"})
    finally:
        os._exit(0)


_new = util.spawnv_passfds


def main() -> None:
    """Loads what jobs need, and forks a command whenever one is asked for."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    import benchmark.launchers.preload
    import benchmark.launchers.preload_trackers  # noqa: F401

    asked = _serve(socket.socket(fileno=int(sys.argv[1])))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)
    _become(asked)
    with suppress(ValueError):
        sys.path.remove(str(Path(__file__).parent))
    _run(asked["arguments"])


def _run(arguments: list[str]) -> None:
    """What Python does with its arguments: ``-m benchmark``, or a script, and what that is given."""
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).parent))
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()
