"""The command line: one file a command, beside the options that they share in `app`."""

from benchmark.cli import (
    bench,
    compare,
    config,
    data,
    doctor,
    init,
    plan,
    predict,
    report,
    runs,
    submit,
    sweep,
    tune,
    version,
    weights,
)
from benchmark.cli.all import run_all
from benchmark.cli.app import app, main

__all__ = ["main"]

app.callback()(version.options)
for _command in (
    init.init,
    plan.plan,
    config.config,
    sweep.sweep,
    bench.bench,
    tune.tune,
    report.report,
    compare.compare,
    submit.submit,
    predict.predict,
    doctor.doctor,
    weights.weights,
):
    app.command()(_command)
app.command("all")(run_all)
app.command("stop")(runs.stop_runs)
app.add_typer(data.data_app, name="data")
app.add_typer(runs.runs_app, name="runs")
