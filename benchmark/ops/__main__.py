"""``python -m benchmark.ops SCRIPT [ARGUMENTS]``: runs a script with the operators installed."""

import sys

from benchmark.ops import main

main(sys.argv[1:])
