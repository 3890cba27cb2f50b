"""The batch script of a job: bash stays, starts Python, and tells it when to leave."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.launchers.child import OUTLIVE, to_json
from benchmark.launchers.local import START
from benchmark.launchers.slurm.request import Request
from benchmark.launchers.slurm.several import over_nodes

_TOP = """\
#!/bin/bash
{flags}
# Made by DetBoard: each job is of one run folder. Ahead of its time limit it is asked to save and leave, and puts
# itself back into the queue.
folders=(
{folders}
)
{own}
python={python}
"""
_OWN = """\
folder=${{folders[${{SLURM_ARRAY_TASK_ID:-0}}]}}
options={options}
start={start}"""
_BODY = r"""
node=${SLURMD_NODENAME:-$HOSTNAME}
# Not SLURM_JOB_ID: of one of an array's tasks, that is the number of the whole array.
this=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
this=${this:-$SLURM_JOB_ID}
say() { echo "detboard: job $this on $node: $*"; }
died() { say "$*"; exit 1; }

# Asks the job to leave at its next iteration, and to come back; what a user has asked it for stands.
leave() {
  signalled=1
  [ -e "$folder/stop" ] || {
    printf '{"state": "interrupted", "again": true}' > "$folder/stop.$this" &&
      mv -n "$folder/stop.$this" "$folder/stop"
    rm -f "$folder/stop.$this"
  }
}
# Of a job over several nodes: they notice long before Slurm does that one is gone.
lost() { grep -qs '"lost": true' "$folder/stop"; }
to_come_back() {
  { [ "$warned" ] || lost; } && [ ! -e "$folder/record.json" ] && grep -qs '"again": true' "$folder/stop"
}
signalled= warned= job=
trap 'warned=1; leave' USR1
trap leave TERM

[ -z "$SLURM_ARRAY_TASK_ID" ] || scontrol update "JobId=$this" "JobName=${folder##*/}" > /dev/null 2>&1
[ -f "$folder/job.json" ] ||
  died "this node does not see $folder: the results folder must lie on a file system that all nodes share"
"""
_START = r"""
# What the lines of the site have set for themselves is theirs: with -e bash would end before its job does.
set +e +u
# Folders of temporary files that are the login node's own.
[ -d "${TMPDIR:-/tmp}" ] && [ -w "${TMPDIR:-/tmp}" ] || unset TMPDIR
# Also where the login node's language is not installed.
export PYTHONUTF8=1
[ -x "$python" ] ||
  died "this node has no $python: the Python environment must lie where all nodes see it, or be named in cluster.setup"
[ -f "$start" ] ||
  died "this node has no $start: DetBoard must lie where all nodes see it"
[ -z "$warned" ] || died "its time limit is too short: it was to leave before Python had started"
say "starts (start $((${SLURM_RESTART_COUNT:-0} + 1)))"
"""
_END = r"""job=$!
wait "$job"
status=$?
while [ "$signalled" ]; do  # a signal ends the waiting, not the job
  signalled=
  wait "$job"
  again=$?
  [ "$again" = 127 ] || status=$again
done
# It was asked to leave when it was as good as done: nobody is left to hear of it.
[ ! -e "$folder/record.json" ] || ! grep -qs '"again": true' "$folder/stop" || rm -f "$folder/stop"
if to_come_back; then
  why="it has saved and left ahead of its time limit"
  ! lost || why="one of its processes was lost"
  say "$why, and is queued again"
  scontrol requeue "$this" || say "it cannot be queued again from here: the sweep does that"
fi
exit "$status"
"""


def batch_script(request: Request, flags: Sequence[str], folders: Sequence[Path]) -> str:
    """The script of one run's job, or of an array.

    Args:
        request: What its runs ask for.
        flags: Which run it is, or which array, see `benchmark.launchers.slurm.request.of_run`.
        folders: Run folders, absolute; of an array in the order of its indices.
    """
    own = _OWN.format(options=shlex.quote(to_json(request.options)), start=shlex.quote(str(START)))
    top = _TOP.format(
        flags="\n".join(f"#SBATCH {_quoted(flag)}" for flag in [*flags, *request.flags]),
        folders="\n".join(f"  {shlex.quote(str(folder))}" for folder in folders),
        own=own,
        python=shlex.quote(sys.executable),
    )
    # Again behind the lines of the site, which may call something of theirs the same.
    setup = f"{_setup(request.setup)}{own}\n" if request.setup else _setup(request.setup)
    return "".join([top, _BODY, setup, _START, _command(request), _END])


def wrong_setup(setup: Sequence[str]) -> str:
    """What bash says of lines that it cannot read; empty where it can."""
    return _unreadable("\n".join(setup))


def _command(request: Request) -> str:
    """Starts the job, and leaves bash to watch over it."""
    resources = request.options.resources
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if request.on_cpus else {}
    variables = {**resources.environment(), **hidden}
    lines = [f"export {key}={value}" for key, value in variables.items()]
    if request.layout.several:
        return "\n".join([*lines, over_nodes(request.layout, request.step)])
    call = f'"$start" job "$folder" "$options" {OUTLIVE}'
    if resources.processes > 1:
        several = f'"$start" torchrun --standalone --nproc-per-node {resources.processes}'
        call = f"{several} {call}"
    return "\n".join([*lines, f'"$python" {call} < /dev/null &', ""])


def _setup(setup: Sequence[str]) -> str:
    """The lines of the site, where the driver was; a line that fails ends the job."""
    cwd = shlex.quote(str(Path.cwd()))
    lines = [f"\n[ ! -d {cwd} ] || cd {cwd}"]
    # Lines of one statement, an if or a here-document, stand together: only its end tells how it went.
    parts = setup if not any(map(_goes_on, setup)) else ["\n".join(setup)] if setup else []
    for part in parts:
        words = shlex.quote(f"a line of cluster.setup has failed: {' '.join(part.split())}")
        lines.append(f'{part}\nended=$?; [ "$ended" = 0 ] || died {words} "(exit status $ended)"')
    return "\n".join([*lines, ""])


def _goes_on(line: str) -> bool:
    return line.endswith("\\") or bool(_unreadable(line))


def _unreadable(text: str) -> str:
    if not text:
        return ""
    done = subprocess.run(
        ["bash", "-n"], input=text, capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
    )
    return done.stderr.strip().replace("\n", "; ")


def _quoted(flag: str) -> str:
    """A flag as a line of ``#SBATCH`` takes it."""
    return (
        flag
        if shlex.quote(flag) == flag
        else '"' + flag.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )
