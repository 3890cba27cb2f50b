"""A user without a home, and a checkout of somebody else's: in a container with an arbitrary user."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from pathlib import Path

import pytest
import torch
from command import TINY, Bench, run_detboard

from benchmark.config.replace.ask import cache_file
from benchmark.data.decode import Reader
from benchmark.data.seen import Seen
from benchmark.experiment.cluster import site_file
from benchmark.home import own_home
from benchmark.job.decoded.folder import folder_of_images
from benchmark.run import fetched

NOWHERE = "/etc/passwd/home"  # not even root can make it


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, and an environment that own_home may change."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("HOME", "USER", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "x")  # so that it is put back, whatever becomes of it
        monkeypatch.delenv(name)
    monkeypatch.setenv("USER", "somebody")
    return tmp_path


def _no_entry(_uid: int) -> None:
    raise KeyError


def test_who_has_a_home_keeps_it(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(temporary / "not" / "yet" / "made"))
    assert own_home() == []
    assert "XDG_CACHE_HOME" not in os.environ
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("home", [NOWHERE, "", "relative", None])
def test_who_has_none_gets_one_that_is_nobody_elses(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    monkeypatch.setattr(pwd, "getpwuid", _no_entry)
    monkeypatch.setenv("XDG_CACHE_HOME", NOWHERE)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    (message,) = own_home()
    made = Path(os.environ["HOME"])
    assert made.parent == temporary and stat.S_IMODE(made.stat().st_mode) == 0o700
    assert f"cannot be written: caches, and weights that are fetched, go to {made}" in message
    assert "set HOME" in message
    assert "XDG_CACHE_HOME" not in os.environ
    monkeypatch.setenv("HOME", NOWHERE)
    own_home()
    assert Path(os.environ["HOME"]) == made  # the next command finds what this one has fetched


def test_a_folder_that_others_may_write_to_is_not_taken(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = temporary / f"detboard-home-{os.getuid()}"
    taken.mkdir()
    taken.chmod(0o777)
    monkeypatch.setenv("HOME", NOWHERE)
    own_home()
    assert Path(os.environ["HOME"]).parent == temporary
    assert Path(os.environ["HOME"]) != taken


def test_caches_that_cannot_be_written_lie_elsewhere(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As 'sudo pip' leaves it.
    home = temporary / "home"
    home.mkdir()
    (home / ".cache").write_text("")
    monkeypatch.setenv("HOME", str(home))
    (message,) = own_home()
    assert os.environ["HOME"] == str(home)
    assert Path(os.environ["XDG_CACHE_HOME"]).parent == temporary
    assert f"{home}/.cache" in message and "set XDG_CACHE_HOME" in message


@pytest.mark.parametrize("path", ["caches", "./caches", "~/caches"])
def test_a_relative_path_does_not_count(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("HOME", str(temporary))
    monkeypatch.setenv("XDG_CACHE_HOME", path)
    monkeypatch.setenv("XDG_CONFIG_HOME", path)
    monkeypatch.delenv("DETBOARD_CLUSTER", raising=False)
    usual = temporary / ".cache" / "detboard"
    assert folder_of_images() == usual / "decoded"
    assert cache_file() == usual / "backbones.json"
    seen = Seen.of(temporary, Reader()).path
    assert seen is not None and seen.parent == usual / "images"
    assert site_file() == temporary / ".config" / "detboard" / "cluster.yaml"
    messages = own_home()
    assert messages == [
        f"{name}={path} is no absolute path, and does not count; {temporary / usual} is used"
        for name, usual in (("XDG_CACHE_HOME", ".cache"), ("XDG_CONFIG_HOME", ".config"))
    ]
    assert fetched.hub() == temporary / ".cache" / "torch" / "hub" / "checkpoints"
    assert torch.hub.get_dir() == str(fetched.hub().parent)


def test_a_user_without_an_entry_has_a_name(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pwd, "getpwuid", _no_entry)
    monkeypatch.setenv("HOME", str(temporary))
    monkeypatch.delenv("USER")
    assert own_home() == []
    assert os.environ["USER"] == f"uid{os.getuid()}"


def test_a_command_says_where_caches_go(tmp_path: Path) -> None:
    done = run_detboard("plan", str(TINY), HOME=NOWHERE, TMPDIR=str(tmp_path))
    assert f"warning: the home folder ({NOWHERE}) cannot be written" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [f"detboard-home-{os.getuid()}"]


def test_a_checkout_that_git_does_not_trust_is_told(synthetic_data: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "of somebody"
    checkout.mkdir()
    (checkout / "own.yaml").write_text(TINY.read_text())
    (checkout / "configs").symlink_to(TINY.parent / "configs")
    subprocess.run(["git", "init", "-q", str(checkout)], check=True)
    bench = Bench(synthetic_data, tmp_path / "results", checkout / "own.yaml")
    trusting = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory"}
    others = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1", **trusting, "GIT_CONFIG_VALUE_0": "/else"}
    told = bench.run("plan", **others).stderr
    assert f"git says nothing of {checkout}, which is another user's" in told
    assert f"safe.directory '{checkout}'" in told
    assert told.count("git says nothing of") == 2  # of that one, and of the package's
    assert "git says" not in bench.run("plan", **{**others, "GIT_CONFIG_VALUE_0": "*"}).stderr
