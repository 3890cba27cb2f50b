"""Answers about annotation files that are remembered as long as the file stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue, TypeAdapter

from benchmark.data.annotations import Annotations, Images, read_annotations, stamp
from benchmark.files import read_bytes, write_json

_FROM_BYTES = 1 << 20  # reading a smaller file is as quick as looking it up
_VERSION = 2

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class _Known:
    """Answers by question, as long as the file's stamp is this one."""

    stamp: tuple[int, ...]
    answers: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class _Content:
    """What is known of each annotation file, by its path."""

    version: int
    files: dict[str, _Known]


_CONTENT = TypeAdapter(_Content)


@dataclass(frozen=True)
class _Images:
    """The columns of `benchmark.data.annotations.Images` as plain values."""

    ids: list[int]
    files: list[str]
    width: list[int]
    height: list[int]
    faults: list[str]
    names: list[str]

    @classmethod
    def of(cls, annotations: Annotations) -> _Images:
        images = annotations.images
        numbers = (images.ids, images.width, images.height)
        ids, width, height = (column.tolist() for column in numbers)
        # Names are the files of the columns unless an entry is left out of these.
        names = images.names if images.faults else []
        return cls(ids, images.files, width, height, images.faults, names)

    def columns(self) -> Images:
        import numpy as np

        numbers = (self.ids, self.width, self.height)
        ids, width, height = (np.array(column, np.int64) for column in numbers)
        names = self.names if self.faults else self.files
        return Images(ids, self.files, width, height, self.faults, names)


@dataclass(frozen=True)
class Memory:
    """Saves reading large annotation files again for what was asked of them before.

    Attributes:
        file: Where answers are kept; it is made where it is missing, and may be deleted. None keeps nothing.
    """

    file: Path | None = None

    def answer(
        self,
        path: Path,
        question: str,
        kind: type[_Answer],
        find: Callable[[Annotations], _Answer],
        of_images: bool = False,
    ) -> _Answer:
        """What ``find`` says of an annotation file, or said when the file was as it is now.

        Args:
            path: The annotation file.
            question: Names what is asked, with all that the answer depends on beside the file: the version of the
                rule, too, so that another rule is asked anew.
            kind: What the answer is; pydantic writes and reads it as JSON.
            find: Finds the answer.
            of_images: Whether the file may list images alone, see `read_annotations`.

        Raises:
            UserError: The file cannot be read, or is not in COCO's form.
        """
        now = stamp(path)
        if of_images:  # what may lack more is another question
            question = f"{question} of images"
        if self.file is None or now[0] < _FROM_BYTES:
            return find(read_annotations(path, of_images))
        adapter: TypeAdapter[_Answer] = TypeAdapter(kind)
        known = self._read().get(str(path))
        if known is not None and known.stamp == now and question in known.answers:
            with suppress(ValueError):
                return adapter.validate_python(known.answers[question])
        found = find(read_annotations(path, of_images))
        # A folder that cannot be written is told by whoever needs it; text that is not Unicode by the check.
        with suppress(OSError, ValueError):
            self._keep(path, now, question, adapter.dump_python(found, mode="json"))
        return found

    def images(self, path: Path, of_images: bool = False) -> Images:
        """The images that an annotation file lists; ``of_images`` as of `read_annotations`.

        Raises:
            UserError: The file cannot be read, or is not in COCO's form.
        """
        return self.answer(path, "images/1", _Images, _Images.of, of_images).columns()

    def _keep(self, path: Path, now: tuple[int, ...], question: str, answer: JsonValue) -> None:
        assert self.file is not None
        files = self._read()
        known = files.get(str(path))
        answers = known.answers if known is not None and known.stamp == now else {}
        content = _Content(
            _VERSION, {**files, str(path): _Known(now, {**answers, question: answer})}
        )
        write_json(self.file, _CONTENT.dump_python(content, mode="json"), indent=None)

    def _read(self) -> Mapping[str, _Known]:
        assert self.file is not None
        return _read(self.file, stamp(self.file))


@lru_cache(maxsize=1)
def _read(file: Path, _stamp: tuple[int, ...]) -> Mapping[str, _Known]:
    try:
        content = _CONTENT.validate_json(read_bytes(file))
    except (OSError, ValueError):
        return {}  # it only saves time: the annotation files hold all that it does
    return content.files if content.version == _VERSION else {}
