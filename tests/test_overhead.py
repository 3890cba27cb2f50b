"""What a run costs beyond its work: what is done once for all jobs, and what waits until the next one has begun."""

from __future__ import annotations

from importlib import metadata

import pytest

from benchmark.run import provenance


def test_versions_are_looked_up_once_for_all_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def noted(name: str) -> str:
        asked.append(name)
        return metadata.version(name)

    provenance.versions.cache_clear()
    monkeypatch.setattr(provenance, "version", noted)
    assert provenance.versions() == provenance.versions()
    assert sorted(asked) == sorted(provenance.PACKAGES)
