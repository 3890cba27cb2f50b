"""Where decoded images are kept: memory that goes with its processes, and a folder; their limits and their damages."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from mmap import ALLOCATIONGRANULARITY
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command import Bench, variant
from stores import store_of

from benchmark.experiment.cache import ImageCache
from benchmark.job.decoded import arena, folder
from benchmark.job.decoded import store as store_module
from benchmark.job.decoded.arena import Arena, make_arena, open_arena
from benchmark.job.decoded.entry import Picture
from benchmark.job.decoded.folder import Folder
from benchmark.job.decoded.opening import memory_for, use
from benchmark.job.decoded.store import Store
from benchmark.job.decoded.transforms import ask
from benchmark.launchers.local import LocalLauncher
from benchmark.run.devices import Room
from benchmark.run.options import Caching
from benchmark.sweep.caching import caching

PHOTOS = os.environ.get("DETBOARD_TEST_DATA")
KEY, OTHER = bytes(range(32)), bytes(32)
GREY = Picture(np.arange(12, dtype=np.uint8).reshape(3, 4), (6, 8))

pytestmark = pytest.mark.usefixtures("roomy_disk")


@pytest.fixture(autouse=True)
def _asked_no_more() -> Iterator[None]:
    yield
    ask(None)


def _pixels(*shape: int) -> Any:
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


# ---- the two stores


def test_a_picture_comes_back_as_it_was_put(store: Store) -> None:
    for number, dtype in enumerate(("u1", "<u2", ">u2", "<f4", "<f8", "i1")):
        for shape in ((3, 4), (3, 4, 1), (5, 4, 3)):
            key = bytes([number, len(shape), shape[-1]]).ljust(32)
            pixels = np.asfortranarray(_pixels(*shape).astype(dtype))
            assert store.get(key) is None
            store.put(key, Picture(pixels, (6, 8, 3)))
            found = store.get(key)
            assert found is not None and found.decoded == (6, 8, 3)
            assert found.pixels.dtype == np.dtype(dtype) and np.array_equal(found.pixels, pixels)
            assert store.get(OTHER) is None
    for pixels in (np.zeros((0, 4), np.uint8), np.zeros(3, np.uint8), np.array([[object()]])):
        store.put(OTHER, Picture(pixels, (6, 8)))
        assert store.get(OTHER) is None


@pytest.mark.parametrize("side", [8, 1200])
def test_what_is_handed_out_may_be_written_to(store: Store, side: int) -> None:
    store.put(KEY, Picture(_pixels(side, side), (side, side)))
    for _ in range(2):
        found = store.get(KEY)
        assert found is not None and np.array_equal(found.pixels, _pixels(side, side))
        found.pixels[...] = 0


def test_letting_go_of_an_image_unlocks_nothing() -> None:
    kept = make_arena(1 << 24)
    kept.put(KEY, Picture(_pixels(1200, 1200), (1200, 1200)))
    found = kept.get(KEY)
    descriptor = os.open(kept.path, os.O_RDWR)
    with kept._locked():
        assert found is not None
        del found
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
    kept.close()


def test_beyond_its_limit_memory_takes_no_more_and_says_so_once(
    capfd: pytest.CaptureFixture[str],
) -> None:
    kept = make_arena(3 * ALLOCATIONGRANULARITY)
    for number in range(6):
        kept.put(bytes([number]) * 32, GREY)
    assert [kept.get(bytes([n]) * 32) is not None for n in range(6)] == [True] * 3 + [False] * 3
    assert kept.holds == (3, 3 * ALLOCATIONGRANULARITY)
    kept.close()
    said = capfd.readouterr().out
    assert said.count("full, with 3 images") == 1
    assert "what finds no place is loaded from its file" in said


def test_memory_that_others_need_is_left_to_them(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arena, "memory_room", lambda: Room(1000, 50))
    kept = make_arena(1 << 30)
    kept.put(KEY, GREY)
    assert kept.get(KEY) is None
    kept.close()
    assert "no more memory is free" in capfd.readouterr().out


_OTHER_PROCESS = """
import sys, time
import numpy as np
from benchmark.job.decoded.arena import open_arena
from benchmark.job.decoded.entry import Picture
kept = open_arena(*sys.argv[1:])
assert kept.get(bytes(range(32))).pixels[2, 3] == 11
kept.put(bytes(32), Picture(np.ones((2, 2), np.uint8), (2, 2)))
print("put", flush=True)
time.sleep(600)
"""


def test_memory_is_shared_and_survives_who_is_killed(tmp_path: Path) -> None:
    kept = make_arena(1 << 20)
    kept.put(KEY, GREY)
    assert open_arena(kept.path, "another") is None
    assert open_arena(str(tmp_path / "nowhere"), kept.token) is None
    (tmp_path / "file").write_text("short")
    assert open_arena(str(tmp_path / "file"), kept.token) is None
    other = subprocess.Popen(
        [sys.executable, "-c", _OTHER_PROCESS, kept.path, kept.token],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "put\n"
    other.send_signal(signal.SIGKILL)
    other.wait()
    found = kept.get(OTHER)
    assert found is not None and found.pixels.tolist() == [[1, 1], [1, 1]]
    assert kept.holds[0] == 2
    kept.close()


def _files(place: Path) -> list[Path]:
    return sorted(path for path in place.glob(f"??/{'[0-9a-f]' * 62}"))


def _numbers(place: Path) -> list[int]:
    return [int(path.parent.name, 16) for path in _files(place)]


@pytest.mark.parametrize("damage", ["cut", "foreign", "bit", "empty", "pipe", "long"])
def test_a_damaged_or_foreign_file_is_not_read(damage: str, tmp_path: Path) -> None:
    kept = Folder(tmp_path, 1.0, time.time())
    kept.put(KEY, GREY)
    (path,) = _files(tmp_path)
    content = path.read_bytes()
    if damage == "foreign":
        kept.put(OTHER, GREY)
        (other,) = set(_files(tmp_path)) - {path}
        shutil.copy(other, path)
    elif damage == "pipe":
        path.unlink()
        os.mkfifo(path)
    else:
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        path.write_bytes(
            {"cut": content[:-1], "bit": flipped, "empty": b"", "long": content + b"0"}[damage]
        )
    assert kept.get(KEY) is None
    kept.put(KEY, GREY)
    found = kept.get(KEY)
    assert found is not None and np.array_equal(found.pixels, GREY.pixels)
    kept.close()


def test_a_full_folder_drops_what_this_sweep_has_not_used(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    big = Picture(_pixels(256, 256), (256, 256))  # two units of the count, with its header
    names = [bytes([number]) * 32 for number in range(14)]
    earlier = Folder(tmp_path, None, time.time())
    for number, name in enumerate(names[:6]):
        earlier.put(name, big)
        (path,) = [path for path in _files(tmp_path) if path.parent.name == name.hex()[:2]]
        os.utime(path, (1000 + number, 1000 + number))
    left = tmp_path / "00" / f"{OTHER.hex()[2:]}.host.1.tmp"
    others = [tmp_path / "00" / "photo.jpg", tmp_path / "photos" / "a.jpg"]
    (tmp_path / "photos").mkdir()
    for path in (left, *others):
        path.write_bytes(b"of one who was killed, or of the user")
        os.utime(path, (1000, 1000))
    room_for_8 = 16 * 65536 / 2**30
    now = Folder(tmp_path, room_for_8, time.time() - 5)
    assert now.get(names[0]) is not None  # the oldest, but in use
    for name in names[6:9]:
        now.put(name, big)
    assert _numbers(tmp_path) == [0, *range(3, 9)]
    assert not left.exists() and all(path.exists() for path in others)
    for name in names[9:]:
        now.put(name, big)
    assert _numbers(tmp_path) == [0, *range(6, 13)]
    assert now.holds <= 16 * 65536
    assert capfd.readouterr().out.count("cache: full, with 0.00 GiB") == 1
    earlier.close()
    now.close()


@pytest.mark.parametrize("reason", ["full disk", "read-only"])
def test_a_folder_that_takes_no_more_says_so_once(
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    kept = Folder(tmp_path, 1.0, time.time())
    kept.put(KEY, GREY)

    def refused(*_: object) -> int:
        raise OSError(28, "No space left on device")

    if reason == "full disk":
        monkeypatch.setattr(folder.os, "writev", refused)
    else:
        monkeypatch.setattr(folder.os, "replace", refused)
    for number in range(2, 5):
        kept.put(bytes([number]) * 32, GREY)
    assert kept.get(KEY) is not None
    assert len(_files(tmp_path)) == 1
    said = capfd.readouterr().out
    assert said.count("cannot be written (No space left on device)") == 1
    kept.close()


@pytest.mark.parametrize("kept", [0, 3])
def test_a_nearly_full_disk_is_left_to_others(
    kept: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def found(_: Folder) -> tuple[int, int]:
        left = 10 * GREY.size
        return left + (kept - len(_files(tmp_path))) * GREY.size, left

    monkeypatch.setattr(Folder, "_free", found)
    full = Folder(tmp_path, 1.0, time.time())
    for number in range(5):
        full.put(bytes([number]) * 32, GREY)
    assert _numbers(tmp_path) == list(range(kept))
    said = capfd.readouterr().out
    assert said.count(f"cache: 0.0 GiB are free on the disk of {tmp_path}, too little") == 1
    full.close()


@pytest.mark.parametrize(("gib", "left"), [(10, 0.5), (4000, 4)])
def test_what_is_left_free_of_a_disk(
    gib: int, left: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # of what makes the disk roomy
    disk = SimpleNamespace(f_frsize=4096, f_blocks=gib << 18, f_bavail=1 << 17)
    monkeypatch.setattr(folder.os, "statvfs", lambda _: disk)
    free, left_free = Folder(tmp_path, 1.0, time.time())._free()
    assert free == 1 << 29 and left_free == pytest.approx(left * 2**30)


def test_an_image_larger_than_the_limit_is_left_out_and_the_rest_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(store, "limit", 8 * 65536)
    store.put(KEY, GREY)
    for number in (1, 2):
        store.put(bytes([number]) * 32, Picture(_pixels(800, 800), (800, 800)))
        assert store.get(bytes([number]) * 32) is None
    store.put(OTHER, GREY)
    assert store.get(KEY) is not None and store.get(OTHER) is not None
    said = capfd.readouterr().out
    assert said.count("an image of 0.0006 GiB is larger than the limit of 0.00049 GiB") == 1


def test_where_a_large_image_finds_no_room_a_small_one_may() -> None:
    kept, large = make_arena(48 * ALLOCATIONGRANULARITY), Picture(_pixels(320, 320), (320, 320))
    for name in (KEY, OTHER):
        kept.put(name, large)
    kept.put(b"small".ljust(32), GREY)
    found = [kept.get(name) is not None for name in (KEY, OTHER, b"small".ljust(32))]
    assert found == [True, False, True]
    kept.close()


def test_nothing_is_removed_where_that_makes_no_room(tmp_path: Path) -> None:
    earlier = Folder(tmp_path, None, time.time())
    earlier.put(KEY, GREY)
    os.utime(_files(tmp_path)[0], (1000, 1000))
    kept = Folder(tmp_path, 4 * 65536 / 2**30, time.time() - 5)
    for number in range(1, 4):
        kept.put(bytes([number]) * 32, GREY)
    kept.put(
        OTHER, Picture(_pixels(400, 400), (400, 400))
    )  # three units, and the sweep's are three
    assert len(_files(tmp_path)) == 4
    kept.close()


@pytest.mark.parametrize("lack", ["disk", "memory"])
def test_once_there_is_room_again_images_are_kept_again(
    lack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = store_of("disk" if lack == "disk" else "ram", tmp_path)
    with monkeypatch.context() as lacking:
        lacking.setattr(Folder, "_free", lambda _: (1 << 20, 1 << 30))
        lacking.setattr(arena, "memory_room", lambda: Room(1000, 50))
        kept.put(KEY, GREY)
    kept.put(KEY, GREY)
    assert kept.get(KEY) is None  # it has a rest
    later = time.monotonic() + 61
    monkeypatch.setattr(store_module, "time", SimpleNamespace(monotonic=lambda: later))
    kept.put(KEY, GREY)
    assert kept.get(KEY) is not None
    kept.close()


def test_memory_is_done_without_where_no_file_can_be_opened(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object) -> int:
        raise OSError(24, "Too many open files")

    kept = make_arena(1 << 20)
    with monkeypatch.context() as lacking:
        lacking.setattr(arena.os, "open", refused)
        assert kept.get(KEY) is None
        assert kept.holds == (0, 0)
        kept.put(KEY, GREY)
    assert kept.get(KEY) is None
    assert "cache: memory takes no more (Too many open files)" in capfd.readouterr().out
    kept.close()


def test_a_folder_that_is_removed_meanwhile_is_made_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "detboard" / "decoded"
    kept = Folder(place, 1.0, time.time())
    kept.put(OTHER, GREY)
    shutil.rmtree(place.parent)
    assert kept.get(OTHER) is None
    for name in (KEY, OTHER):
        kept.put(name, GREY)
        assert kept.get(name) is not None
    assert place.stat().st_mode & 0o777 == 0o700
    assert Folder(place, 1.0, time.time()).holds == kept.holds == 2 * 65536
    assert capfd.readouterr().out == ""
    kept.close()


# ---- what others may have put there


@pytest.mark.parametrize("mode", [0o770, 0o707, None])
def test_a_folder_that_others_may_write_to_is_not_used(
    mode: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (place := tmp_path / "detboard" / "decoded").mkdir(parents=True)
    words = "others may write to it"
    if mode is None:
        monkeypatch.setattr(os, "geteuid", lambda: place.stat().st_uid + 1)
        words = "it is another user's"
    else:
        place.chmod(mode)
    with caching(ImageCache(kind="disk"), LocalLauncher()) as told:
        assert told == Caching()
    use(Caching("disk"), 1)
    said = capfd.readouterr()
    told_why = f"{place}: {words}, who could put images there; images are loaded from their files"
    assert f"warning: cache: disk: {told_why}" in said.err
    assert f"cache: {told_why}" in said.out
    assert not list(place.iterdir())


def test_a_file_that_others_may_write_to_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Folder(tmp_path, 1.0, time.time())
    kept.put(KEY, GREY)
    (path,) = _files(tmp_path)
    path.chmod(0o666)
    assert kept.get(KEY) is None
    path.chmod(0o600)
    assert kept.get(KEY) is not None
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert kept.get(KEY) is None
    kept.close()


def test_links_in_the_place_of_the_count_or_an_image_are_not_followed(tmp_path: Path) -> None:
    kept = Folder(tmp_path / "kept", 1.0, time.time())
    kept.put(KEY, GREY)
    (path,) = _files(tmp_path / "kept")
    path.rename(tmp_path / "image")
    path.symlink_to(tmp_path / "image")
    assert kept.get(KEY) is None
    (mine := tmp_path / "mine").write_text("precious")
    (tmp_path / "kept" / "count").unlink()
    (tmp_path / "kept" / "count").symlink_to(mine)
    with pytest.raises(OSError, match="symbolic links"):
        Folder(tmp_path / "kept", 1.0, time.time())
    kept.put(OTHER, GREY)
    assert mine.read_text() == "precious"
    kept.close()


def test_a_link_in_the_place_of_a_new_file_is_not_followed(tmp_path: Path) -> None:
    (mine := tmp_path / "mine").write_text("precious")
    kept = Folder(tmp_path / "kept", 1.0, time.time())
    place = Path(kept._place(KEY))
    place.parent.mkdir()
    beside = f"{place.name}.{os.uname().nodename}.{os.getpid()}.tmp"
    place.with_name(beside).symlink_to(mine)
    kept.put(KEY, GREY)
    assert mine.read_text() == "precious"
    kept.close()


@pytest.mark.parametrize("gib", [2e10, 1e300])
def test_a_limit_in_bytes_for_gib_is_as_good_as_none(gib: float) -> None:
    kept = memory_for(gib)
    kept.put(KEY, GREY)
    assert kept.get(KEY) is not None
    kept.close()


# ---- from the command line to the job


def test_what_a_cache_may_be(synthetic_data: Path, tmp_path: Path) -> None:
    assert str(ImageCache.model_validate("ram:0.5")) == "ram:0.5"
    assert ImageCache.model_validate(False).kind == "off"  # what YAML makes of off
    assert ImageCache.model_validate({"kind": False}) == ImageCache()
    bench = Bench(synthetic_data, tmp_path / "results")
    for wrong in ("rom", "ram:", "ram:0", "ram:-1", "off:3", "disk:much", "ram:1e999"):
        done = bench.here("sweep", "--cache", wrong)
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: --cache {wrong}: write ram, disk or off")
    how = "cache: write ram, disk or off; 'ram:20' and 'disk:20' keep 20 GiB at most, off takes no"
    told: list[tuple[object, str]] = [
        *((value, how) for value in ("rom", True, 3, ["ram"], {"kind": False, "gib": 5})),
        *((value, how) for value in ({"kind": "off", "gib": 5}, {"gib": 5})),
        ({"kind": "rom"}, "cache.kind: allowed: disk, off, ram"),
        ({"kind": "ram", "gb": 5}, "cache.gb"),
    ]
    for number, (value, words) in enumerate(told):
        file = variant(tmp_path / str(number), partial(dict.update, cache=value))
        done = Bench(synthetic_data, tmp_path / "results", file).here("plan")
        assert done.returncode == 2
        assert words in done.stderr


def test_no_run_depends_on_it(synthetic_data: Path, tmp_path: Path) -> None:
    file = variant(tmp_path, lambda content: content.update(cache="disk:3"))
    plain = Bench(synthetic_data, tmp_path / "results").here("plan").stdout
    kept = Bench(synthetic_data, tmp_path / "results", file).here("plan").stdout
    ids = [line for line in plain.splitlines() if "-s0-" in line]
    assert ids and ids == [line for line in kept.splitlines() if "-s0-" in line]


def test_a_sweep_has_memory_as_long_as_it_lasts(capfd: pytest.CaptureFixture[str]) -> None:
    with caching(ImageCache(kind="ram", gib=0.25), LocalLauncher()) as told:
        shared = open_arena(told.memory, told.token)
        assert isinstance(shared, Arena) and shared.limit == 2**28
        shared.close()
        use(told, 1)  # as a job does
    assert not Path(told.memory).exists()
    assert "decoded images are kept in memory: up to 0.2 GiB" in capfd.readouterr().out
    with caching(ImageCache(), LocalLauncher()) as told:
        assert told == Caching()


def test_a_sweep_without_a_folder_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "detboard").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with caching(ImageCache(kind="disk"), LocalLauncher()) as told:
        assert told == Caching()
    assert "warning: cache: disk: Not a directory" in capfd.readouterr().err
    use(Caching("disk"), 1)
    assert "cache: Not a directory; images are loaded from their files" in capfd.readouterr().out
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    with caching(ImageCache(kind="disk", gib=2), LocalLauncher()) as told:
        assert told.kind == "disk" and not told.memory
    said = capfd.readouterr().out
    assert f"decoded images are kept in {tmp_path}/own/detboard/decoded: up to 2.0 GiB" in said
