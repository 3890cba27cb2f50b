"""What the processes that train one run together owe each other where one of them ends before its time.

None waits for one that does not come: a collective would, for half an hour. What one of them fails of is what the run
fails of. And one that is lost, with its node or by a kill, says nothing of the run: the others end without a record,
and the run is to be continued.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

from benchmark.errors import causes
from benchmark.run.folder import RunFolder

TOLD = os.EX_SOFTWARE
"""Exit status of a process that ends before the others: the folder says all, and torchrun is to end them."""
GONE = os.EX_TEMPFAIL
"""Exit status of a process that has lost another, or its run's folder to another job.

It leaves no record, and the run is to be continued, or is at work elsewhere; the log says which.
"""

NO_MEMORY = os.EX_UNAVAILABLE
"""Exit status of a job that found no memory where others may share it: it leaves no record, and is started again."""

# What gloo, NCCL and torch's store say of a process that is not there any more; none has a type for it.
_OF_COMMUNICATION = re.compile(r"gloo|nccl|store|socket|\bpeer\b|process ?group", re.IGNORECASE)
_LOST = re.compile(
    r"connection (was )?(closed|reset|refused|aborted|timed out)|broken pipe|timed? ?out|no route to host|peer"
    r"|network is unreachable|ncclRemoteError|remote process exited|failed to (recv|send|connect)",
    re.IGNORECASE,
)
# NFS may keep for this long what it knows of a folder (nfs(5), acdirmin is 30 s; of what it has not seen less).
_MOMENT_S = 30.0
_WORD_S = 3.0  # a record that is seen too late is seen by the job that goes on
_LOOK_S = 0.2


def rank() -> int:
    """Which of the processes that train together this is, from 0; the first writes the folder's files."""
    return int(os.environ.get("RANK", "0"))


def processes() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


class Ended(SystemExit):
    """This process ends before the others, with one of the statuses above."""


def end_others() -> None:
    """Ends the others if this is the first process and has not joined them: they would wait for it.

    Raises:
        Ended: It is.
    """
    if processes() > 1 and rank() == 0 and not _has_joined():
        raise Ended(TOLD)


def _has_joined() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and torch.distributed.is_initialized()


def has_lost_another(error: BaseException, folder: RunFolder) -> bool:
    """Whether an error says no more than that another process of the run is gone, and none has said why.

    One that has failed has written the record before it went: it is waited for, for a moment.
    """
    if processes() == 1 or not any(map(_is_of_another, causes(error))):
        return False
    return not is_seen(folder.record_file, _WORD_S)


def _is_of_another(error: BaseException) -> bool:
    words = str(error)
    of_torch = isinstance(error, RuntimeError) and _OF_COMMUNICATION.search(words) is not None
    return of_torch and _LOST.search(words) is not None


def is_seen(path: Path, patience_s: float = _MOMENT_S) -> bool:
    """Whether a file is there that another process may have written.

    A network file system shows late what another node has written: several processes wait for it for a moment.
    """
    end = time.monotonic() + (patience_s if processes() > 1 else 0)
    while not path.exists():
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK_S)
    return True
