"""How data loader workers hand over their batches: in shared memory, and through their pipe where that is full.

torch puts every batch of a worker into ``/dev/shm``, whichever sharing strategy is set. Docker gives it 64 MiB. A batch
that finds no room there is dropped in the worker's feeder thread, and the training waits for it for ever. The pipe
always has room: the batch is copied twice more, and is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from multiprocessing import queues, reduction

import torch
from torch._utils import ExceptionWrapper
from torch.multiprocessing.reductions import reduce_storage
from torch.utils.data import get_worker_info

from benchmark.run.devices import shared_memory_room

# Of the whole folder. Semaphores of later workers and NCCL's buffers need some of it, too.
_LEFT_FREE = 1 / 8
_MIB = 2**20

_Reduced = tuple[Callable[..., object], tuple[object, ...]]


def survive_little_shared_memory() -> None:
    """Has the data loader workers that this process forks from now on live with a small ``/dev/shm``.

    And what else a worker cannot hand over is raised in the training, which would wait for it for ever.
    """
    reduction.ForkingPickler.register(torch.UntypedStorage, _shared_or_copied)
    queues.Queue._on_queue_feeder_error = _handed_over  # type: ignore[attr-defined]


def _shared_or_copied(storage: torch.UntypedStorage) -> _Reduced:
    """How a storage is pickled for another process: as torch does it, or with its content."""
    if storage.device.type != "cpu" or _fits(storage.nbytes()):
        with suppress(RuntimeError):  # other workers have looked at the same moment
            reduced: _Reduced = reduce_storage(storage)  # type: ignore[no-untyped-call]
            return reduced
    content = torch.empty(0, dtype=torch.uint8).set_(storage)
    return _storage_of, (content.numpy().tobytes(),)


def _fits(size: int) -> bool:
    found = shared_memory_room()  # torch knows where shared memory is, if this is not it
    return found is None or size / _MIB + found.total_mib * _LEFT_FREE < found.free_mib


def _storage_of(content: bytes) -> torch.UntypedStorage:
    if not content:
        return torch.UntypedStorage(0)  # type: ignore[no-untyped-call]
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).untyped_storage()


def _handed_over(queue: queues.Queue[object], error: Exception, batch: object) -> None:
    """Puts the error in the place of a batch that could not be pickled: Python's own prints it, and drops both."""
    worker = get_worker_info()
    if worker is None or not isinstance(batch, tuple):
        raise error
    where = f"in DataLoader worker process {worker.id}, which could not hand over a batch"
    cause = (type(error), error, error.__traceback__)
    queue.put((batch[0], ExceptionWrapper(cause, where)))  # type: ignore[no-untyped-call]
