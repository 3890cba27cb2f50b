"""A test split: found beside train and val, checked, and told what is wrong with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import here, variant
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.data.dataset import Dataset, describe, describe_source
from benchmark.errors import UserError
from benchmark.experiment.experiment import load_experiment

PARTS = {"backbone": "tiny", "neck": "tiny", "head": "tiny", "schedule": "tiny"}


@pytest.fixture
def data(synthetic_data: Path, tmp_path: Path) -> Path:
    """A copy of the synthetic data whose last four validation images are the test split."""
    folder = tmp_path / "data"
    shutil.copytree(synthetic_data, folder)
    val = json.loads((folder / "val.json").read_text())
    split = {"val.json": val["images"][:8], "test.json": val["images"][8:]}
    for name, images in split.items():
        ids = {image["id"] for image in images}
        boxes = [box for box in val["annotations"] if box["image_id"] in ids]
        (folder / name).write_text(json.dumps({**val, "images": images, "annotations": boxes}))
    return folder


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def checked(folder: Path) -> str:
    done = CliRunner().invoke(app, ["data", "check", str(folder)])
    if isinstance(done.exception, UserError):  # worded by `main`, which is not here
        return done.output + str(done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.output


def of_experiment(folder: Path, **dataset: Any) -> Dataset:
    """The data that an experiment file in ``folder`` names."""
    path = folder / "mine.yaml"
    path.write_text(
        yaml.safe_dump({"dataset": dataset, "rows": [{"name": "plain", "parts": PARTS}]})
    )
    return describe_source(load_experiment(path).dataset, folder)


class TestFound:
    def test_beside_train_and_val_of_a_folder(self, data: Path) -> None:
        found = describe(data)
        assert found.test is not None
        assert found.test.labelled
        assert found.test.annotations == data / "test.json"
        assert len(found.test.read().images) == 4

    def test_is_no_part_of_what_makes_two_data_sets_the_same(self, data: Path) -> None:
        before = describe(data)
        (data / "test.json").unlink()
        after = describe(data)
        assert after.test is None
        assert after.hashes == before.hashes

    def test_one_that_an_experiment_names_and_that_is_not_there(self, data: Path) -> None:
        (data / "kept").mkdir()
        (data / "test.json").rename(data / "kept" / "hidden.json")
        with pytest.raises(UserError) as told:
            of_experiment(
                data, root=".", test={"annotations": "kept/test.json", "images": "images"}
            )
        said, remedy = str(told.value).splitlines()
        assert said.endswith("no such annotation file; there is hidden.json")
        assert "leave 'test' out" in remedy

    def test_by_the_paths_of_an_experiment_in_place_of_the_folder_s(self, data: Path) -> None:
        shutil.copy(data / "test.json", data / "held_out.json")
        paths = {"annotations": "data/held_out.json", "images": "data/images"}
        found = of_experiment(data.parent, root="data", test=paths)
        assert found.test is not None
        assert found.test.annotations == data / "held_out.json"
        split = {
            k: {"annotations": f"data/{k}.json", "images": "data/images"} for k in ("train", "val")
        }
        assert of_experiment(data.parent, **split, test=paths).test == found.test
        assert of_experiment(data.parent, **split).test is None

    def test_of_images_alone(self, data: Path) -> None:
        changed(data / "test.json", lambda content: content.pop("annotations"))
        with_classes = describe(data).test
        changed(data / "test.json", lambda content: content.pop("categories"))
        without = describe(data).test
        for found in (with_classes, without):
            assert found is not None
            assert not found.labelled
            assert len(found.read().images) == 4
            assert len(found.read().boxes.ids) == 0

    def test_of_a_folder_of_images(self, data: Path) -> None:
        names = [
            image["file_name"] for image in json.loads((data / "test.json").read_text())["images"]
        ]
        folder = data.parent / "secret" / "deeper"
        folder.mkdir(parents=True)
        for name in names:
            shutil.copy(describe(data).test.images / name, folder / Path(name).name)  # type: ignore[union-attr]
        (folder / "notes.txt").write_text("no image")
        (folder / ".hidden.png").write_bytes(b"")
        found = of_experiment(data.parent, root="data", test={"images": "secret"}).test
        assert found is not None
        assert not found.labelled
        held = found.read().images
        assert held.files == sorted(f"deeper/{Path(name).name}" for name in names)
        assert held.ids.tolist() == [1, 2, 3, 4]
        assert {*held.width.tolist()} <= set(range(1, 113))
        (folder / Path(names[0]).name).unlink()
        after = of_experiment(data.parent, root="data", test={"images": "secret"}).test
        assert after is not None
        assert after.sha256 != found.sha256


class TestRefused:
    def test_other_categories(self, data: Path) -> None:
        changed(data / "test.json", lambda c: c["categories"][0].update(name="Another"))
        with pytest.raises(UserError, match="train and test must list the same categories"):
            describe(data)

    def test_the_very_file_of_val(self, data: Path) -> None:
        shutil.copy(data / "val.json", data / "test.json")
        with pytest.raises(UserError, match=r"test split is the same file as val"):
            describe(data)

    @pytest.mark.parametrize("text", ["{", "[]", '{"images": []}'])
    def test_one_that_happens_to_lie_there_may_be_moved_away(self, data: Path, text: str) -> None:
        (data / "test.json").write_text(text)
        with pytest.raises(UserError, match=r"mend it, or move it away to do without"):
            describe(data)
        named = {"annotations": "data/test.json", "images": "data/images"}
        with pytest.raises(UserError, match=r"mend it, or leave 'test' out to do without"):
            of_experiment(data.parent, root="data", test=named)

    def test_one_whose_images_are_not_there(self, data: Path) -> None:
        changed(data / "test.json", lambda c: [i.update(file_name="no.png") for i in c["images"]])
        with pytest.raises(UserError, match=r"not there: no\.png[^$]*move it away to do without"):
            describe(data)

    def test_a_link_to_nothing_is_no_data_without_a_test_split(self, data: Path) -> None:
        (data / "test.json").unlink()
        (data / "test.json").symlink_to("not_mounted.json")
        with pytest.raises(
            UserError, match=r"a link to not_mounted\.json, which is not there\n  mend it"
        ):
            describe(data)

    def test_all_problems_at_once(self, data: Path) -> None:
        (data / "test.json").write_text("{")
        (data / "val.json").write_text("[]")
        with pytest.raises(UserError) as told:
            describe(data)
        assert [problem.split(": ")[0] for problem in told.value.problems] == [
            str(data / "val.json"),
            str(data / "test.json"),
        ]

    def test_an_empty_folder(self, data: Path) -> None:
        (data.parent / "secret").mkdir()
        with pytest.raises(UserError, match="there is no image in it"):
            of_experiment(data.parent, root="data", test={"images": "secret"})


class TestChecked:
    def test_counts_stand_beside_those_of_the_other_splits(self, data: Path) -> None:
        lines = [line.split() for line in checked(data).splitlines()]
        assert next(line for line in lines if line[:1] == ["test"])[:3] == ["test", "4", "images"]
        titles = ["class", "train", "learnt", "val", "counted", "test", "test,", "counted"]
        assert titles in lines
        total = len(json.loads((data / "test.json").read_text())["annotations"])
        rows = lines[lines.index(titles) + 1 :]
        shown = [int(line[-2]) for line in rows[:10]]
        assert sum(shown) == total

    def test_of_images_alone_says_what_becomes_of_them(self, data: Path) -> None:
        changed(data / "test.json", lambda content: content.update(annotations=[]))
        assert "boxes are predicted, and not evaluated" in checked(data)

    def test_images_that_are_in_train_too(self, data: Path) -> None:
        train = json.loads((data / "train.json").read_text())["images"][0]["file_name"]
        folder = describe(data).train.images
        (folder / "copy").mkdir()
        shutil.copy(folder / train, folder / "copy" / "renamed.png")
        changed(data / "test.json", lambda c: c["images"][0].update(file_name="copy/renamed.png"))
        told = checked(data)
        assert (
            "images that are in train too: what is measured on test was seen in training (1): copy/renamed.png"
            in told
        )
        assert "images that are in val too" not in told

    def test_a_damaged_image(self, data: Path) -> None:
        test = describe(data).test
        assert test is not None
        (test.images / test.read().images.files[1]).write_bytes(b"no image")
        assert f"{data / 'test.json'}: image files that are damaged" in checked(data)


def test_a_split_that_the_experiment_names_is_left_aside_with_a_word(
    data: Path, tmp_path: Path
) -> None:
    """The folder of ``--data-root`` stands in the place of all that ``dataset`` says."""
    (data / "test.json").rename(tmp_path / "held-out.json")
    test = {"annotations": "held-out.json", "images": "data/images"}
    experiment = variant(tmp_path, lambda e: e.update(dataset={"test": test}))
    told = "'test' under 'dataset' is left aside, for --data-root stands in the place"
    options = [str(experiment), "--data-root", str(data), "--results", str(tmp_path / "results")]
    assert f"warning: {told}" in here(["plan", *options]).stderr
    refused = here(["submit", *options, "plain", "--format", "csv"])
    assert "error: data has no test split" in refused.stderr and told in refused.stderr
