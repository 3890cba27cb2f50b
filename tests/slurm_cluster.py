"""A real Slurm cluster on loopback, for tests and measurements: as many nodes as wanted, each a world of its own.

A node is a process namespace with a host name: killed, it takes slurmd and all jobs along in one moment, as a machine
does that loses power. Whatever happens to the process that made the cluster, the kernel ends what it has started.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from command import alive, wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "unshare", "setpriv", "mknod")
CPUS = 4  # of a node, whatever this machine has
GPUS = 2  # made up: device nodes that nothing is behind
GPU = "toy"
MEMORY_MB = 16000
# With a name of its own: `munged` wants no folder above its socket that others can write to.
_PLACE, _PREFIX = Path("/run"), "detboard-munge-"
# A node: it knows its own name and the others'; bash takes in what jobs leave behind, as init does.
_INIT = """
mount --bind "$1" /etc/hosts && hostname "$2" || exit 1
shift 2
"$@" &
while :; do wait; sleep 0.2; done
"""


def obstacle() -> str:
    """Why no cluster can be started here; empty if one can."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        return f"{', '.join(missing)}: not installed (Debian: apt-get install slurmctld slurmd slurm-client munge)"
    if os.geteuid() != 0:
        return "a cluster of namespaces is started by root alone"
    tried = subprocess.run(
        ["unshare", "--pid", "--fork", "--uts", "--mount-proc", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return tried.stderr.strip()


@dataclass
class SlurmCluster:
    """A cluster that runs.

    Attributes:
        folder: Its files: configuration, logs, state.
        names: Its nodes.
        environment: What commands of Slurm need to know it.
    """

    folder: Path
    names: tuple[str, ...]
    environment: dict[str, str]
    _munge: Path
    _living: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def call(self, *command: str) -> str:
        """What a command of Slurm says."""
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.strip()

    def jobs(self, state: str = "all") -> dict[str, str]:
        """States of jobs by their numbers (``12``, ``13_4``), of those that the controller remembers."""
        listed = self.call("squeue", "-h", "-r", "-t", state, "-o", "%i %T").splitlines()
        return dict(line.split() for line in listed)  # type: ignore[misc]

    def hurry(self) -> None:
        """Spares requeued jobs the two minutes for which Slurm holds them back.

        Their nodes refuse them for a second: they have just been told to end them.
        """
        for line in self.call("squeue", "-h", "-r", "-t", "PD", "-o", "%i %V %r").splitlines():
            number, since, reason = line.split(maxsplit=2)
            waited = datetime.now() - datetime.fromisoformat(since)
            if reason == "BeginTime" and waited > timedelta(seconds=3):
                with suppress(AssertionError):  # started meanwhile
                    self.call("scontrol", "update", f"JobId={number}", "StartTime=now")

    @contextmanager
    def hurrying(self) -> Iterator[None]:
        """Spares them that whenever it comes to it, meanwhile."""
        over = threading.Event()

        def hurry() -> None:
            while not over.wait(0.3):
                with suppress(AssertionError, subprocess.TimeoutExpired):
                    self.hurry()

        thread = threading.Thread(target=hurry, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def start_node(self, name: str) -> None:
        """Boots a node; one that was killed comes back empty."""
        slurmd = ["slurmd", "-D", "-N", name, "-f", str(self.folder / "slurm.conf"), "-c"]
        hosts = str(self.folder / "hosts")
        self._start(name, "bash", "-c", _INIT, "bash", hosts, name, *slurmd)

    def kill_node(self, name: str) -> None:
        """Ends a node with its jobs at once; after some 18 s Slurm sees that it is down, and requeues them."""
        self._end(name)

    def lose_node(self, name: str) -> None:
        """Takes a node from the cluster while its jobs live on, as one does that loses its network."""
        for pid in family(self._living[name].pid):
            with suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().startswith("slurm"):
                    os.kill(pid, signal.SIGKILL)

    def stop_controller(self) -> None:
        """Ends the controller, which saves what it knows, as its machine's restart does; jobs go on."""
        process = self._living["slurmctld"]
        for pid in family(process.pid):
            with suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().strip() == "slurmctld":
                    os.kill(pid, signal.SIGTERM)
        wait_until(lambda: process.poll() is not None, "the end of the controller", 20)
        self._end("slurmctld")

    def start_controller(self) -> None:
        """Starts the controller, with what it remembers."""
        self._start("slurmctld", "slurmctld", "-D", "-f", str(self.folder / "slurm.conf"))

    def wait_until_up(self, seconds: float = 30) -> None:
        """Waits for every node to answer."""
        end = time.monotonic() + seconds
        while self._answering() < set(self.names):
            assert time.monotonic() < end, self.logs()
            time.sleep(0.05)

    def logs(self) -> str:
        """The ends of what its daemons say."""
        logs = [*self.folder.glob("*.log"), *self._munge.glob("*.log")]
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-600:]}" for log in logs)

    def close(self) -> None:
        """Ends all of it, jobs included."""
        for name in reversed(list(self._living)):
            self._end(name)
        shutil.rmtree(self._munge, ignore_errors=True)

    def start(self) -> None:
        """Starts its daemons, and waits until all nodes answer."""
        own = ("socket", "key-file", "pid-file", "log-file", "seed-file")
        files = [f"--{name}={self._munge / name.partition('-')[0]}" for name in own]
        files = [f.replace("/log", "/munged.log") for f in files]
        (self._munge / "key").write_bytes(secrets.token_bytes(1024))
        (self._munge / "key").chmod(0o400)
        self._start("munged", "munged", "--foreground", "--force", "--num-threads=2", *files)
        while not (self._munge / "socket").exists():
            assert self._living["munged"].poll() is None, self.logs()
            time.sleep(0.01)
        self.start_controller()
        for name in self.names:
            self.start_node(name)
        self.wait_until_up()

    def _answering(self) -> set[str]:
        asked = ["sinfo", "-h", "-N", "-r", "-t", "idle,mix,alloc", "-o", "%N"]
        with suppress(AssertionError, subprocess.TimeoutExpired):
            return set(self.call(*asked).split())
        return set()

    def _start(self, name: str, *command: str) -> None:
        """Starts a daemon in a process namespace of its own, which ends with this process."""
        apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"]
        with (self.folder / f"{name}.out.log").open("ab") as log:
            self._living[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *apart, *command],
                env={
                    **os.environ,
                    **self.environment,
                    "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
                },
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _end(self, name: str) -> None:
        process = self._living.pop(name, None)
        if process is not None:
            inner = family(process.pid)
            process.kill()
            process.wait()
            wait_until(lambda: not any(map(alive, inner)), f"the end of {name}")


@contextmanager
def slurm_cluster(folder: Path, nodes: int = 2, **settings: str) -> Iterator[SlurmCluster]:
    """Starts a cluster.

    It has three partitions: ``low``, where jobs go that say nothing, ``high``, which takes nodes from ``low``, and
    ``brief``, of 5 minutes at most. A node has 4 CPUs, 16,000 MB and two GPUs of type ``toy`` that are made up.

    Args:
        folder: Where its files are put.
        nodes: How many; they are called ``n1``, ``n2``, ...
        settings: Further lines of ``slurm.conf``, over those that are there.
    """
    _remove_leftovers()
    folder.mkdir(parents=True, exist_ok=True)
    munge = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_PLACE))
    munge.chmod(0o711)
    names = tuple(f"n{number + 1}" for number in range(nodes))
    _configure(folder, munge, names, settings)
    made = SlurmCluster(folder, names, {"SLURM_CONF": str(folder / "slurm.conf")}, munge)
    try:
        made.start()
        yield made
    finally:
        made.close()


def _configure(folder: Path, munge: Path, names: tuple[str, ...], more: Mapping[str, str]) -> None:
    controller, *ports = _free_ports(1 + len(names))
    settings = {**_settings(folder, munge, controller), **more}
    lines = [f"{key}={value}" for key, value in settings.items()]
    gres = []
    for name, port in zip(names, ports, strict=True):
        has = f"CPUs={CPUS} RealMemory={MEMORY_MB} Gres=gpu:{GPU}:{GPUS} State=UNKNOWN Feature={name},any"
        lines.append(f"NodeName={name} NodeHostname={name} NodeAddr=127.0.0.1 Port={port} {has}")
        for number in range(GPUS):
            device = folder / f"{name}-nvidia{number}"
            subprocess.run(["mknod", str(device), "c", "1", "3"], check=True)
            gres.append(f"NodeName={name} Name=gpu Type={GPU} File={device}")
    for name, has in _PARTITIONS.items():
        lines.append(f"PartitionName={name} Nodes=ALL State=UP {has}")
    (folder / "slurm.conf").write_text("\n".join([*lines, ""]))
    (folder / "hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()} {' '.join(names)}\n")
    (folder / "gres.conf").write_text("\n".join([*gres, ""]))


_PARTITIONS = {
    "low": "Default=YES MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=5",
    "high": "MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF",
    "brief": "MaxTime=5 PriorityTier=1 PreemptMode=REQUEUE",
}


def _settings(folder: Path, munge: Path, port: int) -> dict[str, str]:
    """What ``slurm.conf`` says of the whole cluster: no accounting, no cgroups, nothing that this machine must have."""
    return {
        "ClusterName": "detboard-test",
        "SlurmctldHost": f"{socket.gethostname().partition('.')[0]}(127.0.0.1)",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={munge / 'socket'}",
        "CredType": "cred/munge",
        "SlurmctldPort": str(port),
        "SlurmctldPidFile": f"{folder}/slurmctld.pid",
        "SlurmdPidFile": f"{folder}/slurmd-%n.pid",
        "SlurmctldLogFile": f"{folder}/slurmctld.log",
        "SlurmdLogFile": f"{folder}/slurmd-%n.log",
        "StateSaveLocation": f"{folder}/state",
        "SlurmdSpoolDir": f"{folder}/spool-%n",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/none",
        "AccountingStorageType": "accounting_storage/none",
        "MpiDefault": "none",
        "SwitchType": "switch/none",
        # Else all daemons listen on every address of this machine.
        "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
        "SchedulerType": "sched/backfill",
        "SchedulerParameters": "sched_interval=1,bf_interval=1,batch_sched_delay=0",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core",
        "PreemptType": "preempt/partition_prio",
        "PreemptMode": "REQUEUE",
        "ReturnToService": "2",
        "SlurmdTimeout": "10",
        # Two of them pass before a node that is gone is taken for it: 28 s with the default of 10.
        "MessageTimeout": "5",
        "SlurmctldTimeout": "10",
        "KillWait": "5",
        "MinJobAge": "300",
        "InactiveLimit": "0",
        "GresTypes": "gpu",
        "PropagateResourceLimits": "NONE",
        "SlurmdParameters": "config_overrides",
    }


def _free_ports(number: int) -> list[int]:
    """Ports of loopback that nobody listens on, all different."""
    with suppress(OSError):
        sockets = [socket.socket() for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [int(one.getsockname()[1]) for one in sockets]
        for one in sockets:
            one.close()
        return ports
    raise AssertionError("no free port")


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    return []


def family(pid: int) -> list[int]:
    """A process and all that descend from it, in whatever namespace."""
    family = [pid]
    for member in family:  # which grows
        family += _children(member)
    return family


def _remove_leftovers() -> None:
    """Removes folders under ``/run`` of clusters whose process was killed."""
    for left in _PLACE.glob(f"{_PREFIX}*"):
        owner = re.match(rf"{_PREFIX}(\d+)-", left.name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            shutil.rmtree(left, ignore_errors=True)
