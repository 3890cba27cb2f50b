"""Which annotation files and images a config's own data sets name: the data set's, a placeholder for them, or others.

A part is written for no data set, so what it names is mostly a placeholder: an empty text or one letter, the names of
DetBoard's own parts (``train.json``, ``images/``), or those of a data set of mmdet's configs (``data/coco/``). The
data set's own files take their place. A file of another name that is there is somebody's own, and is kept; one that
is not there is refused.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.config.tree import Config, leaves
from benchmark.data.dataset import Dataset, Split
from benchmark.errors import few

# What mmdet's own data sets and configs call their folder; never one of somebody's own.
_OF_MMDET = (
    "coco COCO2017 lvis_v0.5 lvis_v1 cityscapes VOCdevkit VOC07-det VOC12-det WIDERFace objects365v1 objects365v2 "
    "Objects365 OpenImages V3Det DeepFashion ADEChallengeData2016 iSAID crowdhuman CrowdHuman RTTS RUOD cat odinw "
    "brain_tumor_v2 people_in_painting_v2 flickr30k_entities gqa"
)
_ROOTS_OF_MMDET = tuple(f"data/{name}/" for name in _OF_MMDET.split())
_FILES_OF_COCO = {
    "train": ("annotations/instances_train2017.json",),
    "val": ("annotations/instances_val2017.json", "annotations/image_info_test-dev2017.json"),
}
_FILES = {
    "train": {"", "train.json", *_FILES_OF_COCO["train"]},
    "val": {"", "val.json", *_FILES_OF_COCO["val"]},
    "test": {"", "val.json", "test.json", *_FILES_OF_COCO["val"]},
}
_FOLDERS = {"", ".", "images", "train", "val", "test", "train2017", "val2017", "test2017"}


@dataclass(frozen=True)
class Source:
    """An annotation file and the images that go with it.

    Attributes:
        annotations: Path of the file.
        images: Folder that the ``file_name`` of an image is relative to.
        own: Whether it is another than the data set's file for this purpose.
    """

    annotations: Path
    images: Path
    own: bool = False


class RefusedError(Exception):
    """Says why a name can be neither filled in nor kept, and what to do."""


class Looks:
    """How often it was looked on the disk for what a name in a config stands for: another time it may be another."""

    count = 0


@dataclass(frozen=True)
class Names:
    """What names in a config stand for.

    Attributes:
        dataset: The experiment's.
        folder: Of the experiment file.
        use: ``train``, ``val`` or ``test``.
    """

    dataset: Dataset
    folder: Path
    use: str

    @property
    def split(self) -> Split:
        """The data set's own."""
        return self.dataset.train if self.use == "train" else self.dataset.val

    def source(self, leaf: Config) -> Source:
        """The file and the images that a data set in a config is to read.

        Raises:
            RefusedError: It names what is not there, or what may not be used for this.
        """
        name, root = _text(leaf, "ann_file"), _text(leaf, "data_root")
        path = self.file(name, root)
        if path != self.split.annotations:
            self._check_classes(leaf)
            return Source(path, self._images(leaf, path), own=True)
        if not _is_of_mmdet(root, name):
            self._check_classes(leaf)
            self._check_images(leaf)
        return Source(path, self.split.images)

    def file(self, name: str, root: str = "") -> Path:
        """The annotation file that a name stands for.

        Raises:
            RefusedError: It is not there, or may not be used for this.
        """
        ours = self.split.annotations
        if self.is_placeholder(name, root) or Path(root, name) == ours:
            return ours
        path = self._found(root, name)
        # Of a divided data set the whole file stands for the part: it holds what the part is validated on.
        whole = self.dataset.fold.whole.annotations if self.dataset.fold else ours
        if path in (ours.resolve(), whole.resolve()):
            return ours
        if self.use == "val":
            raise RefusedError(
                f"{name} is not what every row is validated on, {ours}; leave it out, or name the file under the "
                "experiment's 'dataset' (val: {annotations, images})"
            )
        if self.use == "train" and path == self.dataset.val.annotations.resolve():
            raise RefusedError(
                f"{name} is what the runs are validated on, so that training on it makes their scores worthless; "
                "leave it out"
            )
        return path

    def is_placeholder(self, name: str, root: str) -> bool:
        """Whether an annotation file's name stands for the data set's own."""
        if _is_of_mmdet(root, name):
            return True
        return not root.strip("./") and (len(name) == 1 or name in _FILES[self.use])

    def _found(self, root: str, name: str) -> Path:
        Looks.count += 1
        places = [place / root / name for place in self._places(root)]
        found = [place for place in places if place.is_file()]
        if self.dataset.is_absent and not found:
            return places[0]
        if not found:
            looked = ", nor ".join(str(place) for place in dict.fromkeys(places))
            usual = "train.json" if self.use == "train" else "val.json"
            raise RefusedError(
                f"there is no {looked}; name a file that is there, or write {usual} for the data set's own"
            )
        return found[0].resolve()

    def _places(self, root: str) -> list[Path]:
        """Folders that a relative name is looked up in: the data's, then the experiment's; never the current one."""
        if root.startswith("~"):
            return [Path(root).expanduser()]
        return list(dict.fromkeys([self.split.annotations.parent, self.folder]))

    def _images(self, leaf: Config, annotations: Path) -> Path:
        """The images' folder of an own file."""
        Looks.count += 1
        root, prefix = _text(leaf, "data_root"), _prefix(leaf)
        if not root and _is_usual(prefix):
            found = annotations.parent / prefix
            return found if prefix and found.is_dir() else self.split.images
        places = [place / root / prefix for place in (*self._places(root), annotations.parent)]
        return next((place.resolve() for place in places if place.is_dir()), places[0])

    def _check_images(self, leaf: Config) -> None:
        """The data set's annotations with the images of another folder would be another data set under its name."""
        prefix, ours = _prefix(leaf), self.split.images
        if _is_usual(prefix) or Path(prefix) == ours:
            return
        Looks.count += 1
        if ours.resolve() not in [(place / prefix).resolve() for place in self._places("")]:
            raise RefusedError(
                f"the images of data_prefix {prefix!r} are not those of the data set, {ours}; leave it out, or name "
                f"the folder under the experiment's 'dataset' ({self.use}: {{annotations, images}})"
            )

    def _check_classes(self, leaf: Config) -> None:
        given = (leaf.get("metainfo") or {}).get("classes")
        if given is not None and tuple(given) != self.dataset.classes:
            raise RefusedError(
                f"metainfo.classes are others than the data set's, {few(self.dataset.classes)}; leave it out: every "
                "class is learnt"
            )


def _is_of_mmdet(root: str, name: str) -> bool:
    return str(Path(root, name)).startswith(_ROOTS_OF_MMDET)


def _text(leaf: Config, key: str) -> str:
    return str(leaf.get(key) or "")


def _prefix(leaf: Config) -> str:
    """The folder of a leaf's images, without the slash at its end."""
    prefix = leaf.get("data_prefix")
    values = prefix if isinstance(prefix, dict) else {"img": prefix}
    first = next((values[key] for key in ("img", "img_path", "image") if values.get(key)), "")
    return str(first).rstrip("/") if len(str(first)) > 1 else str(first)


def _is_usual(prefix: str) -> bool:
    return len(prefix) <= 1 or prefix in _FOLDERS


def own_files(config: Config, names: Names) -> set[Path]:
    """Files beside the data set's own that are there, and that a config, not yet filled in, would train on."""
    found = set()
    for leaf in leaves(config.get("train_dataloader")):
        with suppress(RefusedError):
            source = names.source(leaf.node)
            found |= {source.annotations} if source.own and source.annotations.is_file() else set()
    return found


def own_data(config: Config, dataset: Dataset) -> dict[str, Dataset]:
    """The data set with each file in turn that a composed config trains on beside the data set's own.

    Returns:
        By the key path of what reads the file. The hash of the file is left empty.
    """
    found = {}
    # Val is among what is trained on where a row says so: by `train_on: all`, which alone may.
    usual = {str(dataset.train.annotations), str(dataset.val.annotations)}
    for leaf in leaves(config.get("train_dataloader"), ("train_dataloader",)):
        name = leaf.node["ann_file"]
        if name in usual:
            continue  # as most are, of a thousand rows
        path = Path(name)
        if path != dataset.train.annotations:
            split = Split(path, Path(leaf.node["data_prefix"]["img"]), sha256="")
            found[leaf.key] = replace(dataset, train=split)
    return found
