"""As many runs side by side as find memory, and what becomes of one that finds none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from command import TINY, Bench, here, study, variant

from benchmark.errors import UserError
from benchmark.launchers import AUTO, machine, make_launcher


def with_models(content: dict[str, Any], rows: dict[str, dict[str, Any]]) -> None:
    """Gives an experiment a row for each entry: a detector of `hungry`, and what else of its config is changed."""
    plain = content["rows"][0]
    common = {"+custom_imports": {"imports": ["hungry"]}, "train_cfg.max_epochs": 2}
    content["rows"] = [
        {**plain, "name": name, "set": {**common, **changed}} for name, changed in rows.items()
    ]


NORMS = {"+model.backbone.norm_eval": False}
ROWS: dict[str, dict[str, Any]] = {
    "patient": {"model.type": "Patient"},
    "crowded": {"model.type": "Crowded"},
    "starving": {"model.type": "Hungry", "+model.most": 0, "train_dataloader.batch_size": 1},
    "hungry": {"model.type": "Hungry", "+model.most": 2, "+model.begins": 8, **NORMS},
}


@pytest.mark.trains
@pytest.mark.slow
def test_a_run_that_finds_no_memory_goes_on_with_more_room_or_less_at_once(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cpu_count", lambda: 2)
    path = variant(tmp_path, lambda content: with_models(content, ROWS))
    bench = Bench(synthetic_data, tmp_path / "results", path)
    done = bench.here("sweep", "--slots", "auto", "--wandb", "off")
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "as many at a time as find memory, up to 2, with 1 CPU thread each" in said

    _assert_shared(bench, said)
    _assert_halved(bench, said, tmp_path / "seen")
    _assert_told(bench)


def _assert_shared(bench: Bench, said: str) -> None:
    """The second joined the first once that had said what it takes, and had found nothing: it began again alone."""
    assert re.search(r"patient: takes \d+\.\d GiB of the machine's memory", said)
    assert said.count(": started") == 6, said
    assert said.count("waits (out of memory beside others; it is started again alone)") == 1
    assert re.search(r"patient-\S+: complete.*crowded-\S+: started", said, re.DOTALL)
    patient, crowded = bench.record("patient"), bench.record("crowded")
    assert patient["provenance"]["beside"] == crowded["provenance"]["beside"] == 1
    assert patient["accumulation"] is crowded["accumulation"] is None


def _assert_halved(bench: Bench, said: str, seen: Path) -> None:
    """Alone, at the ninth iteration: from the checkpoint of the sixth on it goes on with two of its four images."""
    assert (
        "out of memory with 4 images at once and no run beside it; it goes on with 2 at once"
        in said
    )
    hungry = bench.record("hungry")
    begun = [{"iteration": 6, "images": 2}]
    whole = {"batch": 4, "images": 2, "begun": begun, "batch_norm": True}
    assert (hungry["accumulation"], hungry["provenance"]["beside"]) == (whole, None)
    assert [point["iter"] for point in bench.points("hungry", "start")] == [0, 6]
    at_once = seen.read_text().split()
    assert at_once == ["1"] + ["4"] * 9 + ["2"] * 12  # six iterations of two parts
    failure = bench.record("starving")["failure"]
    assert failure["kind"] == "oom"
    assert (
        "one image at once finds no memory either: make images or the model smaller"
        in failure["message"]
    )


def _assert_told(bench: Bench) -> None:
    """The table says of which run that is, and how many shared the device; nothing is made again for it."""
    table = (bench.results / "tiny.md").read_text()
    assert (
        "hungry: seed 0: for want of memory its batches of 4 images went through the model in parts of at most 2 from "
        "iteration 6 on; the weights changed once a batch; losses were normalised in each part; its batch norm saw the "
        "parts, not the batch"
    ) in table
    assert "up to 2 runs at a time" in table
    again = bench.here("plan")
    assert again.stdout.count("complete") == 3
    assert "hungry: seed 0: for want of memory its batches" in " ".join(again.stdout.split())


@pytest.mark.parametrize("launcher", ["inprocess", "slurm", "ray"])
def test_launchers_that_share_out_no_memory_refuse_it(launcher: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--slots auto: .* leave --slots out"):
        make_launcher(launcher, AUTO)


def test_a_study_that_judges_by_latency_refuses_it(synthetic_data: Path, tmp_path: Path) -> None:
    bench = Bench(
        synthetic_data, tmp_path / "results", study(tmp_path, objective=["mAP50", "latency"])
    )
    done = bench.here("tune", "--slots", "auto")
    assert done.returncode == 2
    assert "--slots auto: latency is an objective" in done.stderr
    assert not list(bench.results.glob("runs/*-s*"))


@pytest.mark.parametrize("text", ["0", "-1", "all", "1.5"])
def test_a_number_of_slots_that_is_none_is_refused(text: str) -> None:
    done = here(["sweep", str(TINY), f"--slots={text}"])
    assert done.returncode == 2
    assert f"{text}: give a whole number from 1, or auto" in done.stderr
