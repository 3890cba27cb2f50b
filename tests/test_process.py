"""Standard streams that are closed, full or of another encoding, and signals at any moment: a line, and a status."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import clean_environment, run
from desk import Desk, make_desk

DETBOARD = [sys.executable, "-m", "benchmark"]
AGAIN = "interrupted: give the same command again\n"
# Sends a signal to the command at its n-th import or file, or at its n-th rename: the same moment in every run.
AT = """
import os, sys
events, moment, number, seen = sys.argv.pop(1).split(), int(sys.argv.pop(1)), int(sys.argv.pop(1)), 0
from detboard_start import main
def look(event, _):
    global seen
    seen += event in events
    if event in events and seen == moment:
        os.kill(os.getpid(), number)
sys.addaudithook(look)
main()
"""
STEPS, WRITES = "import open compile", "os.rename"


def at(events: str, moment: int, number: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command, which gets a signal at a moment."""
    return run([sys.executable, "-c", AT, events, str(moment), str(int(number)), *command])


def body(code: str) -> list[str]:
    """A command that does nothing but this."""
    text = (
        f"import os, signal, sys, time\nfrom benchmark import process\ndef command():\n    {code}\n"
    )
    return [sys.executable, "-c", f"{text}process.run(command)"]


def through(
    shell: str, arguments: list[str], **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command as ``"$@"`` of a shell."""
    return run(["bash", "-c", f"set -o pipefail; {shell}", "bash", *arguments], **environment)


@pytest.fixture(scope="module")
def desk(synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return make_desk(tmp_path_factory.mktemp("streams") / "project", synthetic_data)


# Streams


def test_closed_streams_are_opened_on_nothing_for_children_too() -> None:
    look = (
        "print([os.readlink(f'/proc/self/fd/{n}') for n in range(3)], file=open(sys.argv[1], 'w'))"
    )
    child = [sys.executable, "-c", f"import os, sys; {look}", "/dev/fd/9"]
    code = f"import subprocess; sys.stdin.read(); print(); subprocess.run({child}, pass_fds=[9])"
    done = through('"$@" 9>&1 <&- >&- 2>&-', body(code))
    assert done.stdout == f"{[os.devnull] * 3}\n"


@pytest.mark.parametrize("command", [["--help"], ["config"]], ids=["typer", "print"])
def test_who_stops_reading_is_told_nothing(command: list[str], desk: Desk) -> None:
    options = [str(desk.experiment), "--rows", "plain", "--data-root", str(desk.data)]
    given = command if command == ["--help"] else [*command, *options]
    done = through('"$@" | true', [*DETBOARD, *given])
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_output_that_cannot_be_written_is_said() -> None:
    done = through('"$@" > /dev/full', [*DETBOARD, "--help"])
    why = "error: standard output cannot be written: No space left on device: give the same command again\n"
    assert (done.returncode, done.stderr) == (1, why)


def test_errors_that_cannot_be_written_change_nothing() -> None:
    done = through('"$@" 2> /dev/full', [*DETBOARD, "plan", "no/such.yaml"])
    assert (done.returncode, done.stdout) == (2, "")


def test_a_pipe_that_is_full_and_must_not_block_is_waited_for() -> None:
    done = through(
        '"$@" | { sleep 1; wc -c; }', body("os.set_blocking(1, False); print('a' * 300_000)")
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "300001", "")


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("latin-1", "é - ... \\u6f22 \\udcff"),
        ("ascii", "\\xe9 - ... \\u6f22 \\udcff"),
        ("utf-16", "é — … 漢 \\udcff"),
    ],
)
def test_what_an_encoding_lacks_is_escaped(encoding: str, shown: str) -> None:
    code = r"print('\u00e9 \u2014 \u2026 \u6f22 \udcff')"
    done = subprocess.run(
        body(code), capture_output=True, env={**clean_environment(), "PYTHONIOENCODING": encoding}
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode(encoding) == f"{shown}\n"


# Signals


def moments() -> list[tuple[str, int]]:
    """Some of the 6,000 steps of a report, most of them imports, and some of the files that it writes."""
    draw = random.Random(11).sample
    return [
        *((STEPS, at) for at in draw(range(1, 5000), 3)),
        *((WRITES, at) for at in draw(range(1, 8), 2)),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("events", "moment"), moments())
def test_ctrl_c_at_any_moment_of_a_report_is_one_line(events: str, moment: int, desk: Desk) -> None:
    for written in [*desk.results.glob("tiny*.*")]:
        written.unlink()
    command = ["report", str(desk.experiment), "--results", str(desk.results)]
    done = at(events, moment, signal.SIGINT, *command)
    assert (done.returncode, done.stderr) == (130, AGAIN)
    assert not list(desk.folder.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGTERM, "terminated"), (signal.SIGHUP, "the terminal is gone")],
)
def test_other_signals_end_a_command_like_ctrl_c(number: signal.Signals, words: str) -> None:
    done = at(STEPS, 30, number, "--help")
    assert (done.returncode, done.stderr) == (
        128 + number,
        f"{words}: give the same command again\n",
    )


SWALLOWED = [
    "try: os.kill(os.getpid(), 2); time.sleep(5)\n    except: pass",  # a library's bare except
    "try: os.kill(os.getpid(), 2); time.sleep(5)\n    except BaseException: raise ImportError",  # C code that imports
    "class F:\n        def __del__(self): os.kill(os.getpid(), 2); time.sleep(0)\n    F(); time.sleep(5)",
]


@pytest.mark.parametrize("code", SWALLOWED, ids=["dropped", "another", "finalizer"])
def test_ctrl_c_that_others_swallow_counts(code: str) -> None:
    done = run(body(code))
    assert (done.returncode, done.stderr) == (130, AGAIN)


def test_a_signal_that_is_sent_twice_at_once_is_one() -> None:
    """As timeout(1) does, which sends it to the command and to its group."""
    kill = "os.kill(os.getpid(), 15); time.sleep"
    twice = f"try: {kill}(5)\n    finally: {kill}(0); print('kept')"
    done = run(body(twice))
    assert (done.returncode, done.stdout) == (143, "kept\n")


def test_a_third_ctrl_c_ends_what_hangs() -> None:
    stubborn = "print('here', flush=True)\n    while True:\n        try: time.sleep(60)\n"
    stubborn += "        except BaseException: print('no', flush=True)"
    process = subprocess.Popen(
        body(stubborn), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for told in ("here\n", "no\n", "no\n"):
        assert process.stdout.readline() == told
        time.sleep(0.2)  # two at once are one
        process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130


def test_what_was_ignored_at_the_start_stays_so() -> None:
    code = "os.kill(os.getpid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGHUP); print('on')"
    done = through('trap "" INT HUP; "$@"', body(code))
    assert (done.returncode, done.stdout, done.stderr) == (0, "on\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_python_takes_itself_down_changes_no_status(number: int) -> None:
    """Torch's teardown takes a second: somebody who is told twice to end had a signal's exit."""
    kill = f"lambda _, kill=os.kill, me=os.getpid(): kill(me, {int(number)})"
    code = f"sys.left = type('Left', (), {{'__del__': {kill}}})()"
    assert run(body(code)).returncode == 0
    asked = run(body(f"{code}; os.kill(os.getpid(), {int(number)}); time.sleep(9)"))
    assert asked.returncode == 128 + number
    assert asked.stderr.count("give the same command again") == 1
