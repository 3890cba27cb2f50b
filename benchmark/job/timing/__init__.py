"""Times a run's training: a few iterations of what its job does, and no evaluation.

It leaves ``timed.json`` and no record.
"""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress
from dataclasses import replace

from benchmark.job.building import build_runner, config_of, make_ready, read_content
from benchmark.job.failures import in_words, of_machine
from benchmark.job.inputs import Inputs
from benchmark.job.several import rank
from benchmark.job.timing.shortened import shortened
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions
from benchmark.run.timed import Timed, write_timed


def time_training(folder: RunFolder, options: JobOptions) -> None:
    """Trains the run at ``folder`` for ``options.timed`` iterations, once it is given the word to begin.

    Whatever fails, ``timed.json`` says what, unless the process dies.

    Raises:
        Exception: The machine is at fault, see `benchmark.job.failures.of_machine`; or it is one of several processes,
            the others of which would wait for it.
    """
    make_ready(options.resources, options.cache)
    from benchmark.job.on_disk import loading

    try:
        with loading(options.trust_checkpoints):
            timed = _timed(folder, options)
    except (Exception, SystemExit) as error:  # a module may call sys.exit
        with suppress(OSError):
            traceback.print_exc()
            sys.stderr.flush()
        if of_machine(error, folder) is not None:
            raise
        write_timed(folder, Timed(cause=in_words(error)))
        if options.resources.processes > 1:
            raise
        return
    if rank() == 0:
        write_timed(folder, timed)


def _timed(folder: RunFolder, options: JobOptions) -> Timed:
    from benchmark.job.timing.hook import Enough, TimingHook
    from benchmark.job.training import MemoryHook
    from benchmark.job.tryout.weights import leave_out
    from benchmark.run.provenance import device_name

    spec = folder.read_spec()
    content = read_content(spec, folder, Inputs(spec, folder))
    notes = leave_out(content)
    content, warm_up, wanted = shortened(content, options.timed, options.resources.processes)
    runner = build_runner(config_of(folder, content), folder, options.resources)
    runner.belong_to(spec.ids, None)
    memory = MemoryHook()
    timing = TimingHook(folder, options.timed, warm_up)
    for hook in (memory, timing):
        runner.register_hook(hook)
    with suppress(Enough):
        runner.train()
    return replace(
        timing.found,
        complete=True,
        notes=(*notes, *runner.notes),
        wanted=wanted,
        peak_memory_gib=round(memory.peak_gib, 4),
        device=device_name(),
    )
