"""What jobs ask of a cluster: ``cluster:`` of an experiment, over the file of the site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from command import variant

from benchmark.cli.doctor import findings
from benchmark.errors import UserError
from benchmark.experiment.cluster import Cluster, on_site, site_file
from benchmark.experiment.experiment import load_experiment
from benchmark.job import looks
from benchmark.launchers import make_launcher


def asked(folder: Path, **keys: Any) -> Cluster:
    return load_experiment(variant(folder, lambda content: content.update(cluster=keys))).cluster


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "site.yaml"
    monkeypatch.setenv("DETBOARD_CLUSTER", str(path))
    return path


def test_an_experiment_asks_for_nothing_unless_it_says_so(tmp_path: Path) -> None:
    assert asked(tmp_path) == Cluster()
    assert load_experiment(variant(tmp_path / "b", lambda _: None)).cluster == Cluster()


def test_a_key_that_is_none_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        asked(tmp_path, partion="gpu", cpus=0, memory=[1])
    told = "\n".join(error.value.problems)
    assert len(error.value.problems) == 3
    assert "cluster.partion: no such key" in told and "partition" in told
    assert "cluster.cpus: must be 1 or more (got 0)" in told
    assert "cluster.memory" in told


@pytest.mark.parametrize(
    ("written", "read"),
    [("90", "90"), ("12:30:00", "12:30:00"), ("1:30", "1:30"), ("2-00:00:00", "2-00:00:00")],
)
def test_a_time_is_what_is_written(tmp_path: Path, written: str, read: str) -> None:
    """YAML 1.1 reads 12:30:00 as 45000, which Slurm would take for minutes."""
    path = variant(tmp_path, lambda _: None)
    path.write_text(f"{path.read_text()}cluster:\n  time: {written}\n  memory: 4000\n")
    cluster = load_experiment(path).cluster
    assert (cluster.time, cluster.memory) == (read, "4000")


def test_lines_may_be_a_list_or_a_block(tmp_path: Path) -> None:
    block = asked(tmp_path / "a", setup="module load cuda\n\nsource env/bin/activate\n")
    assert block.setup == ["module load cuda", "source env/bin/activate"]
    assert asked(tmp_path / "b", setup=block.setup).setup == block.setup


def test_no_flag_breaks_its_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="partition"):
        asked(tmp_path, partition="gpu\nrm -rf ~")


@pytest.mark.parametrize(("gpus", "on_cpus"), [(0, True), ("none", True), ("a100", False)])
def test_a_cluster_without_gpus_is_said(tmp_path: Path, gpus: object, on_cpus: bool) -> None:
    assert asked(tmp_path, gpus=gpus).on_cpus == on_cpus


def test_the_sites_file_lies_below_the_experiments(tmp_path: Path, site: Path) -> None:
    site.write_text(yaml.safe_dump({"partition": "low", "cpus": 2, "account": "vision"}))
    own = asked(tmp_path, partition="high")
    found = on_site(own)
    assert (found.partition, found.cpus, found.account) == ("high", 2, "vision")
    assert on_site(Cluster()).partition == "low"


def test_a_sites_file_is_held_to_the_same_keys(site: Path) -> None:
    site.write_text("partion: low\ncpus: many\n")
    with pytest.raises(UserError) as error:
        on_site(Cluster())
    assert len(error.value.problems) == 2
    assert all(str(site) in problem for problem in error.value.problems)


def test_a_broken_sites_file_stops_nobody_who_runs_here(site: Path) -> None:
    site.write_text("partion: low\n")
    for name in ("local", "inprocess"):
        assert make_launcher(name, 1, Cluster()).name == name
    for name in ("slurm", "ray"):
        with pytest.raises(UserError, match="partion"):
            make_launcher(name, 1, Cluster())


def test_a_broken_sites_file_is_a_finding_of_doctor(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write_text("partion: low\n")
    for name in ("packages", "clashes", "native_ops", "gpus"):
        monkeypatch.setattr(looks, name, lambda: [])
    (found,) = (one for one in findings() if one.what == "clusters")
    assert found.problem and "partion" in found.found and str(site) in found.found
    assert any(one.what == "--launcher local" for one in findings())


def test_a_sites_file_that_is_named_is_there(site: Path) -> None:
    with pytest.raises(UserError, match=r"DETBOARD_CLUSTER=.*no such file"):
        on_site(Cluster())


def test_without_a_name_it_lies_with_the_users_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DETBOARD_CLUSTER", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert site_file() == tmp_path / "detboard" / "cluster.yaml"
    assert on_site(Cluster(partition="gpu")) == Cluster(partition="gpu")
