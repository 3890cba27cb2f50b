"""An experiment with its results on a desk: run folders as jobs leave them, and the commands that read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from boards import draws, make_record, write_draws
from command import variant
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare

README = "# Mine\n\n<!-- detboard:tiny:begin -->\n<!-- detboard:tiny:end -->\n"


@dataclass
class Desk:
    """An experiment, its results, and a README beside them."""

    folder: Path
    data: Path

    @property
    def experiment(self) -> Path:
        return self.folder / "tiny.yaml"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def run_all(self, map50: float = 0.4) -> None:
        """Leaves a complete run for every row and seed that has none, as a sweep would."""
        request = Request(self.experiment, self.results, data_root=self.data)
        for run in make_plan(request).runs:
            if run.record is not None:
                continue
            prepare(run)
            record = make_record(
                run.spec.row, run.spec.seed, map50, run_id=run.spec.run_id, profile=run.spec.profile
            )
            run.folder.write_record(record)
            write_draws(self.results, record, draws(map50, 0.05))

    def change(self, how: Callable[[dict[str, Any]], None]) -> None:
        content = yaml.safe_load(self.experiment.read_text())
        how(content)
        self.experiment.write_text(yaml.safe_dump(content, sort_keys=False))

    def report(self, *options: str) -> tuple[int, str]:
        arguments = ["report", str(self.experiment), "--results", str(self.results), *options]
        done = CliRunner().invoke(app, arguments)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output


def make_desk(folder: Path, data: Path, run: bool = True) -> Desk:
    """A desk on which every row of the tiny experiment is complete unless nothing is run, and nothing written yet."""
    made = Desk(folder, data)
    made.folder.mkdir()
    variant(made.folder, lambda _: None)
    (made.folder / "README.md").write_text(README)
    if run:
        made.run_all()
    return made
