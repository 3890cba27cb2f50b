"""What people have in the place of images is found before any training, as the job's own reader finds it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Bench, here, run_detboard, variant, wait_until
from mmengine import Config
from PIL import Image
from wandb_file import offline_folders, read_run

from benchmark import ops
from benchmark.data import seen as seen_module
from benchmark.data.check import check
from benchmark.data.dataset import describe
from benchmark.data.decode import Reader, look
from benchmark.data.faults import Fault
from benchmark.data.findings import Findings
from benchmark.errors import UserError

SIZE = (48, 40)
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


def picture() -> Image.Image:
    """Noise, which compresses badly: a file that is cut short lacks pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    return Image.fromarray(pixels)


def encoded(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    (image or picture()).save(file, kind, **options)
    return file.getvalue()


def gray(dtype: type, factor: float) -> Image.Image:
    return Image.fromarray(np.asarray(picture().convert("L")).astype(dtype) * dtype(factor))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "detboard" / "images"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three images a split, each with a box."""
    root = tmp_path / "zoo"
    (root / "images").mkdir(parents=True)
    for split in ("train", "val"):
        names = [f"{split}_{number}.png" for number in range(3)]
        write(root, split, names)
        for name in names:
            picture().save(root / "images" / name)
    return root


def write(root: Path, split: str, names: list[str], size: tuple[int, int] = SIZE) -> None:
    content = {
        "images": [
            {"id": key, "file_name": name, "width": size[0], "height": size[1]}
            for key, name in enumerate(names, start=1)
        ],
        "annotations": [
            {"id": key, "image_id": key, "category_id": 1, "bbox": [4, 4, 20, 20], "area": 400}
            for key in range(1, len(names) + 1)
        ],
        "categories": [{"id": 1, "name": "can"}],
    }
    (root / f"{split}.json").write_text(json.dumps(content))


def checked(root: Path) -> Findings:
    return check(describe(root))


DAMAGED, FOREIGN = "damaged, or no images", "OpenCV, which jobs read with, does not decode"
# By the file's name: what it holds, what the message says of its kind, and of itself.
FAULTY: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "cut.jpg": (lambda: encoded("JPEG")[:-700], DAMAGED, "cut.jpg (JPEG, RGB"),
    "cut.png": (lambda: encoded("PNG")[:-700], DAMAGED, "cut.png (PNG, RGB"),
    "cut.webp": (lambda: encoded("WEBP")[:-700], DAMAGED, "cut.webp"),
    # What Pillow overlooks, and OpenCV does not: the end is missing, a checksum is wrong.
    "endless.png": (lambda: encoded("PNG")[:-12], DAMAGED, "endless.png (PNG, RGB: OpenCV"),
    "page.jpg": (lambda: b"<!DOCTYPE html><p>404", DAMAGED, "begins with b'<!DOCTYPE html><'"),
    "empty.jpg": (lambda: b"", "without content", "empty.jpg"),
    "pointer.png": (POINTER.encode, "'git lfs pull' fetches the images", "pointer.png"),
    "a.tga": (lambda: encoded("TGA"), FOREIGN, "a.tga (TGA, RGB)"),
    "a.ico": (lambda: encoded("ICO", sizes=[SIZE]), FOREIGN, "a.ico (ICO, RGB)"),
    "a.pcx": (lambda: encoded("PCX"), FOREIGN, "a.pcx (PCX, RGB)"),
    "a.dds": (lambda: encoded("DDS"), FOREIGN, "a.dds (DDS, RGB)"),
    "float.tif": (lambda: encoded("TIFF", gray(np.float32, 1)), FOREIGN, "float.tif (TIFF, F)"),
    "other.png": (
        lambda: encoded("PNG", picture().resize((9, 5))),
        "not what the annotations say",
        "other.png is 9x5, annotated as 48x40",
    ),
}
SOUND: dict[str, Callable[[], bytes]] = {
    "cmyk.jpg": lambda: encoded("JPEG", picture().convert("CMYK")),
    "palette.png": lambda: encoded("PNG", picture().convert("P")),
    "alpha.png": lambda: encoded("PNG", picture().convert("RGBA")),
    "gray_alpha.png": lambda: encoded("PNG", picture().convert("LA")),
    "bilevel.png": lambda: encoded("PNG", picture().convert("1")),
    "gray.png": lambda: encoded("PNG", picture().convert("L")),
    "black.png": lambda: encoded("PNG", Image.new("RGB", SIZE)),
    "deep.png": lambda: encoded("PNG", gray(np.uint16, 256)),
    "deep.tif": lambda: encoded("TIFF", gray(np.uint16, 256)),
    "moves.gif": lambda: encoded("GIF", save_all=True, append_images=[picture().rotate(180)]),
    "a.webp": lambda: encoded("WEBP"),
    "a.bmp": lambda: encoded("BMP"),
    "a.jp2": lambda: encoded("JPEG2000"),
    "a.ppm": lambda: encoded("PPM"),
    "png_named.jpg": lambda: encoded("PNG"),
}


def test_data_check_decodes_every_image_and_tells_all_kinds_at_once(data: Path) -> None:
    for name, (content, _, _) in FAULTY.items():
        (data / "images" / name).write_bytes(content())
    for name, sound in SOUND.items():
        (data / "images" / name).write_bytes(sound())
    (data / "images" / "dangling.png").symlink_to("/nowhere/else.png")
    (data / "images" / "round.png").symlink_to("round.png")
    (data / "images" / "folder.png").mkdir()
    os.mkfifo(data / "images" / "pipe.png")
    write(data, "val", [*FAULTY, *SOUND, "dangling.png", "round.png", "folder.png", "pipe.png"])
    done = run_detboard("data", "check", str(data))
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2
    assert done.stderr.splitlines() == errors  # no library speaks between the lines
    expected = {
        **{name: (kind, told) for name, (_, kind, told) in FAULTY.items()},
        "dangling.png": ("lead nowhere", "dangling.png -> /nowhere/else.png"),
        "round.png": ("lead nowhere", "round.png -> round.png"),
        "folder.png": ("cannot be opened", "folder.png: a folder"),
        "pipe.png": ("cannot be opened", "pipe.png: no regular file"),
    }
    all_named = check(describe(data), limit=100).errors
    for name, (kind, told) in expected.items():
        assert any(kind in line and told in line for line in all_named), (name, all_named)
    for name in SOUND:
        assert not any(name in line for line in all_named), all_named
    assert len(errors) == len(all_named) == len({kind for kind, _ in expected.values()})


@pytest.mark.parametrize("backend", ["cv2", "pillow", "tifffile"])
@pytest.mark.parametrize(
    "color_type", ["color", "grayscale", "unchanged", "color_ignore_orientation"]
)
def test_check_says_what_the_reader_of_jobs_says(
    tmp_path: Path, backend: str, color_type: str
) -> None:
    """Everything here, and each EXIF orientation, is read by mmcv's own transform, too."""
    ops.install()
    from mmcv.transforms import LoadImageFromFile

    theirs = LoadImageFromFile(imdecode_backend=backend, color_type=color_type)
    contents = {name: content() for name, content in SOUND.items()}
    contents |= {name: content() for name, (content, _, _) in FAULTY.items()}
    for orientation in (3, 6):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
            contents[f"exif{orientation}.{kind}"] = encoded(kind, exif=exif)
    for name, content in contents.items():
        path = tmp_path / name
        path.write_bytes(content)
        try:
            height, width = theirs({"img_path": str(path)})["img"].shape[:2]
        except Exception:
            found = look(str(path), name, SIZE, Reader(backend, color_type))
            assert isinstance(found, Fault), name
        else:
            found = look(str(path), name, (width, height), Reader(backend, color_type))
            assert not isinstance(found, Fault), (name, found)
            assert not found.turned


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("factor", "warned"), [(1, True), (16, True), (256, False)])
def test_images_that_come_out_nearly_black(
    data: Path, kind: str, factor: int, warned: bool
) -> None:
    (data / "images" / "val_1.png").write_bytes(encoded(kind, gray(np.uint16, factor)))
    found = checked(data)
    assert found.errors == []
    assert ["scaled to 0..255 (1): val_1.png" in told for told in found.warnings] == [True] * warned


def test_row_that_reads_by_pillow_is_checked_by_pillow(tmp_path: Path, data: Path) -> None:
    """A TGA stands in the way of one row, and not of the other."""
    (data / "images" / "train_1.png").write_bytes(encoded("TGA"))

    def by_pillow(content: dict[str, Any]) -> None:
        key = "train_dataloader.dataset.pipeline.0.imdecode_backend"
        content["rows"][1]["set"] = {f"+{key}": "pillow"}

    bench = Bench(data, tmp_path / "results", variant(tmp_path, by_pillow))
    done = bench.here("plan", "--rows", "plain")
    assert done.returncode == 2
    assert "OpenCV, which jobs read with, does not decode" in done.stderr
    done = bench.here("plan", "--rows", "momentum")
    assert done.returncode == 0, done.stderr
    assert "train_1" not in done.stderr


def test_reader_that_jobs_do_not_have_is_refused_by_plan(tmp_path: Path, data: Path) -> None:
    def unknown(content: dict[str, Any]) -> None:
        key = "train_dataloader.dataset.pipeline.0"
        content["rows"][0]["set"] = {f"+{key}.imdecode_backend": "turbojpeg"}
        content["rows"][1]["set"] = {f"+{key}.color_type": "colour"}

    done = Bench(data, tmp_path / "results", variant(tmp_path, unknown)).here("plan")
    assert done.returncode == 2
    assert (
        "LoadImageFromFile.imdecode_backend: 'turbojpeg' reads nothing; allowed: cv2" in done.stderr
    )
    assert "LoadImageFromFile.color_type: 'colour' reads nothing; allowed: color" in done.stderr
    assert "did you mean 'color'" in done.stderr


def test_sweep_decodes_what_no_check_has_seen(tmp_path: Path, data: Path) -> None:
    """Of 45 images, plan looks at a few; the sweep finds the one that is cut, and trains nothing."""
    names = [f"many_{number}.png" for number in range(45)]
    for name in names:
        (data / "images" / name).write_bytes(encoded("PNG"))
    (data / "images" / names[13]).write_bytes(encoded("PNG")[:-700])
    write(data, "train", names)
    bench = Bench(data, tmp_path / "results")
    plan = bench.here("plan", "--rows", "plain")
    assert plan.returncode == 0, plan.stderr
    assert "images have not been decoded yet: the sweep does that" in plan.stdout
    done = bench.here("sweep", "--rows", "plain")
    assert done.returncode == 2
    assert "many_13.png (PNG, RGB" in done.stderr
    assert not list(bench.results.glob("runs/*/log.txt"))


class TestRemembered:
    @pytest.fixture
    def decoded(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The names of the images that are decoded from now on."""
        names: list[str] = []

        def counted(path: str, name: str, *given: Any) -> Any:
            names.append(name)
            return look(path, name, *given)

        monkeypatch.setattr("benchmark.data.pictures.look", counted)
        return names

    def test_only_what_changed_is_decoded_again(self, data: Path, decoded: list[str]) -> None:
        assert checked(data) == Findings([], [])
        assert len(decoded) == 6
        decoded.clear()
        changed = data / "images" / "val_2.png"
        time_of_change = changed.stat().st_mtime_ns
        content = changed.read_bytes()
        changed.write_bytes(content[:-700] + b"\0" * 700)  # of the same size, and of the same date
        os.utime(changed, ns=(time_of_change, time_of_change))
        assert "val_2.png (PNG, RGB" in checked(data).errors[0]
        assert decoded == ["val_2.png"]

    def test_what_is_odd_is_told_again(self, data: Path, decoded: list[str]) -> None:
        (data / "images" / "val_1.png").write_bytes(encoded("PNG", gray(np.uint16, 16)))
        exif = Image.Exif()
        exif[0x0112] = 6
        (data / "images" / "val_2.png").write_bytes(encoded("PNG", exif=exif))
        first = checked(data)
        assert len(first.warnings) == 2
        decoded.clear()
        assert checked(data) == first
        assert decoded == []

    def test_other_size_in_the_annotations_is_noticed(self, data: Path) -> None:
        checked(data)
        write(data, "val", ["val_0.png"], size=(96, 80))
        assert "val_0.png is 48x40, annotated as 96x80" in checked(data).errors[0]

    def test_cache_with_too_little_of_an_image_costs_only_time(
        self, data: Path, cache: Path, decoded: list[str]
    ) -> None:
        checked(data)
        (file,) = cache.iterdir()
        content = json.loads(file.read_text())
        content["images"]["val_1.png"].pop()
        file.write_text(json.dumps(content))
        decoded.clear()
        assert checked(data) == Findings([], [])
        assert decoded == ["val_1.png"]

    @pytest.mark.parametrize("content", [b"", b"[]", b'{"version": 1, "images": {"val_1.png": 3}}'])
    def test_broken_cache_costs_only_time(
        self, data: Path, cache: Path, decoded: list[str], content: bytes
    ) -> None:
        checked(data)
        (file,) = cache.iterdir()
        file.write_bytes(content)
        decoded.clear()
        assert checked(data) == Findings([], [])
        assert len(decoded) == 6

    def test_does_without_a_place(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        assert checked(data) == Findings([], [])

    def test_ctrl_c_keeps_what_was_decoded(
        self, data: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dataset = describe(data)

        def interrupted(path: str, name: str, *given: Any) -> Any:
            if name == "val_1.png":
                raise KeyboardInterrupt
            return look(path, name, *given)

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr("benchmark.data.pictures.look", interrupted)
            check(dataset)
        decoded.clear()
        check(dataset)
        assert set(decoded) <= {"val_1.png", "val_2.png"}
        assert "val_1.png" in decoded

    def test_what_was_longest_unused_goes(
        self, data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(seen_module, "_MOST_FILES", 3)
        cache.mkdir(parents=True)
        for age in range(5):
            (cache / f"old{age}.json").touch()
            os.utime(cache / f"old{age}.json", (1000 - age, 1000 - age))
        checked(data)
        assert {"old0.json", "old1.json"} < {path.name for path in cache.iterdir()}
        assert len(list(cache.iterdir())) == 3


def test_ctrl_c_is_no_traceback(data: Path) -> None:
    """While a hundred links to a picture of 16 million pixels are decoded, which takes many seconds."""
    Image.new("1", (4000, 4000)).save(data / "images" / "0.png")
    for number in range(1, 100):
        os.link(data / "images" / "0.png", data / "images" / f"{number}.png")
    write(data, "val", [f"{number}.png" for number in range(100)], size=(4000, 4000))
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark", "data", "check", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    errors = Path(f"/proc/{process.pid}/fd/2")
    # Decoders speak to standard error, which is closed meanwhile.
    wait_until(lambda: os.readlink(errors) == os.devnull, "the images to be decoded")  # noqa: PTH115
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told == "interrupted: the same command continues where it was\n"


def test_annotation_file_that_is_a_pointer_is_told(data: Path) -> None:
    (data / "train.json").write_text(POINTER)
    with pytest.raises(UserError, match="not JSON: a git-lfs pointer; 'git lfs pull'"):
        describe(data)


def test_scan_is_no_decompression_bomb(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow warns of 89 million pixels, and refuses twice as many; jobs read by OpenCV."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", SIZE[0] * SIZE[1] // 3)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(data / "images" / "val_0.png")
    assert checked(data) == Findings([], [])


def test_image_that_opencv_takes_for_too_large(data: Path) -> None:
    small = encoded("PNG", Image.new("1", (8, 8)))
    header = small[12:16] + (40000).to_bytes(4, "big") * 2 + small[24:29]
    vast = small[:12] + header + zlib.crc32(header).to_bytes(4, "big") + small[33:]
    (data / "images" / "val_0.png").write_bytes(vast)
    (error,) = checked(data).errors
    assert "OpenCV, which jobs read with, takes for too large" in error
    assert error.endswith("(1): val_0.png")


# What people call classes and files, and what the formats on the way make of it where nobody looks.
ODD_NAMES = [
    " red ",
    "red\nbin",
    "{{ fileBasename }}",
    "{{_base_.x}}",
    "a,b|c <b>x</b> </script> & \"q\" 'z' `t` *s* [l](u) \\",
    "per%s $HOME ${x}",
    "éè漢字🗑️\u202ertl",
    "\x1b[31mred\0",
    "a/b",
    "x" * 500,
]
ODD_FILES = [
    "per%20cent%s.png",
    "q'uo\"te.png",
    "co:lon {{x}}.png",
    "new\nline.png",
    "back\\slash.png",
    "sub dir/é🗑️.png",
    "./../images/dots.png",
    "{absolute}/anywhere.png",
]


def odd_data(root: Path) -> Path:
    """Each class in each image, each image under an odd name."""
    folder = root / "odd" / "images"
    folder.mkdir(parents=True)
    for split in ("train", "val"):
        images, annotations = [], []
        for key, name in enumerate(ODD_FILES, start=1):
            folded = name.replace("{absolute}", str(root / "elsewhere"))
            path = folder / folded
            path = path.with_name(f"{split} {path.name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (160, 64), "gray").save(path)
            file = folded.replace(Path(folded).name, path.name)
            images.append({"id": key, "file_name": file, "width": 160, "height": 64})
            for place, category in enumerate(range(1, len(ODD_NAMES) + 1)):
                box = [place * 16, 8, 15, 40]
                annotations.append({"bbox": box, "area": 600, "category_id": category})
                annotations[-1] |= {"id": len(annotations), "image_id": key}
        classes = [{"id": key, "name": name} for key, name in enumerate(ODD_NAMES, start=1)]
        content = {"images": images, "annotations": annotations, "categories": classes}
        (root / "odd" / f"{split}.json").write_text(json.dumps(content))
    return root / "odd"


@pytest.mark.trains
@pytest.mark.slow
def test_odd_names_run_through(tmp_path: Path) -> None:
    def once(content: dict[str, Any]) -> None:
        content["rows"] = content["rows"][:1]
        content["rows"][0]["set"] = {"train_cfg.max_epochs": 1, "train_cfg.val_interval": 1}

    data = odd_data(tmp_path)
    bench = Bench(data, tmp_path / "results", variant(tmp_path, once))
    done = bench.here("sweep", "--wandb", "offline")
    assert done.returncode == 0, done.stderr
    run = bench.folder("plain")
    config = Config.fromfile(run / "config.py")
    assert list(config.train_dataloader.dataset.metainfo.classes) == ODD_NAMES
    assert list(bench.points("plain", "val")[-1]["per_class"]) == ODD_NAMES
    [folder] = offline_folders(run)
    logged = {key for point in read_run(folder).points for key in point}
    assert {f"val/AP50/{name}" for name in ODD_NAMES} <= logged
    listed = {image["file_name"] for image in json.loads((data / "val.json").read_text())["images"]}
    samples = json.loads((run / "samples.json").read_text())
    assert {sample["file"] for sample in samples} <= listed
    assert (bench.results / "tiny.html").exists()
    warnings = [line for line in done.stderr.splitlines() if "warning" in line]
    assert len(warnings) == 2  # of train.json and val.json
    assert all("lie outside of the folder of images (absolute, or" in line for line in warnings)
    next((data / "images").glob("val*")).unlink()
    done = bench.here("sweep", "--wandb", "offline")  # with nothing to do, no image is looked at
    assert done.returncode == 0, done.stderr


def test_names_that_no_file_can_hold_are_refused(tmp_path: Path, data: Path) -> None:
    path = data / "val.json"
    text = path.read_text().replace('"can"', '"ca\\ud83d"').replace("val_1", "val_\\udce91")
    path.write_text(text)
    done = here(["data", "check", str(data)])
    assert done.returncode == 2
    assert "val.json: category names with half of a surrogate pair" in done.stderr
    assert "(1): ca\\ud83d at character 3" in done.stderr
    (data / "train.json").write_text((data / "train.json").read_text().replace("can", "ca"))
    path.write_text(text.replace("ca\\ud83d", "ca"))
    done = Bench(data, tmp_path / "results").here("plan")
    assert done.returncode == 2
    assert "'val_\\udce91.png' has half of a surrogate pair at character 5" in done.stderr


def test_names_that_look_the_same_are_told_apart(data: Path) -> None:
    for split in ("train", "val"):
        content = json.loads((data / f"{split}.json").read_text())
        names = ["can", " can", "bin", "\t"]
        content["categories"] = [{"id": key, "name": name} for key, name in enumerate(names, 1)]
        (data / f"{split}.json").write_text(json.dumps(content))
    first, second, *_ = checked(data).warnings
    assert "names look the same, and are two classes nonetheless (1): 'can' and ' can'" in first
    assert "white space alone (1): '\\t'" in second


@pytest.mark.parametrize(
    ("prefix", "told"),
    [
        ("https://example.org/1/", "fetch"),
        ("images\\", "write /"),
        ("V", "in another case or Unicode form, 'Val_0.png' is there as 'val_0.png'"),
    ],
)
def test_names_of_other_places_are_explained(data: Path, prefix: str, told: str) -> None:
    rest = "al" if prefix == "V" else "val"
    write(data, "val", [f"{prefix}{rest}_{number}.png" for number in range(3)])
    done = here(["data", "check", str(data)])
    assert done.returncode == 2
    assert told in done.stderr


def test_single_names_of_other_places_are_explained(data: Path) -> None:
    (data / "images" / "https:" / "a").mkdir(parents=True)
    picture().save(data / "images" / "https:" / "a" / "b.png")
    (data / "images" / "sub").mkdir()
    picture().save(data / "images" / "sub" / "c.png")
    names = [
        "val_0.png",
        "https://a/b.png",
        "sub\\c.png",
        "no\nsuch.png",
        "VAL_1.png",
        "e\u0301.png",
    ]
    picture().save(data / "images" / "\u00e9.png")
    write(data, "val", names)
    told = "\n".join(checked(data).errors)
    assert "whose 'file_name' is a URL: fetch them, and write their paths (1): https://a/b" in told
    assert "with / in the place of backslashes (1): sub\\c.png" in told
    assert f"images that are not in {data / 'images'} (1): no\\nsuch.png" in told
    assert (
        "another case or Unicode form (2): VAL_1.png (there is val_1.png), e\u0301.png (th" in told
    )


def test_image_that_opencv_decodes_without_colours_is_refused(data: Path) -> None:
    """A job would end in "index 1 is out of bounds"."""
    (data / "images" / "map.pfm").write_bytes(encoded("PPM", gray(np.float32, 1)))
    write(data, "val", ["val_0.png", "map.pfm"])
    (error,) = checked(data).errors
    assert error.endswith("(1): map.pfm (decoded as uint8 of shape (40, 48))")
    assert "OpenCV, which jobs read with, does not decode" in error


def test_boxes_that_exif_leaves_outside_stop_before_any_training(data: Path) -> None:
    """Clipped to the image as it is turned, their width is 0, and the loss infinite."""
    size = (60, 40)
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(3):
        picture().resize(size).save(data / "images" / f"train_{number}.png", exif=exif)
    write(data, "train", [f"train_{number}.png" for number in range(3)], size)
    path = data / "train.json"
    content = json.loads(path.read_text())
    content["annotations"][1]["bbox"] = [42, 4, 15, 20]
    path.write_text(json.dumps(content))
    found = checked(data)
    (error,), (warning,) = found.errors, found.warnings
    assert "boxes of theirs lie outside then: turn the files" in error
    assert error.endswith("(1): train_1.png is 40x60 upright")
    assert "so the boxes may not fit" in warning
    assert "(2): train_0.png is 40x60 upright, train_2.png" in warning


def test_folder_in_another_case_is_named(data: Path) -> None:
    (data / "images" / "Photos").mkdir()
    picture().save(data / "images" / "Photos" / "a.PNG")
    write(data, "val", ["val_0.png", "photos/a.png", "photos/b.png"])
    told = "\n".join(checked(data).errors)
    assert "another case or Unicode form (1): photos/a.png (there is Photos/a.PNG)" in told
    assert f"images that are not in {data / 'images'} (1): photos/b.png" in told


def test_a_folder_of_images_that_cannot_be_looked_into_is_told(data: Path) -> None:
    """As one of another user, or on a mount that is gone: whether the images are there is not known."""
    (data / "images").rename(data / "elsewhere")
    (data / "images").symlink_to("images")
    done = here(["data", "check", str(data)])
    assert done.returncode == 2
    told = f"its images cannot be looked for: {data / 'images'}: Too many levels of symbolic links"
    assert told in done.stderr and "not there" not in done.stderr


def test_name_that_is_too_long_for_a_file_is_told(data: Path) -> None:
    write(data, "val", ["val_0.png", "x" * 300])
    done = here(["data", "check", str(data)])
    assert done.returncode == 2
    assert f"cannot be opened (1): {'x' * 300}: File name too long" in done.stderr
    write(data, "val", ["val_0.png", "x" * 100_000])
    [problem] = checked(data).errors
    assert problem.endswith("x: File name too long") and len(problem) < 1000
    assert "Traceback" not in done.stderr


def test_folder_that_may_not_be_listed_is_read_by_names(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders of mode 711, as of other users of a cluster: a job opens what it knows the name of."""

    def refuse(folder: str) -> None:
        raise PermissionError(13, "Permission denied", folder)

    write(data, "val", ["val_0.png", "gone.png"])
    monkeypatch.setattr("benchmark.data.absent.os.scandir", refuse)
    (error,) = checked(data).errors
    assert error.endswith(f"images that are not in {data / 'images'} (1): gone.png")


def test_report_fits_a_terminal(tmp_path: Path) -> None:
    lines = here(["data", "check", str(odd_data(tmp_path))]).stdout.splitlines()
    table = lines[: next(number for number, line in enumerate(lines) if "published" in line)]
    assert max(len(line) for line in table if " in /" not in line) <= 80
    assert any(line.startswith("  red\\nbin  ") for line in table)
    assert not any("\x1b" in line for line in table)
