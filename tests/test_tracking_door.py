"""What stands in the way of tracking is found before any training, and costs no run its tracking."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import wandb
import wandb_file
from command import variant
from records import record
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.cli.doctor import findings
from benchmark.errors import UserError
from benchmark.experiment.experiment import Tracking
from benchmark.tracking.base import Subject
from benchmark.tracking.door import door_of, told_after
from benchmark.tracking.guarded import Guarded
from benchmark.tracking.wandb.environment import usable_settings

pytestmark = pytest.mark.usefixtures("clean_wandb")
KEY = "0123456789" * 4


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"project": "team/waste"},
            "tracking.project: 'team/waste': W&B takes no / in it; the team",
        ),
        ({"project": "waste #1 50%"}, "tracking.project: 'waste #1 50%': W&B takes no # % in it"),
        ({"project": "p" * 200}, "tracking.project: is longer than 128 letters"),
        ({"project": ""}, "tracking.project: is empty"),
        ({"entity": "team/x"}, "tracking.entity: 'team/x': W&B takes no / in it"),
        ({"entity": " "}, "tracking.entity: is empty"),
    ],
)
def test_what_the_experiment_says_is_refused_before_any_training(
    tmp_path: Path, synthetic_data: Path, said: dict[str, Any], message: str
) -> None:
    path = variant(tmp_path, lambda content: content.update(wandb=said))
    options = [str(path), "--data-root", str(synthetic_data), "--results", str(tmp_path / "r")]
    for verb in ("plan", "sweep"):
        done = CliRunner().invoke(app, [verb, *options])
        assert isinstance(done.exception, UserError)
        assert f"{path}: {message}" in str(done.exception)
    assert not list(tmp_path.glob("r/runs/*/spec.json"))


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("WANDB_MODE", "", "'' is none of online"),
        ("WANDB_MODE", "nonsense", "'nonsense' is none of online"),
        ("WANDB_BASE_URL", "api.wandb.ai", "is no address of a server"),
        ("WANDB_BASE_URL", "", "is no address of a server"),
        ("WANDB_BASE_URL", "http://[", "Invalid IPv6 URL"),
        ("WANDB_API_KEY", f" {KEY}", "begins or ends with white space"),
        ("WANDB_API_KEY", "", "the key is empty"),
        ("WANDB_API_KEY", "short", "the key has 5 letters, and a key has 40"),
        ("WANDB_INIT_TIMEOUT", "soon", "'soon': must be a number"),
    ],
)
def test_what_the_environment_says_is_told_and_never_the_key(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    monkeypatch.setenv(name, value)
    (told,) = door_of(Tracking()).hindered
    assert told.startswith(f"{name}: ") and why in told
    assert KEY not in told
    assert (
        door_of(Tracking(mode="off")).hindered == door_of(Tracking(mode="offline")).hindered == ()
    )
    (found,) = (
        (f for f in findings() if f.found == told) if name == "WANDB_INIT_TIMEOUT" else [None]
    )
    assert found is None or (found.problem and "unset" in found.remedy)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WANDB_API_KEY", KEY),
        ("WANDB_API_KEY", f"local-{KEY}"),
        ("WANDB_API_KEY", "a.b.c"),
        ("WANDB_BASE_URL", "https://wandb.example.org/"),
        ("WANDB_MODE", "dryrun"),
        ("WANDB_TAGS", "a,b"),
    ],
)
def test_what_wandb_takes_hinders_nothing(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert door_of(Tracking()).hindered == ()


def test_the_environment_is_not_written_where_it_is_as_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """W&B's threads read it in C by then: one that is written meanwhile may end the process."""
    written: list[bytes] = []

    def watched(call: Callable[..., None], name: bytes, *value: bytes) -> None:
        written.append(name)
        call(name, *value)

    for name in ("putenv", "unsetenv"):
        monkeypatch.setattr(os, name, partial(watched, getattr(os, name)))
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert written == [b"WANDB_MODE"]  # they are seen
    with usable_settings(tmp_path) as set_aside:
        assert not set_aside
    assert written == [b"WANDB_MODE"]
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
    with usable_settings(tmp_path):
        assert "WANDB_SWEEP_ID" not in os.environ
        os.environ["WANDB_SERVICE"] = "left behind"
    assert os.environ["WANDB_SWEEP_ID"] == "abc" and "WANDB_SERVICE" not in os.environ


def test_a_run_is_tracked_on_disk_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = {
        "WANDB_MODE": "nonsense",
        "WANDB_BASE_URL": "api.wandb.ai",
        "WANDB_API_KEY": f" {KEY} ",
        "WANDB_INIT_TIMEOUT": "soon",
        "WANDB_SWEEP_ID": "abc",
        "WANDB_DIR": "/nowhere/at/all",
        "WANDB_CACHE_DIR": "/proc/none",
    }
    for name, value in odd.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings").write_bytes(b"\xff\xfe")
    folder = tmp_path / "run"
    folder.mkdir()
    guarded = Guarded(Subject("run", "mine-s0", "mine", "g", (), {}, folder), Tracking())
    guarded.do(lambda tracker: tracker.log({"train/loss": 0.5}, {"iter": 1}))
    assert guarded.tracked.mode == "offline"
    guarded.finish(lambda: {"params": 1})
    (attempt,) = wandb_file.offline_folders(folder)
    run = wandb_file.read_run(attempt)
    assert run.id == "mine-s0"  # another's sweep would have given it an id of its own
    assert [point["train/loss"] for point in run.points] == [0.5]
    told = capfd.readouterr().err
    for name in ("MODE", "BASE_URL", "API_KEY", "INIT_TIMEOUT"):
        assert f"W&B: WANDB_{name}: " in told
    assert "W&B's settings file" in told and KEY not in told
    assert {name: os.environ[name] for name in odd} == odd
    wandb.teardown()


def test_what_became_of_the_tracking_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = ["offline", "off", "online"]
    records = [record(tracking={"name": "wandb", "mode": m, "url": None}) for m in modes]
    assert told_after(Tracking(mode="online"), [*records, None]) == [
        "W&B: 1 of 3 runs are not tracked; each log.txt says why",
        "W&B: 1 of 3 runs are tracked offline only: see log.txt",
    ]
    assert told_after(Tracking(), records[::2]) == []  # no login: offline is what auto means
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert told_after(Tracking(), records[1:2]) == []
