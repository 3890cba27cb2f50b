"""Why a job ends without a result: what kind of failure of its run it is, or a fault of the machine, which is none."""

from __future__ import annotations

import errno
import os
import re
import traceback
from pathlib import Path

from benchmark.errors import UserError, causes, fault_of, printable, told
from benchmark.files import end_of
from benchmark.job.inputs import NotAsAsked
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now
from benchmark.run.record import Failure, FailureKind
from benchmark.writing.addresses import public

LOG_TAIL_CHARACTERS = 10_000

# The words of libraries that have no type for it, or that come out of another process, where the type is lost.
_NO_MEMORY = re.compile(
    r"out of memory|(can't|cannot) allocate memory|not enough memory|insufficient memory|out of shared memory"
    r"|std::bad_alloc|_ALLOC_FAILED|killed by signal: (Killed|Bus error)"
    r"|^Caught (\w*MemoryError) in DataLoader worker",
    re.IGNORECASE | re.MULTILINE,
)


def of_machine(error: BaseException, folder: RunFolder) -> OSError | None:
    """What a file system has said that is not the run's fault; None of any other error.

    That is a full disk and the like, and what keeps the job from the files of its own folder.
    """
    if isinstance(error, PermissionError) and isinstance(error.filename, str | bytes):
        denied = Path(os.fsdecode(error.filename))
        return error if folder.path in denied.parents else fault_of(error)
    return fault_of(error)


_CONTINUED = ": no record; the run is to be continued"


def last_words(fault: OSError) -> str:
    """What a job that a fault of the machine ends says in its log, on the last line."""
    return f"{now()} {told(fault)}{_CONTINUED}"


def read_last_words(log: Path) -> str:
    """The fault that a job has met, as `last_words` says it, without the time; empty where its log does not say."""
    lines = end_of(log, LOG_TAIL_CHARACTERS).rstrip().splitlines() or [""]
    said = lines[-1].removesuffix(_CONTINUED)
    return said.partition(" ")[2] if said != lines[-1] else ""


def failure(error: Exception, folder: RunFolder) -> Failure:
    """What the record says of a run that an error has ended."""
    message = f"{type(error).__name__}: {error}".strip()
    again = isinstance(error, NotAsAsked)
    return Failure(
        kind(error),
        public(message)[:2000],
        public(end_of(folder.log_file, LOG_TAIL_CHARACTERS)),
        again,
    )


def kind(error: BaseException) -> FailureKind:
    """What kind of failure an error is: by its type, and by its text where types do not tell."""
    from benchmark.job.training import Diverged

    if isinstance(error, Diverged):
        return FailureKind.DIVERGED
    if isinstance(error, UserError):  # of all that a job reads, the data alone is the user's
        return FailureKind.DATA
    if is_out_of_memory(error):
        return FailureKind.OOM
    from_data = isinstance(error, NotAsAsked) or _from_data(error)
    return FailureKind.DATA if from_data else FailureKind.ERROR


def in_words(error: BaseException) -> str:
    """An error in one line, without the advice that mmengine has for those who write classes of their own."""
    return printable(public(_one_line(error)))


def _one_line(error: BaseException) -> str:
    found = kind(error)
    named = found in (FailureKind.OOM, FailureKind.DIVERGED)
    if isinstance(error, UserError):
        return " ".join("; ".join(error.problems).split())
    head = found.value if named else type(error).__name__
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(f"{head}: {text.partition(' Please check whether')[0]}".split())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what it comes from, says that there was no memory, on a GPU or off it."""
    return any(_is_out_of_memory(one) for one in causes(error))


def _is_out_of_memory(error: BaseException) -> bool:
    import cv2
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    # OpenCV keeps the code of its last error in the class, so that the text alone is of this one.
    words = isinstance(error, RuntimeError | OSError | cv2.error)
    return words and _NO_MEMORY.search(_without_code(str(error))) is not None


def _without_code(text: str) -> str:
    """What an error says, without the lines of source that stand in a worker's traceback."""
    return "\n".join(line for line in text.splitlines() if not line.startswith(" "))


def _from_data(error: BaseException) -> bool:
    """Whether the error came out of loading data, in this process or in a worker of the data loader."""
    data_modules = ("mmdet/datasets/", "mmcv/transforms/")
    frames = [
        Path(frame.filename).as_posix() for frame in traceback.extract_tb(error.__traceback__)
    ]
    raised_here = any(module in name for module in data_modules for name in frames)
    return raised_here or "in DataLoader worker process" in str(error)
