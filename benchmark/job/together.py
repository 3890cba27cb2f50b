"""torchrun, but where a file system has stopped one of its processes it ends with that process's status."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Runs torchrun with this command line; it ends with `os.EX_IOERR` if one of its processes did."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    try:
        torchrun()
    except ChildFailedError as error:
        if os.EX_IOERR in {failure.exitcode for failure in error.failures.values()}:
            sys.exit(os.EX_IOERR)
        raise


if __name__ == "__main__":
    main()
