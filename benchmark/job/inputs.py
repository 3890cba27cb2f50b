"""What a job reads, held against what was asked: a number must not come from other files than its record names."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from benchmark.config.imports import module_hash, own_module_files
from benchmark.data.annotations import Annotations, stamp
from benchmark.files import is_file, sha256_file
from benchmark.run.contents import named_path
from benchmark.run.fetched.soundness import wrong_digits
from benchmark.run.folder import RunFolder
from benchmark.run.record import Hashes
from benchmark.run.spec import MODULE, RunSpec
from benchmark.writing.addresses import public

_imported: dict[str, tuple[ModuleType | None, str]] = {}
"""The modules beside experiment files that jobs of this process have imported, and the SHA-256 of each, by name."""


class NotAsAsked(Exception):
    """A file is not what the run was planned with."""


@dataclass(frozen=True)
class _Asked:
    """A file that the run reads, and its hash by the plan; None where an earlier version has not noted it."""

    path: Path
    sha256: str | None


class Inputs:
    """The files that a job reads: hashed before they are opened, and again where they have changed since.

    Args:
        spec: What was asked.
        folder: The run's folder.
        trains: Whether the job trains or makes boxes; if not, it reads neither annotations nor weights to start from.
    """

    def __init__(self, spec: RunSpec, folder: RunFolder, trains: bool = True) -> None:
        self._spec = spec
        train, val = spec.dataset.train, spec.dataset.val
        learnt = {
            "train": _Asked(train.annotations, train.sha256 or None),
            "val": _Asked(val.annotations, val.sha256 or None),
        }
        self._own = learnt if trains else {}
        if spec.trains or spec.config_sha256:
            self._own["config"] = _Asked(folder.config_file, spec.config_sha256)
        files = spec.files.items() if trains else ()
        self._named = {text: _Asked(named_path(text), sha) for text, sha in files}
        self._checkpoints = folder.checkpoints
        self._read: dict[Path, tuple[tuple[int, ...], str]] = {}

    def check(self) -> None:
        """Hashes what has not been hashed, or has changed since.

        Raises:
            NotAsAsked: With every file that is gone, or is not what was asked.
        """
        asked = [*self._own.values(), *self._named.values()]
        told = [told for one in asked if (told := self._fault(one, self._hash(one.path)))]
        if told:
            raise NotAsAsked("\n".join(told))

    def note_made(self, path: Path) -> None:
        """Notes a file of the run's own that it has made before it reads it, by its name."""
        self._named[path.name] = _Asked(path, self._hash(path))

    def check_config(self) -> None:
        """Holds ``config.py`` alone against what was asked.

        Raises:
            NotAsAsked: It is another, or is gone.
        """
        asked = self._own["config"]
        if told := self._fault(asked, self._hash(asked.path)):
            raise NotAsAsked(told)

    def check_parsed(self, annotations: Annotations) -> None:
        """Holds the very bytes that the validation was parsed from against what was asked.

        Raises:
            NotAsAsked: They are others.
        """
        if told := self._fault(self._own["val"], annotations.sha256):
            raise NotAsAsked(told)

    def check_modules(self, config: Mapping[str, object]) -> None:
        """Holds the modules that a config has imported from the experiment's folder against what was asked.

        Raises:
            NotAsAsked: With every one that is another, or is gone.
        """
        if self._spec.imports_from is None:
            return
        files = own_module_files(config, Path(self._spec.imports_from))
        found = {name: module_hash(paths) for name, paths in files.items()}
        given = self._spec.given.items()
        asked = {key.removeprefix(MODULE): sha for key, sha in given if key.startswith(MODULE)}
        paths = {name: Path(self._spec.imports_from) / name for name in asked.keys() | found.keys()}
        told = [
            self._fault(_Asked(paths[name], asked.get(name)), found.get(name))
            for name in sorted(paths)
        ]
        told += [_imported_before(paths[name], name, sha) for name, sha in found.items()]
        if faults := [fault for fault in told if fault]:
            raise NotAsAsked("\n".join(faults))

    def _hash(self, path: Path) -> str | None:
        if not is_file(path):
            return None
        now = stamp(path)
        if path not in self._read or self._read[path][0] != now:
            self._read[path] = now, sha256_file(path)
        return self._read[path][1]

    @staticmethod
    def _fault(asked: _Asked, found: str | None) -> str | None:
        if found is not None and asked.sha256 in (None, found):
            return None
        has = "it is gone" if found is None else f"SHA-256 {found} was found"
        return (
            f"{asked.path} is not what this run was planned with: {has}, {asked.sha256} was asked for; "
            "give the command again, which plans anew with what is there, or put the file back first"
        )

    @contextmanager
    def noting_weights(self) -> Iterator[None]:
        """Notes which files of weights are loaded meanwhile, by path or address as the config names them."""
        import torch
        from mmengine.runner.checkpoint import CheckpointLoader

        load, fetch = torch.load, CheckpointLoader.load_checkpoint
        names: list[str] = []  # what is being loaded; an address leads to a file in a cache

        def noted_fetch(filename: str, *args: object, **kwargs: object) -> object:
            names.append(filename)
            try:
                return fetch(filename, *args, **kwargs)
            finally:
                names.pop()

        def noted_load(f: object, *args: object, **kwargs: object) -> object:
            if isinstance(f, str | Path):
                self._note(names[0] if names else str(f), Path(f).absolute())
            return load(f, *args, **kwargs)  # type: ignore[arg-type]

        torch.load, CheckpointLoader.load_checkpoint = noted_load, noted_fetch
        try:
            yield
        finally:
            torch.load, CheckpointLoader.load_checkpoint = load, fetch

    def _note(self, name: str, path: Path) -> None:
        if path.parent != self._checkpoints.absolute() and is_file(path):
            self._named.setdefault(name, _Asked(path, None))
            told = wrong_digits(path.name, self._hash(path) or "") if name != str(path) else None
            if told is not None:
                raise NotAsAsked(f"{path}: {told}; give the command again, which fetches it anew")

    def hashes(self) -> Hashes:
        """Hashes of what was read, as far as it was."""
        own = {name: self._found(asked) for name, asked in self._own.items()}
        named = {text: self._found(asked) for text, asked in self._named.items()}
        files = {public(text): sha for text, sha in named.items() if sha is not None}
        return Hashes(**own, files=files)

    def _found(self, asked: _Asked) -> str | None:
        return self._read[asked.path][1] if asked.path in self._read else None


def _imported_before(path: Path, name: str, sha256: str) -> str | None:
    """Says that an earlier job of this process has imported another module by a name: it is what this one would use."""
    module = sys.modules.get(name)
    known, before = _imported.get(name, (None, sha256))
    if module is None or module is not known or before == sha256:
        _imported[name] = module, sha256
        return None
    return (
        f"{path} is not what this process has imported by this name for an earlier run (SHA-256 {before}): give the "
        "command again in a process of its own, or with another --launcher"
    )
