"""Jobs that end before DetBoard begins in them: where that comes from, and what to do, as far as their log tells."""

from __future__ import annotations

import re

from benchmark.errors import printable
from benchmark.files import end_of
from benchmark.run.address import read_address
from benchmark.run.folder import RunFolder

_LINES = 10
# Between a job's beginning and the moment in which its number is noted.
_MOMENT_S = 5.0
_CHARACTERS = 4000
_MODULE = (
    "a batch job reads no .bashrc, which defines 'module': begin the lines of 'cluster: setup' with 'source "
    "/etc/profile.d/modules.sh', or what your site has for it"
)
_SETUP = "look at the lines of 'cluster: setup', of the experiment and of the site's file"
_ENVIRONMENT = (
    "the node has not the environment that the driver runs in: put it where all nodes see it, or have a line of "
    "'cluster: setup' make it"
)
_SHARED = "give --results a folder on the file system that all nodes share"
_FOLDER = (
    f"its log was not made: the node does not see the run folder, or may not write there; {_SHARED}"
)
_STORE = (
    "it has put nothing into the store: see that its node reaches that, with credentials in its environment, and has "
    "installed what 'cluster: store' takes"
)
_REFUSED = "the scheduler did not take it: look at the keys of 'cluster', of the experiment and of the site's file"
_ROOM = "make room there, or use another folder"
# What logs say, the first that is found; causes stand before what follows from them.
_KNOWN = (
    (r"this node does not see", _SHARED),
    (r"this node has no", _ENVIRONMENT),
    (r"time limit is too short", "ask for more time: 'cluster: time'"),
    (r"No space left on device|Disk quota exceeded", _ROOM),
    (r"\b(module|ml): (command )?not found", _MODULE),
    (r"ModuleNotFoundError|ImportError|GLIBC|cannot open shared object", _ENVIRONMENT),
    (
        r"(python\S*|activate|conda|detboard\S*): ?(command not found|not found|No such file)",
        _ENVIRONMENT,
    ),
    (r"can't open file|No module named", _ENVIRONMENT),
    (r"command not found|No such file or directory|Permission denied", _SETUP),
)


def log_tail(folder: RunFolder) -> list[str]:
    """The last lines that a folder's last job has logged, as a terminal may show them; none where it has not."""
    if not _has_logged(folder):
        return []
    lines = end_of(folder.log_file, _CHARACTERS).splitlines()
    return [printable(line)[:200] for line in lines if line.strip()][-_LINES:]


def remedy(folder: RunFolder, said: str) -> str:
    """What to do about a job that has ended before DetBoard began in it.

    Args:
        folder: Its run's.
        said: How it ended, in its launcher's words.
    """
    if refused(folder):
        return _REFUSED
    text = "\n".join([*log_tail(folder), said])
    no_log = _STORE if folder.store_file.exists() else _FOLDER
    otherwise = _SETUP if _has_logged(folder) else no_log
    return next((do for words, do in _KNOWN if re.search(words, text)), otherwise)


def refused(folder: RunFolder) -> bool:
    """Whether its scheduler has not taken a run's last job."""
    address = read_address(folder)
    return address is not None and not address.job


def _has_logged(folder: RunFolder) -> bool:
    """Whether the log is the last job's: a run that goes on has one of earlier ones."""
    try:
        logged = folder.log_file.stat().st_mtime
        return logged > folder.job_file.stat().st_mtime - _MOMENT_S
    except OSError:
        return folder.log_file.exists()
