"""What a machine knows of a run's folder that it has put into a store: ``store.json`` in the folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from benchmark.files import read_json, write_json
from benchmark.run.folder import RunFolder


@dataclass(frozen=True)
class Sent:
    """What this machine knows of a run's folder in a store: ``store.json``.

    Attributes:
        store: Which store.
        run: The run's key there.
        number: The holder's number under which it was sent, see `benchmark.launchers.mirror.turn`.
        files: What was sent: what the job does without at its end is to go here, too.
        home: Whether all that the jobs came to was brought home since.
    """

    store: str
    run: str
    number: int
    files: tuple[str, ...] = ()
    home: bool = False

    def note(self, folder: RunFolder) -> None:
        """Writes it into the run's folder, atomically."""
        write_json(folder.store_file, asdict(self), indent=None)


def read_sent(folder: RunFolder) -> Sent | None:
    """What was sent of a run's folder; None of one that was not, or that had another id then."""
    try:
        content = read_json(folder.store_file)
        found = Sent(**{**content, "files": tuple(content["files"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.run.endswith(f"/{folder.path.name}") else None
