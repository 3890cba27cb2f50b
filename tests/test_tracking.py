import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import records
import wandb
import wandb_file
from PIL import Image
from wandb_server import FakeServer, serving

from benchmark.data.annotations import read_annotations
from benchmark.data.dataset import Dataset, Split
from benchmark.experiment.experiment import Tracking
from benchmark.job.measure.samples import sample_images
from benchmark.run.folder import RunFolder
from benchmark.run.record import State, Tracked
from benchmark.run.samples import Box
from benchmark.run.spec import RunSpec
from benchmark.statistics.evaluation import Detections
from benchmark.tracking import guarded
from benchmark.tracking.runs import RunTracker
from benchmark.tracking.wandb import access
from benchmark.tracking.wandb import tracker as tracker_module

pytestmark = pytest.mark.usefixtures("clean_wandb")

KEY = "0123456789abcdef0123456789abcdef01234567"
VAL_HASH = "b2" * 32
CLASSES = ("Paper", "Plastic bag")
CONFIG = {"model": {"type": "RetinaNet", "depths": (3, 4)}, "hook": print, "lr": 0.01}

TRAIN = {"kind": "train", "iter": 10, "epoch": 1, "lr": 0.02, "loss": 1.5, "memory_mib": 300}
VAL = {
    "kind": "val",
    "iter": 20,
    "epoch": 2,
    "mAP50": 0.25,
    "mAP": 0.125,
    "mAP_s": None,
    "per_class": {
        "Paper": {"mAP50": 0.5, "mAP": 0.25},
        "Plastic bag": {"mAP50": None, "mAP": None},
    },
    "no_predictions": False,
}


@pytest.fixture
def dataset(tmp_path):
    image = {"id": 7, "file_name": "a.png", "width": 60, "height": 40}
    empty = {"id": 3, "file_name": "none.png", "width": 60, "height": 40}
    categories = [{"id": 5, "name": "Paper"}, {"id": 2, "name": "Plastic bag"}]
    box = {"id": 1, "image_id": 7, "category_id": 2, "bbox": [10, 5, 20, 30], "area": 600}
    annotations = {"images": [empty, image], "categories": categories, "annotations": [box]}
    (tmp_path / "val.json").write_text(json.dumps(annotations))
    Image.new("RGB", (60, 40), "green").save(tmp_path / "a.png")
    val = Split(tmp_path / "val.json", tmp_path, VAL_HASH)
    return Dataset("waste", CLASSES, Split(tmp_path / "train.json", tmp_path, "a1" * 32), val)


@pytest.fixture
def spec(dataset):
    return RunSpec(
        run_id="retina-s3-smoke-1a2b3c4d",
        experiment="leaderboard",
        row="retina",
        labels={"Backbone": "ResNet-50"},
        recipe="parts",
        names={"backbone": "resnet50", "schedule": "step_1x"},
        seed=3,
        dataset=dataset,
        profile="smoke",
    )


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "retina-s3-smoke-1a2b3c4d"
    path.mkdir()
    return RunFolder(path)


def record(state=State.COMPLETE):
    metrics = {"mAP50": 0.25, "mAP_s": None, "per_class": {"Paper": {"mAP50": 0.5}}}
    return records.record(state=state, metrics=metrics, params=1234, train_seconds=5.5)


def track(spec, folder, mode="auto", points=(TRAIN, VAL), state=State.COMPLETE):
    """A whole tracked run; returns what the record would hold."""
    tracker = RunTracker(spec, CONFIG, folder.path, Tracking(mode=mode))
    for point in points:
        tracker.log(point)
    tracked = tracker.tracked
    tracker.finish(record(state))
    return tracked


def the_run(folder):
    [attempt] = wandb_file.offline_folders(folder.path)
    return wandb_file.read_run(attempt)


def files_below(path):
    return [file for file in path.rglob("*") if file.is_file()]


def with_key(path):
    return [file for file in files_below(path) if KEY.encode() in file.read_bytes()]


def test_offline_run_holds_points_config_and_summary(spec, folder):
    assert track(spec, folder) == Tracked("wandb", "offline")
    run = the_run(folder)
    assert (run.id, run.group, run.name) == (spec.run_id, "leaderboard", "retina seed 3")
    assert run.project == "detboard"
    assert set(run.tags) == {"smoke", "resnet50", "step_1x", "complete"}
    assert run.exit_code == 0

    assert run.series("train/loss") == [(10, 1.5)]
    assert run.series("train/lr") == [(10, 0.02)]
    assert run.series("train/memory_mib") == [(10, 300)]
    assert run.series("val/mAP50") == [(20, 0.25)]
    assert run.series("val/AP50/Paper") == [(20, 0.5)]
    assert run.series("val/AP/Paper") == [(20, 0.25)]
    assert [point["epoch"] for point in run.points] == [1, 2]
    keys = {key for point in run.points for key in point}
    assert not keys & {"val/mAP_s", "val/AP50/Plastic bag", "val/per_class"}
    assert run.step_metrics["train/*"] == run.step_metrics["val/*"] == "iter"

    assert run.config["model"] == {"type": "RetinaNet", "depths": [3, 4]}
    assert run.config["labels"] == {"Backbone": "ResNet-50"}
    assert (run.config["seed"], run.config["profile"]) == (3, "smoke")
    assert run.config["dataset"]["val_sha256"] == VAL_HASH
    assert run.config["dataset"]["classes"] == list(CLASSES)

    assert run.summary["state"] == "complete"
    assert run.summary["metrics"]["mAP50"] == 0.25
    assert run.summary["metrics"]["per_class"] == {"Paper": {"mAP50": 0.5}}
    assert (run.summary["params"], run.summary["train_seconds"]) == (1234, 5.5)


def test_many_points_cross_the_blocks_of_the_file(spec, folder):
    points = [{**TRAIN, "iter": i, "loss": 1 / i} for i in range(1, 401)]
    track(spec, folder, points=points)
    assert the_run(folder).series("train/loss") == [(i, 1 / i) for i in range(1, 401)]


def test_points_of_other_kinds_are_left_out(spec, folder):
    track(spec, folder, points=[{"kind": "start", "iter": 0, "max_iters": 20}])
    assert the_run(folder).points == []


def test_failed_run_says_so(spec, folder):
    track(spec, folder, state=State.FAILED)
    run = the_run(folder)
    assert "failed" in run.tags and run.summary["state"] == "failed" and run.exit_code == 1


def test_images_show_true_and_predicted_boxes(spec, folder, dataset):
    detections = Detections.from_coco(
        [
            {"image_id": 7, "category_id": 5, "bbox": [1, 2, 3, 4], "score": 0.25},
            {"image_id": 7, "category_id": 2, "bbox": [11, 6, 20, 30], "score": 0.75},
            {"image_id": 3, "category_id": 2, "bbox": [0, 0, 5, 5], "score": 0.9},
        ]
    )
    tracker = RunTracker(spec, CONFIG, folder.path, Tracking())
    tracker.log(VAL)
    tracker.images(samples(dataset, detections, 4))
    tracker.finish(record())

    [(iteration, images)] = the_run(folder).series("val/images")
    assert iteration == 20 and images["count"] == 1  # the image without true boxes is not shown
    [attempt] = wandb_file.offline_folders(folder.path)
    stored = attempt / "files" / images["filenames"][0]
    assert np.array_equal(
        np.asarray(Image.open(stored)), np.asarray(Image.open(tmp_image(dataset)))
    )
    predicted = json.loads(drawn(attempt, images, "predictions"))["box_data"]
    true = json.loads(drawn(attempt, images, "ground_truth"))["box_data"]
    assert [box["class_id"] for box in predicted] == [1, 0]  # best first, ids are label indices
    assert predicted[0]["scores"] == {"score": 0.75}
    assert predicted[0]["position"] == {"minX": 11, "minY": 6, "maxX": 31, "maxY": 36}
    assert true[0]["position"] == {"minX": 10, "minY": 5, "maxX": 30, "maxY": 35}
    assert true[0]["box_caption"] == "Plastic bag" and true[0]["domain"] == "pixel"


def samples(dataset, detections, limit):
    annotations = read_annotations(dataset.val.annotations)
    return sample_images(annotations, dataset.val.images, detections, limit)


def tmp_image(dataset):
    return dataset.val.images / "a.png"


def drawn(attempt, images, key):
    [boxes] = images["all_boxes"]
    return (attempt / "files" / boxes[key]["path"]).read_text()


def test_samples_without_predictions_and_with_limits(dataset):
    nothing = Detections.from_coco([])
    [sample] = samples(dataset, nothing, 4)
    assert sample.predictions == []
    assert sample.truth == [Box("Plastic bag", (10, 5, 30, 35))]
    assert sample.path.name == "a.png"
    assert list(samples(dataset, nothing, 0)) == []


def test_resume_continues_under_the_same_id(spec, folder):
    first = RunTracker(spec, CONFIG, folder.path, Tracking())
    first.log(TRAIN)
    first.abandon()
    changed = RunTracker(spec, {**CONFIG, "lr": 0.5}, folder.path, Tracking())
    changed.log(VAL)
    changed.finish(record())

    runs = [wandb_file.read_run(path) for path in wandb_file.offline_folders(folder.path)]
    assert [run.id for run in runs] == [spec.run_id, spec.run_id]
    assert [run.preempted for run in runs] == [True, False]
    assert [point["iter"] for run in runs for point in run.points] == [10, 20]
    assert [run.config["lr"] for run in runs] == [0.01, 0.5]
    assert "state" not in runs[0].summary and runs[1].summary["state"] == "complete"


@pytest.mark.parametrize("asked, environment", [("off", "online"), ("auto", "disabled")])
def test_off_writes_nothing(spec, folder, dataset, monkeypatch, asked, environment):
    monkeypatch.setenv("WANDB_MODE", environment)
    tracker = RunTracker(spec, CONFIG, folder.path, Tracking(mode=asked))
    tracker.log(TRAIN)
    samples = iter(["not read"])
    tracker.images(samples)
    assert tracker.tracked == Tracked("wandb", "off")
    tracker.finish(record())
    assert files_below(folder.path) == [] and next(samples) == "not read"


def test_wandb_that_cannot_start_is_reported_once(spec, folder, monkeypatch, capfd):
    monkeypatch.setattr(wandb, "init", raising(OSError("no space left on device")))
    assert track(spec, folder) == Tracked("wandb", "off")
    assert capfd.readouterr().err.count("no space left on device") == 1


def test_wandb_that_fails_later_is_reported_once(spec, folder, monkeypatch, capfd):
    from wandb.sdk.wandb_run import Run

    monkeypatch.setattr(Run, "log", raising(RuntimeError("the log is broken")))
    track(spec, folder)
    assert capfd.readouterr().err.count("the log is broken") == 1
    assert the_run(folder).summary["state"] == "complete"


def test_wandb_that_is_not_installed(spec, folder, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert track(spec, folder) == Tracked("wandb", "off")
    assert "not tracked" in capfd.readouterr().err


@pytest.mark.slow
def test_finish_does_not_wait_for_ever(spec, folder, monkeypatch, capfd):
    from wandb.sdk.wandb_run import Run

    release = threading.Event()
    monkeypatch.setattr(Run, "finish", lambda *_args, **_kwargs: release.wait())
    monkeypatch.setattr(guarded, "FINISH_PATIENCE_S", 0.5)
    tracker = RunTracker(spec, CONFIG, folder.path, Tracking())
    assert tracker.tracked.mode == "offline"
    worker = worker_thread()
    tracker.finish(record())
    try:
        assert "wandb sync" in capfd.readouterr().err
        assert worker.is_alive()
    finally:
        release.set()
        worker.join()


def worker_thread():
    [thread] = [thread for thread in threading.enumerate() if thread.name == "tracker"]
    return thread


def raising(error):
    def fail(*_args, **_kwargs):
        raise error

    return fail


@pytest.mark.parametrize("mode", ["offline", "auto", "online"])
def test_key_ends_up_in_no_file(spec, folder, monkeypatch, capfd, mode):
    monkeypatch.setenv("WANDB_API_KEY", KEY)  # and nothing listens at the base URL
    assert track(spec, folder, mode) == Tracked("wandb", "offline")
    output = capfd.readouterr()
    assert ("does not answer" in output.err) == (mode != "offline")
    assert the_run(folder).series("train/loss") == [(10, 1.5)]
    assert KEY not in output.out + output.err
    assert with_key(folder.path) == []


@pytest.mark.slow
def test_server_that_accepts_and_never_answers(spec, folder, monkeypatch, capfd):
    monkeypatch.setattr(access, "PROBE_TIMEOUT_S", 0.3)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert track(spec, folder).mode == "offline"
    assert "does not answer" in capfd.readouterr().err
    assert the_run(folder).series("val/mAP50") == [(20, 0.25)]


@pytest.mark.slow
@pytest.mark.parametrize("status", [None, 401, 500])
def test_server_that_is_no_use(spec, folder, monkeypatch, capfd, status):
    monkeypatch.setattr(tracker_module, "INIT_TIMEOUT_S", 2.0)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with serving(FakeServer(status, silent=status is None)) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        assert track(spec, folder) == Tracked("wandb", "offline")
    assert "cannot log to" in capfd.readouterr().err
    run = wandb_file.read_run(wandb_file.offline_folders(folder.path)[-1])
    assert run.series("train/loss") == [(10, 1.5)]
    assert run.summary["state"] == "complete"
    assert with_key(folder.path) == []


@pytest.mark.slow
def test_online_run_is_uploaded(spec, folder, monkeypatch, capfd):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with serving(FakeServer()) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        info = track(spec, folder)
    assert info.mode == "online"
    assert info.url == f"{server.url}/somebody/detboard/runs/{spec.run_id}"
    assert [line["train/loss"] for line in server.uploaded if "train/loss" in line] == [1.5]
    assert [line["val/mAP50"] for line in server.uploaded if "val/mAP50" in line] == [0.25]
    assert server.resume_asked  # a second attempt continues the run and does not replace it
    sent = server.variables[-1]
    assert (sent["name"], sent["groupName"]) == (spec.run_id, "leaderboard")
    assert "complete" in sent["tags"]
    assert json.loads(sent["config"])["labels"]["value"] == {"Backbone": "ResNet-50"}
    output = capfd.readouterr()
    assert KEY not in output.out + output.err and with_key(folder.path) == []


@pytest.mark.slow
def test_server_that_goes_away_leaves_the_data_on_disk(spec, folder, monkeypatch, capfd):
    monkeypatch.setattr(tracker_module, "UPLOAD_TIMEOUT_S", 5.0)  # the worker ends within the test
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with serving(FakeServer()) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        tracker = RunTracker(spec, CONFIG, folder.path, Tracking())
        worker = worker_thread()
        assert tracker.tracked.mode == "online"
    tracker.log(VAL)
    tracker.finish(record())
    assert "wandb sync" in capfd.readouterr().err
    run = the_run(folder)
    assert run.series("val/mAP50") == [(20, 0.25)] and run.summary["state"] == "complete"
    worker.join()


def test_invalid_key_is_not_the_end(spec, folder, monkeypatch, capfd):
    monkeypatch.setattr(access, "_answers", lambda _url: True)
    monkeypatch.setenv("WANDB_API_KEY", "tooshort")
    assert track(spec, folder).mode == "offline"
    error = capfd.readouterr().err
    assert "WANDB_API_KEY: the key has 8 letters" in error and "tooshort" not in error


def test_mode_follows_the_environment(monkeypatch):
    assert access.effective_mode("auto")[0] == "offline"
    wandb.teardown()
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert access.effective_mode("auto")[0] == "online"
    wandb.teardown()
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert access.effective_mode("auto") == ("offline", "WANDB_MODE=offline")
    assert access.effective_mode("online")[0] == "online"  # by hand wins
    assert access.effective_mode("off")[0] == "off"


@pytest.mark.parametrize(
    "server, machine, mode",
    [
        ("https://wandb.example.org", "wandb.example.org", "online"),
        ("https://wandb.example.org", "api.wandb.ai", "offline"),
        ("https://api.wandb.ai", "api.wandb.ai", "online"),
    ],
)
def test_login_in_netrc_is_for_its_server(monkeypatch, tmp_path, server, machine, mode):
    (tmp_path / "netrc").write_text(f"machine {machine}\n  login user\n  password {KEY}\n")
    monkeypatch.setenv("WANDB_BASE_URL", server)
    assert access.effective_mode("auto")[0] == mode


def test_login_for_wandb_is_found_without_a_base_url(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text(f"machine api.wandb.ai\n  login user\n  password {KEY}\n")
    monkeypatch.delenv("WANDB_BASE_URL")
    assert access.effective_mode("auto")[0] == "online"


def test_broken_netrc_is_reported_without_its_content(spec, folder, tmp_path, capfd):
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1:9 login user passwd {KEY}\n")
    assert track(spec, folder).mode == "offline"
    output = capfd.readouterr()
    assert str(tmp_path / "netrc") in output.err
    assert KEY not in output.out + output.err


SCRIPT = """
import sys
from pathlib import Path
from benchmark.experiment.experiment import Tracking
from benchmark.run.folder import RunFolder
from benchmark.tracking.runs import RunTracker
folder = RunFolder(Path(sys.argv[1]))
tracker = RunTracker(folder.read_spec(), {}, folder.path, Tracking(mode=sys.argv[2]))
tracker.log({"kind": "train", "iter": 1, "epoch": 1, "loss": 2.0})
print(tracker.tracked.mode, flush=True)
if len(sys.argv) > 3:
    sys.stdin.read()
tracker.abandon()
"""


@pytest.mark.slow
@pytest.mark.parametrize("terminal", [True, False])
def test_missing_login_never_prompts(spec, folder, terminal):
    folder.write_spec(spec)
    command = [sys.executable, "-c", SCRIPT, str(folder.path), "online"]
    ours, theirs = pty.openpty() if terminal else (None, subprocess.DEVNULL)
    done = subprocess.run(
        command, stdin=theirs, capture_output=True, text=True, timeout=300, close_fds=True
    )
    for descriptor in (ours, theirs) if terminal else ():
        os.close(descriptor)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "offline"
    assert "no API key or login" in done.stderr
    assert the_run(folder).series("train/loss") == [(1, 2.0)]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
def test_service_process_ends_with_a_killed_job(spec, folder):
    folder.write_spec(spec)
    command = [sys.executable, "-c", SCRIPT, str(folder.path), "offline", "wait"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as job:
        while job.stdout.readline().strip() != "offline":
            assert job.poll() is None
        [service] = services_of(job.pid)
        job.send_signal(signal.SIGKILL)
    while services_of(job.pid):  # the test's own timeout ends a service that stays
        time.sleep(0.1)
    assert not Path(f"/proc/{service}/exe").exists()


def services_of(pid):
    """Ids of the wandb service processes that were started by a process; ended ones have no command."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"wandb-core" in words[0] and str(pid).encode() in words:
            found.append(int(path.parent.name))
    return found
