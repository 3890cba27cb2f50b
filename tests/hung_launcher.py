"""A launcher whose jobs write a line and then wait for ever, as a loader does on a mount that is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from toy_launcher import ToyJob, ToyLauncher

from benchmark.launchers import Job
from benchmark.launchers.processes import process_id
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions

WAITS = "import time; time.sleep(600)"


class HungJob(ToyJob):
    outlives_driver = False


class HungLauncher(ToyLauncher):
    name = "hung"
    outlives_driver = False

    def submit(self, folder: Path, options: JobOptions) -> Job:
        with RunFolder(folder).log_file.open("ab") as log:
            log.write(b"\033[31mwaits for a batch\n")
            log.flush()
            command = [sys.executable, "-c", WAITS]
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        (folder / "pid").write_text(str(process.pid))
        return HungJob(process_id(process.pid), RunFolder(folder))
