"""Several processes that train one run, without torchrun around them: what becomes of the others when one ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from command import TINY
from mmengine.runner import Runner
from several import TWO, ends, nothing, start_two

from benchmark.data.annotations import read_annotations
from benchmark.files import append_jsonl, read_jsonl, write_text
from benchmark.job.job import _Training, run_job
from benchmark.job.leaving import leave_if_asked
from benchmark.job.several import GONE, TOLD, Ended, rank
from benchmark.job.training import Diverged, JournalHook
from benchmark.run.folder import RunFolder
from benchmark.run.lease import take_away
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.record import FailureKind, State
from benchmark.run.state import stop_is_schedulers


@pytest.fixture
def folder(synthetic_data: Path, tmp_path: Path) -> RunFolder:
    """A run of two epochs, six iterations in each of two processes, that is ready to start."""
    epochs = {"train_cfg.max_epochs": 2}
    results = tmp_path / "results"
    (run,) = make_plan(
        Request(TINY, results, data_root=synthetic_data, rows=("plain",), overrides=epochs)
    ).runs
    prepare(run)
    return run.folder


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., list[BaseProcess]]]:
    """Starts two processes that train a run together; they end with the test."""
    started: list[BaseProcess] = []

    def both(folder: RunFolder, meanwhile: Callable[[], object] = nothing) -> list[BaseProcess]:
        started.extend(made := start_two(folder, meanwhile))
        return made

    yield both
    for process in started:
        process.kill()
        process.join()


def _at(iteration: int, happens: Callable[[], object]) -> Callable[[], None]:
    """Has something happen in the second process when so many iterations are done."""
    return partial(_have_happen, iteration, happens)


def _have_happen(iteration: int, happens: Callable[[], object]) -> None:
    log = JournalHook.after_train_iter

    def logged(self: JournalHook, runner: Runner, **given: Any) -> None:
        log(self, runner, **given)
        if os.environ["RANK"] == "1" and runner.iter + 1 == iteration:
            happens()

    JournalHook.after_train_iter = logged  # type: ignore[assignment]


def _is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stands_in(homes: Sequence[Path]) -> None:
    os.chdir(homes[rank()])


def _notes_images(folder: RunFolder) -> None:
    """Has each process write down what it learns from, and the second ask both to leave within each epoch."""
    log = JournalHook.after_train_iter

    def noted(self: JournalHook, runner: Runner, data_batch: Any, **given: Any) -> None:
        log(self, runner, data_batch=data_batch, **given)
        images = [sample.img_id for sample in data_batch["data_samples"]]
        append_jsonl(folder.path / f"seen-{rank()}", {"iter": runner.iter + 1, "images": images})
        if rank() == 1 and runner.iter + 1 in (2, 5) and not folder.stop_file.exists():
            write_text(folder.stop_file, "")

    JournalHook.after_train_iter = noted  # type: ignore[assignment,method-assign]


def _is_taken_over(folder: RunFolder) -> None:
    take_away(folder.lease_file)
    _diverges()


def _diverges() -> None:
    raise Diverged("loss is nan at iteration 5")


@pytest.mark.trains
def test_a_process_that_is_lost_leaves_the_run_to_be_continued_wherever_they_stand(
    folder: RunFolder, start: Callable[..., list[BaseProcess]], tmp_path: Path
) -> None:
    killed = ends(start(folder, _at(4, _is_killed)))
    log = (folder.path / "log-0.txt").read_text()
    assert killed == [GONE, -signal.SIGKILL], log
    assert not folder.finished
    assert "a process that trains with this one is gone" in log
    assert stop_is_schedulers(folder.stop_file)

    homes = [tmp_path / "node-0", tmp_path / "node-1"]
    for home in homes:
        home.mkdir()
    done = ends(start(folder, partial(_stands_in, homes)))
    assert done == [0, 0], (folder.path / "log-0.txt").read_text()
    record = folder.read_record()
    assert record.state is State.COMPLETE
    # Each image of the validation was in one process, and its boxes have come to the first through no folder.
    assert record.val_images is not None
    assert record.val_images.count == len(
        read_annotations(folder.read_spec().dataset.val.annotations).images
    )
    assert [list(home.iterdir()) for home in homes] == [[], []]
    trained = [
        point["iter"] for point in read_jsonl(folder.metrics_file) if point["kind"] == "train"
    ]
    assert trained == sorted(set(trained))
    assert trained[-1] == 6
    assert len(read_jsonl(folder.starts_file)) == 2


@pytest.mark.trains
def test_processes_that_are_asked_to_leave_go_on_together_each_with_its_own_next_images(
    folder: RunFolder, start: Callable[..., list[BaseProcess]]
) -> None:
    note = partial(_notes_images, folder)
    for _ in range(2):
        assert ends(start(folder, note)) == [0, 0], (folder.path / "log-0.txt").read_text()
        assert not folder.finished
        folder.stop_file.unlink()
    assert ends(start(folder, note)) == [0, 0], (folder.path / "log-0.txt").read_text()
    assert folder.read_record().state is State.COMPLETE
    seen = [read_jsonl(folder.path / f"seen-{number}") for number in range(2)]
    assert [[at["iter"] for at in each] for each in seen] == [[1, 2, 3, 4, 5, 6]] * 2
    for epoch in (slice(0, 3), slice(3, 6)):
        images = [image for each in seen for at in each[epoch] for image in at["images"]]
        assert len(images) == len(set(images)) == 24


@pytest.mark.trains
def test_what_a_process_fails_of_the_run_fails_of(
    folder: RunFolder, start: Callable[..., list[BaseProcess]]
) -> None:
    failed = ends(start(folder, _at(5, _diverges)))
    assert failed == [TOLD, TOLD]
    record = folder.read_record()
    assert record.state is State.FAILED
    assert record.failure is not None
    assert record.failure.kind is FailureKind.DIVERGED
    assert record.failure.message == "Diverged: loss is nan at iteration 5"
    seconds = [point["elapsed_s"] for point in read_jsonl(folder.metrics_file)]
    assert record.train_seconds == pytest.approx(max(seconds))


def test_a_first_process_that_does_not_join_ends_the_others(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait for it to join, for half an hour."""
    folder.stop_file.write_text('{"state": "pruned"}')
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(_Training, "work", lambda _: leave_if_asked(folder.stop_file))
    with pytest.raises(Ended) as ended:
        run_job(folder.path, TWO)
    assert ended.value.code == TOLD
    assert folder.read_record().state is State.PRUNED


def test_other_processes_than_were_asked_for_are_refused(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would share the images otherwise, and train something else."""
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(Ended):
        run_job(folder.path, TWO)
    failure = folder.read_record().failure
    assert failure is not None
    assert "3 processes were started, and 2 are to train together" in failure.message


@pytest.mark.trains
def test_processes_whose_folder_another_job_has_taken_over_write_nothing_more(
    folder: RunFolder, start: Callable[..., list[BaseProcess]]
) -> None:
    """The first holds the lease; the second looks at it before it says what the run fails of."""
    assert ends(start(folder, _at(5, partial(_is_taken_over, folder)))) == [GONE, GONE]
    assert not folder.finished
    assert not folder.stop_file.exists()
