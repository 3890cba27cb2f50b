"""What a job asks of a cluster: ``cluster:`` of an experiment, over the file of the site."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from benchmark.errors import UserError
from benchmark.home import settings
from benchmark.yaml_file import Strict, read_yaml, validated

SITE_VARIABLE = "DETBOARD_CLUSTER"
_LINE = r"^[^\r\n]+$"

Text = Annotated[str, Field(pattern=_LINE)]
"""A text on one line."""


class Cluster(Strict):
    """What a job asks of a cluster; how many GPUs, the row says.

    Attributes:
        partition: Partition, or several with commas between.
        account: Account that the job is charged to.
        qos: Quality of service.
        time: Time limit of one job, as ``sbatch --time`` takes it: ``90`` are minutes, ``12:00:00``, ``2-00:00:00``.
        gpus: Type of the GPUs (``a100``); ``none`` for jobs on CPUs; None for any type, where the cluster has GPUs.
        cpus: CPUs of each process of a job: its training and its loader workers.
        memory: Memory of a job on each node, as ``sbatch --mem`` takes it: ``32G``.
        nodes: Names of the nodes that may be used, as ``sbatch --nodelist`` takes them.
        gpus_per_node: How many GPUs a node has: a row that trains on more spans several.
        constraint: Features that a node must have.
        mail: Address that is written to when a job ends or fails.
        setup: Lines of shell before Python starts: ``module load cuda``.
        sbatch: Further flags of ``sbatch``, ``--exclude=n7``.
        address: Address of a Ray cluster.
        store: Where run folders are mirrored, a path or an address as fsspec takes it, where no file system is shared.
        warn_s: Seconds before its time limit at which a job saves and leaves.
    """

    partition: Text | None = None
    account: Text | None = None
    qos: Text | None = None
    time: Text | None = None
    gpus: Text | None = None
    cpus: Annotated[int, Field(ge=1)] = 4
    memory: Text | None = None
    nodes: Text | None = None
    gpus_per_node: Annotated[int, Field(ge=1)] = 8
    constraint: Text | None = None
    mail: Text | None = None
    setup: list[Text] = Field(default_factory=list)
    sbatch: list[Text] = Field(default_factory=list)
    address: Text | None = None
    store: Text | None = None
    warn_s: Annotated[int, Field(ge=1, le=65535)] = 120

    @property
    def on_cpus(self) -> bool:
        """Whether jobs are to ask for no GPU."""
        return self.gpus in ("0", "none")

    @field_validator("time", "memory", "gpus", "nodes", mode="before")
    @classmethod
    def _numbers_are_texts(cls, value: Any) -> Any:
        """``time: 90`` and ``memory: 4000`` are numbers to YAML."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("setup", "sbatch", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        """One line need not be written as a list; a block of text is its lines."""
        if not isinstance(value, str):
            return value
        return [line for line in value.splitlines() if line.strip()]


def site_file() -> Path:
    """The file of the site: ``DETBOARD_CLUSTER``, else ``detboard/cluster.yaml`` where the user's settings are."""
    if named := os.environ.get(SITE_VARIABLE):
        return Path(named)
    return settings() / "detboard" / "cluster.yaml"


def on_site(own: Cluster) -> Cluster:
    """What an experiment asks for, over what the file of the site says; what neither says stays as it is.

    Raises:
        UserError: The file cannot be read, with every problem in it; or it is named and not there.
    """
    path = site_file()
    if not path.exists():
        if os.environ.get(SITE_VARIABLE):
            raise UserError(f"{SITE_VARIABLE}={path}: no such file")
        return own
    content = read_yaml(path, "what jobs ask of the cluster is a mapping, as in 'partition: gpu'")
    validated(Cluster, content, path, "cluster")
    asked = own.model_dump(exclude_unset=True)
    return Cluster.model_validate({**content, **asked})
