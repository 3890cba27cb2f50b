"""How a run is run: what a driver tells a job; none of it changes the result."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.experiment.experiment import Tracking
from benchmark.run.checkout import Checkout


@dataclass(frozen=True)
class Caching:
    """Where a job keeps decoded images, and looks for those of others; see `benchmark.job.decoded`.

    Attributes:
        kind: ``off``, ``ram`` or ``disk``.
        gib: How many GiB are kept at most; None for a share of what is free.
        since: When the sweep began, in seconds of the epoch: images on disk that were used since stay.
        memory: Path of the memory that the driver has made for all jobs of this machine; empty without any.
        token: What that memory is known by.
    """

    kind: str = "off"
    gib: float | None = None
    since: float = 0.0
    memory: str = ""
    token: str = ""


@dataclass(frozen=True)
class JobOptions:
    """How a run is run; none of it changes the result.

    Attributes:
        tracking: Where the run is tracked.
        resources: GPUs and threads.
        cost: Measure what the model costs to use, its latency and its FLOPs, once the run is complete. Trials of
            a study do without, unless they are judged by it.
        checkout: What the driver's code and the config are from; None outside of a checkout.
        trust_checkpoints: Load checkpoints and other pickles in full, with whatever code they hold; else as data alone.
        try_out: Take one step on two images in place of the training; nothing is tracked, and there is no record.
        timed: Time so many training iterations in place of the run; nothing is tracked, and there is no record.
        leased: It is a cluster's: its driver may be gone, and a copy of it may go on on a node that was given up. It
            holds a lease on its folder, and its starts are counted.
        node_check: Look at the node in place of a run.
        store: Where its folder is mirrored, as fsspec takes it; empty where it is the driver's own.
        cache: Where decoded images are kept.
        beside: Ids of runs whose jobs have left their places and not ended: none is timed while they go on.
    """

    tracking: Tracking
    resources: Resources
    cost: bool = False
    checkout: Checkout | None = None
    trust_checkpoints: bool = False
    try_out: bool = False
    timed: int = 0
    leased: bool = False
    node_check: bool = False
    store: str = ""
    cache: Caching = Caching()
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resources:
    """What one run gets.

    Attributes:
        gpus: Device ids as ``CUDA_VISIBLE_DEVICES`` takes them; empty on a machine without a GPU, and where a
            scheduler names the devices.
        threads: CPU threads of each of its processes.
        processes: Number of processes that train together.
        fitted: Who may share its GPU, or the machine, is found by what memory runs take: the job says what it takes,
            and one that finds none leaves no record (`benchmark.run.memory`).
    """

    gpus: tuple[str, ...]
    threads: int
    processes: int = 1
    fitted: bool = False

    def environment(self) -> dict[str, str]:
        """The environment variables that hold a process to these GPUs and threads."""
        variables = {"OMP_NUM_THREADS": str(self.threads)}
        if self.gpus:
            variables["CUDA_VISIBLE_DEVICES"] = ",".join(self.gpus)
        return variables
