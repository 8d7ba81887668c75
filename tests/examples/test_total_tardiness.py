"""The sixth problem, installed beside makespan: commands know it, its agents and checkpoints, with no change here."""

import json
import shutil
from pathlib import Path

import pytest
from support.workplace import Workplace, install

EXAMPLE = Path(__file__).parents[2] / "examples" / "total_tardiness"
ENV_ID = "total-tardiness/TotalTardiness-v0"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return install(EXAMPLE, tmp_path_factory.mktemp("total_tardiness"))


def test_its_own_tests_pass(workplace):
    workplace.own_tests()


def test_it_is_listed_with_those_who_play_it(workplace):
    rows = {row["id"]: row for row in json.loads(workplace.makespan("envs", "--json"))}
    assert rows[ENV_ID]["rules"] == ["edd", "spt", "slack", "mdd", "atc", "mddc", "mdd-short"]
    assert rows[ENV_ID]["agents"] == ["psk", "eddc", "search", "exact"]
    assert rows["makespan/JobShop-v0"]["agents"] == []


def test_importing_makespan_loads_nothing_of_it_but_its_plug_in(workplace):
    code = "import sys, makespan; print(sorted(name for name in sys.modules if name.startswith('total_tardiness')))"
    assert workplace.python(code).split() == ["['total_tardiness',", "'total_tardiness.plugin']"]


def test_its_optimum_is_proved_by_its_own_agent(workplace):
    shutil.copy(EXAMPLE / "jobs.csv", workplace.folder)
    shown = workplace.makespan("optimise", "./jobs.csv", "--env", ENV_ID, "--agent", "exact", "--seconds", "5",
                               "--out", "results/exact")  # fmt: skip
    assert "(exact), proved optimal" in shown


def test_a_solver_that_gives_up_is_one_line(workplace):
    arguments = ["evaluate", ENV_ID, "--agents", "exact:sets=5", "--instances", "random:jobs=50:tf=0.6:rdd=0.2:count=1"]
    done = workplace.run("-m", "makespan.cli.main", *arguments)
    assert done.returncode == 2
    assert "agent 'exact' cannot solve instance 'random-50-t0.6-r0.2-s0'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_trained_ships_with_a_package(workplace):
    """A checkpoint put into an installed package that registers its folder is known by its name."""
    pytest.importorskip("safetensors")
    workplace.makespan("train", ENV_ID, "--agent", "scorer", "--steps", "2000", "--validation-worlds", "4",
                       "--threads", "1", "--out", "runs/scorer")  # fmt: skip
    folder = workplace.site / "tardy_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    shutil.copytree(workplace.folder / "runs" / "scorer" / "best", folder / "tardy_scorer")
    (folder / "plugin.py").write_text(
        "from makespan.agents.plugins import register_checkpoints\n"
        "def register():\n    register_checkpoints('tardy_weights')\n"
    )
    info = workplace.site / "tardy_weights-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tardy-weights\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[makespan.plugins]\ntardy = tardy_weights.plugin:register\n")
    rows = {row["id"]: row for row in json.loads(workplace.makespan("envs", "--json"))}
    assert rows[ENV_ID]["checkpoints"] == ["checkpoints/tardy_scorer"]
    workplace.makespan("evaluate", ENV_ID, "--agents", "checkpoints/tardy_scorer,exact", "--seeds", "0-1",
                       "--out", "results/shipped")  # fmt: skip
    rows = json.loads((workplace.folder / "results" / "shipped" / "results.json").read_text())
    assert [row["valid"] for row in rows] == [True] * 4


def test_a_broken_package_beside_it_is_one_line_and_breaks_nothing(workplace):
    info = workplace.site / "acme_broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[makespan.plugins]\nacme = acme_broken.plugin:register\n")
    try:
        done = workplace.run("-m", "makespan.cli.main", "--version")
        assert done.returncode == 0
        assert done.stderr.count("\n") == 1
        assert "plug-in 'acme' of package 'acme-broken'" in done.stderr
        assert "No module named 'acme_broken'" in done.stderr
    finally:
        shutil.rmtree(info)
