from __future__ import annotations

from pathlib import Path

import pytest

from benchmark import ops
from benchmark.data.synthesize import synthesize

ops.install()  # before any test imports mmdet's models


@pytest.fixture(scope="session")
def synthetic_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic data set; tests share it and must not write into it."""
    folder = tmp_path_factory.mktemp("data") / "synthetic"
    return synthesize(folder, train=24, val=12, size=112)
