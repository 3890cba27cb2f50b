"""Slurm's own commands: each with a time limit, in no shell, and apart from the terminal."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

LIMIT_S = 20.0
_PING_S = 5.0
# A driver may itself run in a job of Slurm: that one's number, array and node count are none of its own jobs'.
_OURS = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT")
# Filters and formats that a user's shell sets for a look at the queue.
_OTHERS = ("SLURM_", "SQUEUE_", "SINFO_", "SCONTROL_", "SCANCEL_")
# Of the user's settings for sbatch those that make one submission several, wait for its end, or send it elsewhere.
_NEVER = ("SBATCH_ARRAY_INX", "SBATCH_WAIT", "SBATCH_CLUSTERS")
_UNREACHED = (
    "Unable to contact slurm controller",
    "timed out",
    "Connection refused",
    "Zero Bytes were transmitted",
    "Communication connection failure",
    "Unable to establish control machine address",
    "No route to host",
    "authentication",  # munged is down, or was a moment ago, or clocks differ
    "standby mode",
)


class NoAnswer(Exception):
    """The controller has not answered; the message says in words how."""


@dataclass(frozen=True)
class Answer:
    """What a command says.

    Attributes:
        status: Its exit status.
        out: Its standard output.
        err: Its standard error, without the command's name on each line.
    """

    status: int
    out: str
    err: str


def ask(*command: str, text: str = "", limit_s: float = LIMIT_S) -> Answer:
    """Runs a command of Slurm.

    Args:
        command: Its name and arguments.
        text: Its standard input.
        limit_s: Seconds after which it is given up.

    Raises:
        NoAnswer: It is not on this machine, takes too long, or does not reach the controller. What it was to do may
            have been done all the same.
    """
    try:
        done = subprocess.run(
            command,
            input=os.fsencode(text),
            capture_output=True,
            timeout=limit_s,
            check=False,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is the driver's: a submission is not to be cut in two
        )
    except FileNotFoundError:
        raise NoAnswer(f"{command[0]} is not on this machine") from None
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"{command[0]} has not answered in {limit_s:.0f} s") from None
    out = os.fsdecode(done.stdout)  # it names folders, which may be in any encoding
    said = _said(done.stderr.decode(errors="replace"), command[0])
    if done.returncode != 0 and any(words in said for words in _UNREACHED):
        raise NoAnswer(said)
    return Answer(done.returncode, out.strip(), said)


def lines(*command: str, limit_s: float = LIMIT_S) -> list[str]:
    """What a command that shows something prints.

    Raises:
        NoAnswer: As `ask`, or it has failed.
    """
    answer = ask(*command, limit_s=limit_s)
    if answer.status != 0:
        raise NoAnswer(answer.err or f"{command[0]}: exit status {answer.status}")
    return answer.out.splitlines()


def check_up() -> None:
    """Nothing where the controller is up: this is told at once, where other commands try for ten seconds.

    Raises:
        NoAnswer: It is not, or Slurm is not on this machine.
    """
    answer = ask("scontrol", "ping", limit_s=_PING_S)
    if answer.status != 0 and " is UP" not in answer.out:
        raise NoAnswer(
            answer.err or "; ".join(answer.out.splitlines()[:1]) or "scontrol ping fails"
        )


def _environment() -> dict[str, str]:
    return {
        key: value
        for key, value in os.environ.items()
        if key in _OURS or not (key in _NEVER or key.startswith(_OTHERS))
    }


def _said(text: str, name: str) -> str:
    """What a command complains of, on one line: ``sbatch: error: `` before each line tells nothing."""
    told = (line.removeprefix(f"{name}: ").removeprefix("error: ") for line in text.splitlines())
    return "; ".join(line.strip() for line in told if line.strip())
