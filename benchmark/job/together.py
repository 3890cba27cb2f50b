"""torchrun, but it ends with the status of the process that has ended it, where that says why."""

from __future__ import annotations

import os
import sys

from benchmark.job.several import GONE, TOLD

_TELLING = (os.EX_IOERR, TOLD, GONE)


def main() -> None:
    """Runs torchrun with this command line.

    It ends with `os.EX_IOERR`, or a status of `benchmark.job.several`, if one of its processes did.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    try:
        torchrun()
    except ChildFailedError as error:
        found = {failure.exitcode for failure in error.failures.values()}
        for status in _TELLING:
            if status in found:
                sys.exit(status)
        raise


if __name__ == "__main__":
    main()
