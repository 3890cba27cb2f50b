"""What of a job is different where its run spans several nodes.

Slurm starts a torchrun on each node, and that the processes there. They meet at the first node of the job, which Slurm
names in variables of its own. Where one of them ends before its time, all do, on every node.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.launchers.child import OUTLIVE
from benchmark.launchers.layout import Layout

# Below those that systems give to outgoing connections: from 32768 on (ip_local_port_range of Linux).
_FIRST_PORT, _PORTS = 10_000, 20_000
_PATIENCE_S = 60
_STEP = (
    "--cpu-bind=none",
    "--export=ALL",
    "--kill-on-bad-exit=1",
    "--wait=0",  # the first process measures when the others have ended
)
# What only the node itself knows.
_ON_NODE = (
    '[ -d "${TMPDIR:-/tmp}" ] && [ -w "${TMPDIR:-/tmp}" ] || unset TMPDIR; '
    'export PET_NODE_RANK=$SLURM_NODEID; exec "$@"'
)


_TOGETHER = rf"""
# The processes of all nodes meet at the first.
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$(({_FIRST_PORT} + SLURM_JOB_ID % {_PORTS}))
while (: > "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do port=$((port + 1)); done
together() {{{{
  srun {{flags}} \
    bash -c '{{node}}' bash \
    {{call}} < /dev/null &
  step=$!
  # For the task of a node that is lost srun may wait for ever.
  while kill -0 "$step" 2> /dev/null && sleep 1; do
    lost || SECONDS=0
    [ "$SECONDS" -lt {_PATIENCE_S} ] || kill -KILL "$step"
  done
  wait "$step"
}}}}
together &
"""


def over_nodes(layout: Layout, size: Sequence[str]) -> str:
    """Lines of the batch script that start the job on all of its nodes, in the background.

    Args:
        layout: How its processes lie on nodes.
        size: Flags of ``srun``: how many nodes, tasks and CPUs, which a step does not take over from its job.
    """
    meet = '--master-addr "$head" --master-port "$port" --rdzv-id "$this.${SLURM_RESTART_COUNT:-0}"'
    torchrun = f"torchrun --nnodes {layout.nodes} --nproc-per-node {layout.each} {meet}"
    call = f'"$python" "$start" {torchrun} "$start" job "$folder" "$options" {OUTLIVE}'
    return _TOGETHER.format(flags=" ".join([*size, *_STEP]), node=_ON_NODE, call=call)
