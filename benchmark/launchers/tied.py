"""What a forkserver imports first: it ends with its driver at once, whatever it is importing by then.

Else it would load torch to the end before it looked, for many seconds, and hold the driver's standard output open. Its
jobs notice by themselves that the driver is gone.
"""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # of Linux: prctl(2)

_driver = os.getppid()
ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != _driver:
    os._exit(0)  # it was gone before
