"""Weights that rows start from: which files, whether they are here and sound, and how they come here."""

from __future__ import annotations

import errno
import gzip
import io
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from command import LEADERBOARD, Bench, study, variant
from weights_server import PAGE, Server, named, serving, weights

from benchmark.errors import UserError
from benchmark.locks import acquire
from benchmark.run.fetched import download, fetch, places, soundness, stream
from benchmark.run.fetched.names import unknown_name, url_of
from benchmark.run.fetched.places import file_name as file_of
from benchmark.writing.words import size

WEIGHTS = weights()
SIZE = size(len(WEIGHTS))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv(places.OWN_VARIABLE, raising=False)
    monkeypatch.setattr(download, "PAUSE_S", 0.001)
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as served:
        yield served


@pytest.fixture
def bench(tmp_path: Path, synthetic_data: Path) -> Callable[..., Bench]:
    """Makes a results folder for the tiny experiment, whose rows start from these weights."""

    def made(**rows: str) -> Bench:
        def named_in(content: dict[str, Any]) -> None:
            for row in content["rows"]:
                if row["name"] in rows:
                    row["set"] = {**row.get("set", {}), "+load_from": rows[row["name"]]}

        folder = tmp_path / "experiment"
        return Bench(synthetic_data, tmp_path / "results", variant(folder, named_in))

    return made


def test_what_is_missing_is_listed_and_fetched(
    bench: Callable[..., Bench], hub: Path, server: Server
) -> None:
    url = server.put(f"/v1/{named('net', WEIGHTS)}", WEIGHTS)
    both = bench(plain=url, momentum=url)
    listed = both.here("weights")
    assert listed.returncode == 0, listed.stderr
    assert f"{file_of(url)}\n  missing: {SIZE}\n  {url}, for rows plain, momentum" in listed.stdout
    assert f"1 file to fetch, 1 missing ({SIZE}); --fetch fetches them" in listed.stdout
    assert server.gets(f"/v1/{file_of(url)}") == [] and not hub.exists()

    fetched = both.here("weights", "--fetch")
    assert fetched.returncode == 0, fetched.stderr
    assert f"fetching {url} for rows plain, momentum\n" in fetched.stdout
    assert f"here: {SIZE}, its hash is right" in fetched.stdout
    assert "1 file to fetch, all here." in fetched.stdout
    assert (hub / file_of(url)).read_bytes() == WEIGHTS
    assert not list(hub.glob("*.part"))
    asked = len(server.asked)
    assert both.here("weights", "--fetch").stdout.startswith(f"{file_of(url)}\n  here: ")
    assert len(server.asked) == asked


def fetched(bench: Bench) -> tuple[int, str]:
    """What `weights --fetch` ends with and says."""
    ended = bench.here("weights", "--fetch")
    return ended.returncode, ended.stdout + ended.stderr


HALF = len(WEIGHTS) // 2
GOES_ON = f"bytes={HALF}-"


@pytest.mark.parametrize(
    ("faults", "ranges"),
    [
        ([500, 503, None], ["", "", ""]),
        (["cut", None], ["", GOES_ON]),
        (["cut", "cut", "cut", None], 4),
        (["cut", "no range"], ["", GOES_ON]),
        (["cut", 500, 429, None], ["", GOES_ON, GOES_ON, GOES_ON]),
    ],
)
def test_what_passes_is_waited_for_and_gone_on_from(
    bench: Callable[..., Bench],
    hub: Path,
    server: Server,
    faults: list[Any],
    ranges: list[str] | int,
) -> None:
    path = f"/{named('net', WEIGHTS)}"
    status, said = fetched(bench(plain=server.put(path, WEIGHTS, *faults)))
    assert status == 0, said
    assert (hub / path[1:]).read_bytes() == WEIGHTS
    asked = server.gets(path)
    assert asked == ranges or len(asked) == ranges


OTHER = weights(seed=2)


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        ([404, ...], "answers 404 Not Found"),
        ([403, ...], "answers 403 Forbidden"),
        ([500, ...], "answers 500 Internal Server Error"),
        (["page", ...], "answers with a web page, from http://127.0.0.1:"),
        ([OTHER, ...], f"its SHA-256 begins with {named('', OTHER)[1:9]}, and not with "),
        ([b"version https://git-lfs.github.com/spec/v1\n", ...], "a pointer of Git LFS"),
        ([b"", ...], "what it gives is empty"),
        ([WEIGHTS[:900], ...], "what it gives is cut short"),
        ([b"<html>no weights</html>", ...], "what it gives is a web page"),
    ],
)
def test_what_is_no_file_of_weights_never_lies_in_their_place(
    bench: Callable[..., Bench], hub: Path, server: Server, faults: list[Any], why: str
) -> None:
    url = server.put(f"/{named('net', WEIGHTS)}", WEIGHTS, *faults)
    status, said = fetched(bench(plain=url))
    assert status == 1
    told = f"error: row plain: the weights {url} could not be fetched: 127.0.0.1:"
    assert told in said and why in said
    assert "; until then --rows momentum names the rows that do without it" in said
    assert not (hub / file_of(url)).exists()
    assert not [path for path in hub.glob("*.part") if path.stat().st_size]


def test_a_server_that_leads_to_a_page_to_log_in_on_has_no_weights(
    bench: Callable[..., Bench], hub: Path, server: Server
) -> None:
    server.put("/login?token=abc", b"", "page", ...)
    url = server.put(f"/{named('net', WEIGHTS)}", WEIGHTS, f"to {server.url}/login?token=abc", ...)
    status, said = fetched(bench(plain=url))
    assert status == 1
    assert f"answers with a web page, from {server.url}/login?token=***" in said


def test_a_file_left_by_a_kill_is_gone_on_from_where_its_name_tells_its_hash(
    bench: Callable[..., Bench], hub: Path, server: Server
) -> None:
    told, untold = named("net", WEIGHTS), "net.pth"
    hub.mkdir(parents=True)
    for name in (told, untold):
        (hub / f"{name}.part").write_bytes(WEIGHTS[:HALF])
    urls = [server.put(f"/{name}", WEIGHTS) for name in (told, untold)]
    assert fetched(bench(plain=urls[0], momentum=urls[1]))[0] == 0
    assert server.gets(f"/{told}") == [GOES_ON]
    assert server.gets(f"/{untold}") == [""]
    assert all((hub / name).read_bytes() == WEIGHTS for name in (told, untold))


@pytest.mark.parametrize("left", [OTHER[:HALF], OTHER, WEIGHTS, WEIGHTS + b"x" * 9])
def test_pieces_of_another_file_are_thrown_away(
    bench: Callable[..., Bench], hub: Path, server: Server, left: bytes
) -> None:
    name = named("net", WEIGHTS)
    hub.mkdir(parents=True)
    (hub / f"{name}.part").write_bytes(left)
    assert fetched(bench(plain=server.put(f"/{name}", WEIGHTS)))[0] == 0
    assert (hub / name).read_bytes() == WEIGHTS


def test_a_name_without_a_hash_is_gone_on_from_only_where_the_server_names_the_version(
    bench: Callable[..., Bench], hub: Path, server: Server
) -> None:
    plain = server.put("/a/plain.pth", WEIGHTS, "cut", None)
    tagged = server.put("/b/tagged.pth", WEIGHTS, "cut", None)
    server.etags["/b/tagged.pth"] = '"v1"'
    assert fetched(bench(plain=plain, momentum=tagged))[0] == 0
    assert server.gets("/a/plain.pth") == ["", ""]
    assert server.gets("/b/tagged.pth") == ["", GOES_ON]


def test_one_server_stands_in_for_the_other_and_ones_own_comes_first(
    bench: Callable[..., Bench],
    hub: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = named("net", WEIGHTS)
    first, second = server.url.removeprefix("http://"), f"localhost:{server.url.rpartition(':')[2]}"
    monkeypatch.setattr(places, "TWINS", ((second, first),))
    url = server.put(f"/mmdetection/{name}", WEIGHTS, 404, None)
    both = bench(plain=url, momentum=url.replace(first, second))
    assert fetched(both)[0] == 0  # one file, which two servers have
    assert server.gets(f"/mmdetection/{name}") == ["", ""]

    (hub / name).unlink()
    server.put(f"/mirror/mmdetection/{name}", WEIGHTS)
    monkeypatch.setenv(places.OWN_VARIABLE, server.url.replace("//", "//me:s%40fe@") + "/mirror")
    server.accounts.clear()
    assert fetched(both)[0] == 0
    assert server.asked[-1][1] == f"/mirror/mmdetection/{name}"
    assert server.accounts[-1] == "Basic bWU6c0BmZQ=="  # me:s@fe


def test_a_wrong_file_is_named_and_replaced(
    bench: Callable[..., Bench], hub: Path, server: Server
) -> None:
    name = named("net", WEIGHTS)
    one = bench(plain=server.put(f"/{name}", WEIGHTS, 404, None))
    hub.mkdir(parents=True)
    (hub / name).write_bytes(WEIGHTS[:-100])
    listed = one.here("weights")
    assert listed.returncode == 1
    assert f"{name}\n  damaged: {hub / name}: is cut short: " in listed.stdout
    assert "warning: row plain: " in (planned := one.here("plan").stderr)
    assert f"row plain: {hub / name}: is cut short: the end of the archive is missing" in planned
    status, said = fetched(one)
    assert status == 1 and f"answers 404 Not Found; {hub / name}: is cut short" in said
    assert (hub / name).read_bytes() == WEIGHTS[:-100]  # until the right one is here
    assert fetched(one)[0] == 0
    assert (hub / name).read_bytes() == WEIGHTS


def test_a_folder_of_ones_own_is_read_where_it_lies(
    bench: Callable[..., Bench],
    hub: Path,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flat, deep = named("net", WEIGHTS), named("other", OTHER)
    urls = [f"http://127.0.0.1:9/{flat}", f"http://127.0.0.1:9/mmdetection/v3.0/{deep}"]
    shared = tmp_path / "shared"
    (shared / "mmdetection" / "v3.0").mkdir(parents=True)
    (shared / flat).write_bytes(WEIGHTS)
    (shared / "mmdetection" / "v3.0" / deep).write_bytes(OTHER)
    monkeypatch.setenv(places.OWN_VARIABLE, str(shared))
    both = bench(plain=urls[0], momentum=urls[1])
    listed = both.here("weights", "--fetch")
    assert listed.returncode == 0, listed.stderr
    assert f"its hash is right, in {shared}\n" in listed.stdout
    assert f"its hash is right, in {shared / 'mmdetection' / 'v3.0'}\n" in listed.stdout
    assert not hub.exists()

    (shared / flat).write_bytes(OTHER)  # not what its name says, and in nobody's way
    status, said = fetched(both)
    assert status == 1
    assert "127.0.0.1:9: Connection refused" in said and f"{shared / flat}: its SHA-256" in said
    assert (shared / flat).read_bytes() == OTHER


@pytest.mark.parametrize("place", ["ftp://somewhere", "/no/such/folder"])
def test_a_place_of_ones_own_that_is_none_is_refused(
    bench: Callable[..., Bench], hub: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv(places.OWN_VARIABLE, place)
    one = bench(plain="https://example.org/net.pth")
    for verb in ("weights", "plan", "sweep"):
        ended = one.here(verb)
        assert ended.returncode == 2
        assert (
            f"error: {places.OWN_VARIABLE}={place}: no such folder; name a folder" in ended.stderr
        )


def test_two_files_of_one_name_are_not_taken_for_each_other(
    bench: Callable[..., Bench], hub: Path, server: Server
) -> None:
    urls = [server.put("/a/net.pth", WEIGHTS), server.put("/b/net.pth", OTHER)]
    both = bench(plain=urls[0], momentum=urls[1])
    for verb in ("weights", "plan"):
        ended = both.here(verb)
        assert ended.returncode == 2
        assert f"{urls[1]} and {urls[0]} (row plain) are two files" in ended.stderr
    assert both.here("weights", "--rows", "plain", "--fetch").returncode == 0
    later = both.here("weights", "--rows", "momentum")
    assert later.returncode == 1
    assert f"{hub / 'net.pth'}: was fetched from another address, " in later.stdout
    assert both.here("weights", "--rows", "momentum", "--fetch").returncode == 0
    assert (hub / "net.pth").read_bytes() == OTHER


def test_one_process_fetches_at_a_time(
    bench: Callable[..., Bench], hub: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/{named('net', WEIGHTS)}"
    one = bench(plain=server.put(path, WEIGHTS))
    lock = acquire(hub / ".detboard.lock")
    monkeypatch.setenv("DETBOARD_PATIENCE_S", "0.3")
    status, said = fetched(one)
    assert status == 1
    assert f"into {hub}: waiting for it" in said
    assert "error: " in said and "and none has come for 0 s; end it" in said
    assert server.gets(path) == []

    def bring() -> None:
        (hub / path[1:]).write_bytes(WEIGHTS)
        lock.release()

    monkeypatch.setenv("DETBOARD_PATIENCE_S", "30")
    other = threading.Timer(0.5, bring)
    other.start()
    status, said = fetched(one)
    other.join()
    assert (status, server.gets(path)) == (0, [])  # the other has fetched it
    assert "fetching" not in said.replace("fetches", "")


@pytest.mark.parametrize("folder", ["torch", "torch/hub"])
def test_a_cache_that_takes_no_files_is_told(
    bench: Callable[..., Bench], hub: Path, server: Server, tmp_path: Path, folder: str
) -> None:
    (tmp_path / folder).parent.mkdir(exist_ok=True)
    (tmp_path / folder).write_text("a file")
    status, said = fetched(bench(plain=server.put("/net.pth", WEIGHTS)))
    assert status == 1
    assert f"error: {hub}: weights cannot be put there: " in said
    assert "set TORCH_HOME to a folder that takes files" in said


def test_a_full_disk_keeps_what_has_come_and_that_is_said(
    bench: Callable[..., Bench], hub: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(to: stream.Stream, *_: Any) -> None:
        to.part.write_bytes(WEIGHTS[:HALF])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    name = named("net", WEIGHTS)
    one = bench(plain=server.put(f"/{name}", WEIGHTS))
    with monkeypatch.context() as patched:
        patched.setattr(stream.Stream, "_write", full)
        status, said = fetched(one)
    assert status == 1
    assert f"No space left on device; what has come of it is in {name}.part: make room" in said
    assert fetched(one)[0] == 0
    assert server.gets(f"/{name}") == ["", GOES_ON]


@pytest.mark.slow
def test_names_are_those_of_mmengine() -> None:
    from mmengine.runner.checkpoint import (
        get_deprecated_model_names,
        get_external_models,
        get_mmcls_models,
        get_torchvision_models,
    )

    tables = {
        "torchvision": get_torchvision_models(),
        "open-mmlab": get_external_models(),
        "mmcls": get_mmcls_models(),
    }
    for scheme, table in tables.items():
        named_here = {name: url_of(f"{scheme}://{name}") for name in table}
        renamed = get_deprecated_model_names() if scheme == "open-mmlab" else {}
        assert named_here == {name: table[renamed.get(name, name)] for name in table}
        assert not any(unknown_name(f"{scheme}://{name}") for name in table)
    old, now = next(iter(get_deprecated_model_names().items()))
    assert url_of(f"open-mmlab://{old}") == tables["open-mmlab"][now]


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("torchvision://resnet5O", "resnet50"),
        ("torchvision://ResNet50_Weights.IMAGENET1K_V1", "resnet50.imagenet1k_v1"),
        ("open-mmlab://resnext101_64x4", "resnext101_64x4d"),
    ],
)
def test_a_name_that_mmengine_does_not_know_is_refused(
    bench: Callable[..., Bench], hub: Path, address: str, meant: str
) -> None:
    one = bench(plain=address)
    for verb in ("weights", "plan"):
        ended = one.here(verb)
        assert ended.returncode == 2
        told = f"row 'plain': load_from: {address}: mmengine knows no weights of this name"
        assert told in ended.stderr and f"did you mean '{meant}'?" in ended.stderr


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<!doctype html><p>404</p>", "is a web page and no weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS"),
        (b"", "is empty"),
        (b'{"error": "not found"}', "is text and no weights"),
        (WEIGHTS[:700], "is cut short"),
    ],
)
def test_a_file_of_ones_own_that_is_no_weights_is_foreseen(
    bench: Callable[..., Bench], hub: Path, tmp_path: Path, content: bytes, why: str
) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(content)
    one = bench(plain=str(path))
    planned = one.here("plan")
    assert planned.returncode == 2
    assert f"error: row 'plain': load_from: {path}: {why}" in planned.stderr
    listed = one.here("weights")
    assert listed.returncode == 1
    assert f"{path}\n  {why}" in listed.stdout
    path.write_bytes(WEIGHTS)
    assert one.here("plan").returncode == 0
    assert f"here: {SIZE}, a file of your own" in one.here("weights").stdout


def test_under_smoke_no_row_of_the_leaderboard_needs_weights(
    synthetic_data: Path, tmp_path: Path, hub: Path
) -> None:
    board = Bench(synthetic_data, tmp_path / "results", LEADERBOARD)
    listed = board.here("weights", "--profile", "smoke", "--fetch")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout == "No row needs a file of weights under the profile smoke.\n"
    full = board.here("weights", "--profile", "full")
    assert full.returncode == 0
    assert "\nresnext101_64x4d-ee2c6f71.pth\n  missing: " in full.stdout
    assert "  open-mmlab://resnext101_64x4d, for row" in full.stdout
    assert "5 files to fetch, 5 missing (" in full.stdout


def test_plan_says_how_large_what_is_missing_is(
    bench: Callable[..., Bench], hub: Path, server: Server
) -> None:
    url = server.put("/net.pth", WEIGHTS)
    both = bench(plain=url, momentum=f"{server.url}/none.pth")
    planned = both.here("plan")
    assert planned.returncode == 0, planned.stderr
    assert (
        f"row plain: the weights {url} are not in {hub} ({SIZE}): a sweep fetches them"
        in planned.stderr
    )
    assert f"none.pth are not in {hub} (its size is not known): a sweep" in planned.stderr


def test_a_sweep_fetches_before_it_starts_a_job_or_starts_none(
    bench: Callable[..., Bench], hub: Path, server: Server
) -> None:
    urls = [f"{server.url}/{name}?token=secret" for name in ("a.pth", "b.pth")]
    both = bench(plain=urls[0], momentum=urls[1])
    ended = both.here("sweep")
    assert ended.returncode == 1
    for row, url in zip(("plain", "momentum"), urls, strict=True):
        shown = url.replace("secret", "***")
        told = f"error: row {row}: the weights {shown} could not be fetched: 127.0.0.1:"
        assert ended.stderr.count(told) == 1
    told = f"error: put the files into {hub}, or name a folder or a mirror that has them in DETBOARD_WEIGHTS"
    assert ended.stderr.count(told) == 1
    assert "secret" not in ended.stderr + ended.stdout
    assert list(both.results.glob("runs/plain*/record.json")) == []
    assert "runs to do" not in ended.stdout


def test_a_job_reads_weights_from_this_machine_alone(
    hub: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmengine.runner.checkpoint import CheckpointLoader

    from benchmark.job.on_disk import NotHere, loading

    before = torch.hub.load_state_dict_from_url
    url = server.put("/a/net.pth", WEIGHTS)
    with loading(trusted=False):
        for load in (CheckpointLoader.load_checkpoint, torch.hub.load_state_dict_from_url):
            with pytest.raises(NotHere, match="a job fetches nothing: give the command again"):
                load(url)
        with pytest.raises(NotHere):
            torch.hub.download_url_to_file(url, str(tmp_path / "net.pth"))
        monkeypatch.setenv(places.OWN_VARIABLE, str(tmp_path))
        (tmp_path / "net.pth").write_bytes(PAGE)
        hub.mkdir(parents=True)
        (hub / "net.pth").write_bytes(WEIGHTS)  # the one that a sweep has found sound
        for load in (CheckpointLoader.load_checkpoint, torch.hub.load_state_dict_from_url):
            assert list(load(url)["state_dict"]) == ["somewhere"]
    assert server.asked == []
    assert torch.hub.load_state_dict_from_url is before


def test_a_study_fetches_all_that_its_trials_may_start_from(
    bench: Callable[..., Bench], hub: Path, server: Server, tmp_path: Path
) -> None:
    own, others = server.put("/own.pth", WEIGHTS), [f"{server.url}/{n}.pth" for n in "ab"]
    one = bench(plain=own)
    search = {"load_from": {"type": "categorical", "choices": [own, *others]}}
    ended = replace(one, experiment=study(one.experiment.parent, search=search)).here("tune")
    assert ended.returncode == 1
    assert (hub / "own.pth").exists()
    for url in others:
        assert f"error: row plain: the weights {url} could not be fetched" in ended.stderr
    assert not list(one.results.glob("runs/*/record.json"))


def test_a_server_that_says_nothing_holds_nobody_up(
    bench: Callable[..., Bench], hub: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_SIZES_S", 0.2)
    monkeypatch.setattr(stream, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        one = bench(plain=f"http://127.0.0.1:{silent.getsockname()[1]}/net.pth")
        listed = one.here("weights")
        assert "net.pth\n  missing: its size is not known\n" in listed.stdout
        status, said = fetched(one)
    assert status == 1
    assert "timed out" in said


def test_ctrl_c_ends_a_fetch_and_keeps_what_has_come(
    bench: Callable[..., Bench], hub: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = named("net", WEIGHTS)
    one = bench(plain=server.put(f"/{name}", WEIGHTS, "cut", None))

    def pressed(_seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(download.time, "sleep", pressed)
        status, said = fetched(one)
    assert status == 130
    assert "the same command continues where it was" in said
    assert fetched(one)[0] == 0
    assert server.gets(f"/{name}") == ["", GOES_ON]


def test_weights_that_hold_code_start_no_job(
    bench: Callable[..., Bench], hub: Path, server: Server
) -> None:
    file = io.BytesIO()
    torch.save({"state_dict": {}, "cfg": Path.home}, file)
    one = bench(plain=server.put("/net.pth", file.getvalue()))
    for verb in ("sweep", "plan"):
        ended = one.here(verb, "--rows", "plain")
        assert ended.returncode == 2
        assert f"error: row plain: {hub / 'net.pth'}: holds pathlib.Path" in ended.stderr
    assert list(one.results.glob("runs/*/record.json")) == []


def test_published_configs_and_installed_ones_name_servers_that_stand_in_for_each_other(
    bench: Callable[..., Bench], hub: Path, server: Server
) -> None:
    """The server is a proxy for both, under their real names."""
    path = f"/mmdetection/v2.0/{named('net', WEIGHTS)}"
    server.put(f"http://download.openmmlab.com{path}", WEIGHTS)
    one = bench(plain=f"http://mmassets.onedl.ai{path}")
    ended = one.run(
        "weights", "--fetch", TORCH_HOME=str(hub.parents[1]), http_proxy=server.url, no_proxy=""
    )
    assert ended.returncode == 0, ended.stderr
    assert [asked for _, asked, _ in server.asked] == [
        f"http://{host}{path}" for host in ("mmassets.onedl.ai", "download.openmmlab.com")
    ]
    assert (hub / file_of(path)).read_bytes() == WEIGHTS


# What servers do wrong, without a command around it


def brought(urls: list[str], part: Path, network: download.Network | None = None) -> str:
    """Why no address has given a file; empty if one has."""
    part.parent.mkdir(exist_ok=True)
    try:
        (network or download.Network()).bring(urls, part, part.name, lambda *_: None)
    except download.NotFetched as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["net.pth", named("net", WEIGHTS)])
def test_what_a_server_packs_is_not_taken_for_the_file(
    hub: Path, server: Server, tmp_path: Path, name: str
) -> None:
    part = tmp_path / name
    told = brought([server.put(f"/{name}", WEIGHTS, "packed")], part)
    assert told.endswith("gives the file packed (gzip), which it was not asked for")
    assert not part.exists()


def test_where_a_server_gives_another_part_the_file_is_begun_anew(
    hub: Path, server: Server, tmp_path: Path
) -> None:
    path = f"/{named('net', WEIGHTS)}"
    part = tmp_path / path[1:]
    assert brought([server.put(path, WEIGHTS, "cut", "another part", None)], part) == ""
    assert server.gets(path) == ["", GOES_ON, ""]
    assert part.read_bytes() == WEIGHTS


def test_a_redirect_in_a_circle_is_told_on_one_line_and_a_forbidden_one_without_its_secrets(
    hub: Path, server: Server, tmp_path: Path
) -> None:
    for target in ("/net.pth", "file:///etc/net.pth?token=secret"):
        told = brought([server.put("/net.pth", WEIGHTS, f"to {target}", ...)], tmp_path / "net.pth")
        assert "answers 302" in told
        assert "\n" not in told and "secret" not in told


def test_characters_that_an_address_may_not_hold_are_escaped(
    hub: Path, server: Server, tmp_path: Path
) -> None:
    server.put("/my%20n%C3%A9t.pth?a=b%2F", WEIGHTS)
    assert brought([f"{server.url}/my n\u00e9t.pth?a=b%2F"], tmp_path / "net.pth") == ""


def test_what_came_before_a_stall_is_kept(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "TIMEOUT_S", 0.2)
    part = tmp_path / "net.pth"
    with socket.create_server(("127.0.0.1", 0)) as stalling:

        def answer() -> None:
            held.append(stalling.accept()[0])
            held[0].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n0123456789")

        held: list[socket.socket] = []
        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{stalling.getsockname()[1]}/net.pth"
        with pytest.raises(stream.Passing, match="was cut"):
            stream.Stream(url, part, lambda *_: None, goes_on=False).fetch()
        held[0].close()
    assert part.read_bytes() == b"0123456789"


def test_servers_that_say_nothing_are_given_up_together(
    hub: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, seconds in (
        (stream, "TIMEOUT_S", 0.2),
        (download, "_RETRIED_S", 0.1),
        (download, "_OFFLINE_S", 0.3),
    ):
        monkeypatch.setattr(module, name, seconds)
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        urls = [f"http://127.0.0.1:{one.getsockname()[1]}/net.pth" for one in silent]
        network = download.Network()
        told = brought(urls, tmp_path / "net.pth", network).split("; ")
    assert [one.partition(": ")[2] for one in told[:2]] == ["timed out"] * 2
    assert "not asked, after 0 s in which no server has answered" in told[2]
    network = download.Network()
    network.silent_s = 0.2
    assert brought([server.put("/net.pth", WEIGHTS)], tmp_path / "net.pth", network) == ""
    assert network.silent_s == 0


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("\u6587\u4ef6\u4e0d\u5b58\u5728".encode() * 100, "is text and no weights"),
        (b"%PDF-1.4 \xff\xfe", "is a PDF and no weights"),
        (gzip.compress(WEIGHTS), "is packed by gzip"),
    ],
)
def test_what_is_no_weights_though_it_is_no_english_text(
    tmp_path: Path, content: bytes, why: str
) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    assert why in (soundness.junk_in(path) or "")
    torch.save({}, path, _use_new_zipfile_serialization=False)
    assert soundness.junk_in(path) is None


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://[::1/net.pth?token=abc", "is no address: Invalid IPv6 URL"),
        ("https://host:abc/net.pth", "is no address: Port"),
        ("https:///net.pth", "names no server"),
        ("https://example.org/", "names no file"),
        ("https://example.org/..", "names no file"),
        ("http://[::1]:80/net.pth", None),
    ],
)
def test_an_address_that_leads_to_no_file_is_told(address: str, why: str | None) -> None:
    told = unknown_name(address)
    assert (told is None) if why is None else (told is not None and why in told)
    assert "token=abc" not in (told or "")
    assert (url_of(address) is None) == (why is not None)


def test_no_command_stumbles_over_an_address_that_is_none(
    bench: Callable[..., Bench], hub: Path
) -> None:
    ended = bench(plain="https://[::1/net.pth", momentum="https://example.org/").here("weights")
    assert ended.returncode == 2
    assert "row 'plain': load_from: https://[::1/net.pth: is no address" in ended.stderr
    assert "row 'momentum': load_from: https://example.org/: names no file" in ended.stderr


def test_a_place_of_ones_own_is_a_folder_by_its_address_or_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my weights").mkdir()
    monkeypatch.setenv(places.OWN_VARIABLE, f"file://{tmp_path}/my%20weights")
    assert places.own().folder == tmp_path / "my weights"
    for none in ("http://", "https://[::1"):
        monkeypatch.setenv(places.OWN_VARIABLE, none)
        with pytest.raises(UserError, match="names no server"):
            places.own()


@pytest.mark.trains
def test_a_sweep_fetches_once_and_its_jobs_start_from_that(
    bench: Callable[..., Bench], hub: Path, server: Server
) -> None:
    content = io.BytesIO()
    torch.save({"state_dict": {"neck.lateral_convs.0.conv.bias": torch.zeros(16)}}, content)
    path = f"/{named('net', content.getvalue())}"
    url = server.put(path, content.getvalue(), 500, "cut", None)
    both = bench(plain=url, momentum=url)
    # In this process: jobs of another have the folders of whoever has started their server.
    ended = both.here("sweep", "--launcher", "inprocess", "--set", "train_cfg.max_epochs=1")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.index(f"fetching {url} for rows") < ended.stdout.index("2 of 2 runs to do")
    assert len(server.gets(path)) == 3
    for row in ("plain", "momentum"):
        record = both.record(row)
        assert list(record["provenance"]["hashes"]["files"]) == [url]
        assert (record["loaded"]["file"], record["loaded"]["used"]) == (url, 1)
        log = (both.folder(row) / "log.txt").read_text()
        assert f"starts from {url}: 1 of its 1 key used, 0 not, " in log
