"""Ways to start a job. A new one is one module and one line in `LAUNCHERS`."""

from __future__ import annotations

import importlib

from benchmark.errors import UserError, allowed
from benchmark.launchers.base import Job, Launcher

__all__ = ["LAUNCHERS", "Job", "Launcher", "make_launcher"]

LAUNCHERS = {
    "local": "benchmark.launchers.local:LocalLauncher",
    "inprocess": "benchmark.launchers.inprocess:InProcessLauncher",
}


def make_launcher(name: str) -> Launcher:
    """Makes the launcher called ``name``; its module is imported only now.

    Raises:
        UserError: No launcher has that name.
    """
    if name not in LAUNCHERS:
        raise UserError(f"--launcher {name}: no such launcher; {allowed(name, LAUNCHERS)}")
    module, _, attribute = LAUNCHERS[name].partition(":")
    launcher: Launcher = getattr(importlib.import_module(module), attribute)()
    return launcher
