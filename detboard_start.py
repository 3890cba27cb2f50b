"""The first module of DetBoard's processes: whatever lies about, `benchmark` is the package that lies beside this file.

Python takes the first `benchmark` that it finds on its path, and many a project has a file or a folder of that name.
Nobody else has one of this name. The command ``detboard`` begins here, and so do jobs: a forkserver imports it first,
and ``python detboard_start.py torchrun|job|probe|draw ...`` runs it.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def _load_package() -> None:
    package = Path(__file__).absolute().parent / "benchmark"
    places = [str(package)]
    spec = spec_from_file_location(
        "benchmark", package / "__init__.py", submodule_search_locations=places
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{package}: no package")
    sys.modules["benchmark"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)


def main() -> None:
    """The command ``detboard``."""
    from benchmark import process

    process.run(_command)


def _command() -> None:
    from benchmark.cli import main as command

    command()


def torchrun() -> None:
    """The command ``torchrun`` of torch, see `benchmark.job.together`."""
    from benchmark.job.together import main as command

    command()


def job() -> None:
    """The process of a job that is a command."""
    from benchmark.garbage import collect_seldom

    collect_seldom()  # until it trains
    from benchmark.launchers.child import main as command

    command()


def probe() -> None:
    """The process that tells a plan what backbones give."""
    from benchmark.garbage import collect_seldom

    collect_seldom()
    from benchmark.config.replace.probe import main as command

    command()


def draw() -> None:
    """The process that draws plots beside a report."""
    from benchmark.garbage import collect_seldom

    collect_seldom()
    from benchmark.leaderboard.aside import main as command

    command()


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file, which is among installed packages at its own place
if "benchmark" not in sys.modules:
    _load_package()
from benchmark.start import own_modules_first  # noqa: E402 - of the package that was just loaded

own_modules_first()
if __name__ == "__main__":
    {"torchrun": torchrun, "job": job, "probe": probe, "draw": draw}[sys.argv.pop(1)]()
