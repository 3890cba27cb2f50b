"""What lies beside a leaderboard's files: the README that may show it, and what killed processes have left."""

from __future__ import annotations

from pathlib import Path

from benchmark.files import remove_leftovers


def readme_beside(results: Path) -> Path:
    """The README that may hold the table: the one beside the results folder, or what that links to."""
    return (results.resolve().parent / "README.md").resolve()


def remove_leftovers_of_boards(results: Path) -> None:
    """Removes temporary files of boards and of the README, which killed processes have left."""
    readme = readme_beside(results)
    remove_leftovers(results)
    remove_leftovers(readme.parent, readme.name)
