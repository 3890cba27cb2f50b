"""Weights that configs name by an address: which file each is, whether it is on this machine, and how it comes here."""

from benchmark.models import file_name
from benchmark.run.fetched.needs import Need, needs_of, to_fetch
from benchmark.run.fetched.places import find, hub

__all__ = ["Need", "file_name", "find", "hub", "needs_of", "to_fetch"]
