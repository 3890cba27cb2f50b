"""The process of a job on a node that pretends to train: ``FOLDER OPTIONS``; it imports no torch.

It takes its run from a store as every job does, and each iteration is a line of the journal; each fifth leaves a
checkpoint. Renewals and looks come faster than in earnest.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

from records import record

from benchmark.launchers.child import from_json
from benchmark.launchers.machine import MachineJob
from benchmark.launchers.mirror import node, turn
from benchmark.run import checkpoints
from benchmark.run.folder import RunFolder
from benchmark.run.journal import Journal
from benchmark.run.options import JobOptions
from benchmark.run.starts import note_start

ITERATIONS = int(os.environ.get("PRETEND_ITERATIONS", "40"))
STANDS_AT = int(os.environ.get("PRETEND_STANDS_AT", "0"))
"""Where a run's first job stands still until it is killed; 0: nowhere."""
SAVED_EACH = 5
STEP_S = 0.03


def faster() -> None:
    """Seconds in place of minutes."""
    turn.SILENT_S = 1.5
    node.RENEW_S = node.PUSH_S = 0.15
    node.PATIENCE_S = float(os.environ.get("PRETEND_PATIENCE_S", "60"))


class PretendJob(MachineJob):
    """A thread that trains, as far as anybody can see from outside."""

    def __init__(self, folder: Path, options: JobOptions) -> None:
        self.folder = RunFolder(folder)
        self.killed = False
        self.thread = threading.Thread(target=self._train, daemon=True)
        self.thread.start()

    def _train(self) -> None:
        note_start(self.folder, "pretended")
        folder = self.folder.checkpoints
        newest = next((path for path in checkpoints.saved(folder)), None)
        begun = 0 if newest is None else checkpoints.done(newest)[1]
        self._say(
            f"goes on at {begun}, beside {sorted(path.name for path in self.folder.path.parent.iterdir())}"
        )
        journal = Journal(self.folder.metrics_file)
        journal.start(begun, ITERATIONS)
        for iteration in range(begun + 1, ITERATIONS + 1):
            time.sleep(STEP_S)
            while begun == 0 and iteration == STANDS_AT:
                time.sleep(STEP_S)
            if self.killed or self.folder.stop_file.exists():
                return self._say("stopped")
            journal.write({"kind": "train", "iter": iteration, "loss": 1.0})
            if iteration % SAVED_EACH == 0:
                self._save(f"iter_{iteration}.pth")
        self._end()
        return None

    def _save(self, name: str) -> None:
        """As mmengine does it: in place, slowly."""
        self.folder.checkpoints.mkdir(exist_ok=True)
        with zipfile.ZipFile(self.folder.checkpoints / name, "w") as archive:
            archive.writestr("weights", os.urandom(4000))
            time.sleep(STEP_S)
        for old in checkpoints.saved(self.folder.checkpoints)[2:]:
            old.unlink()

    def _end(self) -> None:
        self._save(checkpoints.FINAL)
        self.folder.predictions_file.write_text("[]\n" * 1000)
        spec = self.folder.read_spec()
        made = record(run_id=spec.run_id, row=spec.row, seed=spec.seed, profile=spec.profile)
        self.folder.write_record(replace(made, params=ITERATIONS))
        checkpoints.remove_all_but_final(self.folder.checkpoints)

    def _say(self, text: str) -> None:
        with self.folder.log_file.open("a") as log:
            log.write(f"{text}\n")

    def ended(self) -> bool:
        return not self.thread.is_alive()

    def exit_text(self) -> str:
        return "exit status 0"

    def met_fault(self) -> bool:
        return False

    def cpu_seconds(self) -> float | None:
        return 1.0

    def kill(self) -> None:
        self.killed = True
        self.thread.join()


if __name__ == "__main__":
    faster()
    sys.exit(node.run_mirrored(Path(sys.argv[1]).name, from_json(sys.argv[2]), PretendJob))
