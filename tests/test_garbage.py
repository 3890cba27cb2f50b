"""How often the garbage collector looks; that jobs train as usual, test_walltime.py sees."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from desk import make_desk

from benchmark import garbage


def test_what_was_collected_seldom_is_collected_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = (700, 10, 10)
    before, frozen = gc.get_threshold(), []
    monkeypatch.setattr(garbage, "_USUAL", usual)
    monkeypatch.setattr(garbage.gc, "freeze", lambda: frozen.append(True))
    try:
        gc.set_threshold(*usual)
        garbage.collect_as_usual()  # of a process of several jobs, say: what they leave is garbage
        assert not frozen
        garbage.collect_seldom()
        assert gc.get_threshold()[0] > 10_000
        garbage.collect_as_usual()
        assert frozen and gc.get_threshold() == usual
    finally:
        gc.set_threshold(*before)


def test_what_a_report_has_made_is_not_looked_through_as_it_ends(
    tmp_path: Path, synthetic_data: Path, no_plots: None
) -> None:
    desk = make_desk(tmp_path / "desk", synthetic_data)
    before = gc.get_freeze_count()
    status, output = desk.report()
    assert status == 0, output
    assert gc.get_freeze_count() > before
