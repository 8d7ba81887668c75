"""Suites: what their files may say, and what is made of rows."""

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from makespan.cli.evaluate import run
from makespan.envs.core.errors import UserError
from makespan.eval.plan import make_plan
from makespan.eval.suite import BASELINE, load_suite, shipped_suites
from makespan.eval.suite_report import Played, SuiteReport, aggregate_csv, lines_csv, notes, problem_table, role_table

GOOD = """
title = "Mine"
reference = "rule"
roles = ["rule", "learned"]

[[problem]]
name = "shop"
title = "Shop"
env = "makespan/JobShop-v0"
instances = "ft06,la01"
seeds = "0-1"
sweep = ["p=0,0.01"]
batch = 8
hindsight = 3
baseline = "random"
others = ["spt"]
[problem.roles]
learned = "checkpoints/job_shop_scorer"
rule = "mwkr"
"""


def load(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load_suite(str(path))


def test_a_file_says_what_is_played(tmp_path):
    suite = load(tmp_path, GOOD)
    (problem,) = suite.problems
    assert (suite.name, suite.title, suite.reference, suite.roles) == ("mine", "Mine", "rule", ("rule", "learned"))
    assert problem.request.agents == "random,mwkr,checkpoints/job_shop_scorer,spt"
    assert problem.request.command() == (
        "makespan evaluate makespan/JobShop-v0 --agents random,mwkr,checkpoints/job_shop_scorer,spt "
        "--instances ft06,la01 --seeds 0-1 --sweep p=0,0.01 --batch 8 --hindsight 3.0"
    )
    assert list(problem.roles) == ["rule", "learned"], "in the suite's order"
    assert [problem.role_of(agent) for agent in ("mwkr", "spt")] == ["rule", ""]


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('seeds = "0-1"', 'seedz = "0-1"', r"unknown field of .*mine.toml, problem 1 'seedz'; did you mean 'seeds'\?"),
        ('seeds = "0-1"', "seeds = 3", "mine.toml, problem 1: seeds is 3, expected a text"),
        ("batch = 8", 'batch = "8"', "batch is '8', expected a number"),
        ("batch = 8", "batch = true", "batch is True, expected a number"),
        ('sweep = ["p=0,0.01"]', 'sweep = "p=0"', "sweep is 'p=0', expected a list of texts"),
        ('name = "shop"', 'name = "../shop"', "name is '../shop', expected small letters"),
        ('name = "shop"', "", "name is None, expected a text"),
        ('reference = "rule"', 'reference = "rules"', r"unknown reference of .* 'rules'; did you mean 'rule'\?"),
        ('learned = "ch', 'lerned = "ch', r"unknown role of .* 'lerned'; did you mean 'learned'\?"),
        ('rule = "mwkr"', 'rule = "random"', "agents is .*, expected none twice"),
        ('roles = ["rule", "learned"]', 'roles = ["rule", "rule"]', "roles is .*, expected different names"),
        ('roles = ["rule", "learned"]', 'roles = ["rule", "baseline"]', "none of them 'baseline'"),
        ("[[problem]]", "[problem]", r"problem is .*, expected at least one table \[\[problem\]\]"),
        ('title = "Mine"', "title = Mine", "is not TOML"),
    ],
)
def test_mistakes_in_a_file(tmp_path, old, new, message):
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if new == "[problem]":
        text = text[: text.index("[problem.roles]")]
    with pytest.raises(UserError, match=message):
        load(tmp_path, text)


def test_names_of_problems_differ(tmp_path):
    with pytest.raises(UserError, match="names of problems"):
        load(tmp_path, GOOD + GOOD[GOOD.index("[[problem]]") :])


def test_who_names_no_suite():
    with pytest.raises(UserError, match=r"unknown suite .* 'quik'; did you mean 'quick'\?"):
        load_suite("quik")
    with pytest.raises(UserError, match="no such file"):
        load_suite("./none.toml")


@pytest.mark.parametrize("name", ["quick", "full"])
def test_what_ships_can_be_played(name):
    """Every environment is there, and every agent is known: plans are made of all of it."""
    suite = load_suite(name)
    assert {problem.request.env.partition("/")[2].partition(":")[0] for problem in suite.problems} == {
        "JobShop-v0",
        "MemoryMapping-v0",
        "SocDag-v0",
        "StaticDag-v0",
        "AirMobility-v0",
        "RestlessBandits-v0",
    }
    for problem in suite.problems:
        make_plan(problem.request)
        assert suite.reference in problem.roles


def miniature(problem):
    """A problem with an instance of each kind, one world of each, and moments of time."""
    request = problem.request
    first = request.instances.split(",")[0] if "random:" not in request.instances else request.instances
    return replace(
        request,
        instances=re.sub(r"count=\d+", "count=1", first.split("-la")[0].split("-ta")[0]),
        seeds=request.seeds.split("-")[0],
        agents=re.sub(r"(time|planning)=\d+", r"\1=0.05", request.agents),
        hindsight=None,
    )


FULL = {problem.name: problem for problem in load_suite("full").problems}
QUICK = ("bandits", "job_shop_classical")
MINIATURES = [pytest.param(one, marks=[] if one in QUICK else pytest.mark.slow) for one in FULL]


@pytest.mark.parametrize("name", MINIATURES)
def test_every_agent_of_the_full_suite_plays_an_instance_of_every_kind(name, tmp_path, capsys):
    assert run(miniature(FULL[name]), str(tmp_path / "out"), False, True, workers=1) == 0


def test_quick_and_full_are_of_the_same_problems():
    quick, full = (load_suite(name) for name in ("quick", "full"))
    assert shipped_suites() == ["full", "quick"]
    assert (quick.roles, quick.reference) == (full.roles, full.reference)
    assert {problem.name for problem in quick.problems} <= {problem.name for problem in full.problems}
    of_full = {problem.name: problem for problem in full.problems}
    for problem in quick.problems:
        assert problem.title == of_full[problem.name].title
        assert problem.baseline == of_full[problem.name].baseline


# --- what is made of rows ---------------------------------------------------------------------------------------------


def row(agent, instance, seed, objective, **more):
    return {
        "env": "makespan/JobShop-v0",
        "instance": instance,
        "seed": seed,
        "agent": agent,
        "objective": objective,
        "metrics": {"finished": True},
        "best_known": None,
        "bound": None,
        "gap": None,
        "seconds_per_decision": 0.5,
        "valid": True,
        "env_options": {},
        "decisions": 4,
        **more,
    }


@pytest.fixture
def report(tmp_path):
    """Two instances with a target, two worlds each; one agent without a role."""
    text = GOOD.replace('sweep = ["p=0,0.01"]\n', "").replace("hindsight = 3\n", "")
    suite = load(tmp_path, text)
    (problem,) = suite.problems
    plan = make_plan(problem.request)
    objectives = {
        "random": [100, 120, 200, 200],
        "mwkr": [80, 90, 150, 150],
        "checkpoints/job_shop_scorer": [60, 60, 125, 100],
        "spt": [100, 100, 200, 200],
    }
    worlds = [("ft06", 0), ("ft06", 1), ("la01", 0), ("la01", 1)]
    best = {"ft06": 60, "la01": 100}
    rows = [
        row(agent, name, seed, value, best_known=best[name])
        for agent, values in objectives.items()
        for (name, seed), value in zip(worlds, values, strict=True)
    ]
    return SuiteReport(suite, [Played(problem, plan, rows, suite.reference)])


def test_lines_are_the_means_of_their_worlds(report):
    lines = {line.agent: line for line in report.lines}
    learned = lines["checkpoints/job_shop_scorer"]
    assert learned.role == "learned"
    assert learned.gap.mean == pytest.approx(0.25 / 4)
    assert learned.score.mean == pytest.approx(1 - 0.25 / 4)
    assert learned.relative.mean == pytest.approx(np.mean([60 / 80, 60 / 90, 125 / 150, 100 / 150]) - 1)
    assert learned.win_rate.mean == 1.0
    assert (learned.seconds_per_decision, learned.seconds_per_world) == (0.5, 2.0)
    assert lines["random"].role == BASELINE
    assert lines["random"].score.mean == pytest.approx(0.0)
    assert lines["mwkr"].score.mean == pytest.approx(1 - (25 / 50 + 50 / 100) / 2)
    assert lines["spt"].role == ""


def test_roles_are_aggregated(report):
    assert report.roles == [BASELINE, "rule", "learned"]
    assert report.summaries[2].mean.mean == pytest.approx(1 - 0.25 / 4)
    assert report.improvements["learned"].mean == 1.0
    assert set(report.improvements) == {BASELINE, "learned"}
    assert report.profiles[2].shares[-1] == 0.0
    assert report.beside["learned"].mean == report.summaries[1].interquartile_mean.mean, "of the same problems"


def test_tables_and_files_tell_the_same(report):
    _, cells = role_table(report)
    assert [line[0] for line in cells] == report.roles
    shown = problem_table(report.lines)[1][2]
    assert shown[:2] == ["checkpoints/job_shop_scorer", "learned"]
    assert shown[2].startswith("93.8 % [")
    lines = list(csv.DictReader(io.StringIO(lines_csv(report))))
    assert [line["agent"] for line in lines] == ["random", "mwkr", "checkpoints/job_shop_scorer", "spt"]
    assert lines[2]["target"] == "the best known objective"
    assert float(lines[2]["score"]) == pytest.approx(0.9375)
    roles = list(csv.DictReader(io.StringIO(aggregate_csv(report))))
    assert [line["role"] for line in roles] == report.roles
    assert float(roles[2]["improvement"]) == 1.0
    assert any("refuse no schedule" in note for note in notes(report))
    document = report.to_dict()
    assert document["problems"][0]["scored_worlds"] == 4


def test_without_a_target_the_best_of_the_agents_is_one(report):
    (one,) = report.played
    for each in one._rows:
        each["best_known"] = None
    again = Played(one.problem, make_plan(one.problem.request), one._rows, "rule")
    assert again.targets[1].tolist() == [60, 60, 125, 100]
    assert again.target_note == "the best of the agents in the same world"


def test_instances_that_nobody_can_improve_have_no_score(report):
    (one,) = report.played
    for each in one._rows:
        if each["instance"] == "ft06":
            each["objective"] = 60
    again = Played(one.problem, make_plan(one.problem.request), one._rows, "rule")
    assert again.lines()[0].score.count == 2
    task = again.task()
    assert task is not None
    assert len(task.groups) == 2


def test_one_instance_under_several_options_is_one_draw(tmp_path):
    suite = load(tmp_path, GOOD.replace("p=0,0.01", "p=0,0.01,0.02").replace("hindsight = 3\n", ""))
    (problem,) = suite.problems
    plan = make_plan(problem.request)
    halves = {"ft06": 50, "la01": 100}
    rows = [
        row(agent, name, case.seed, halves[name] if agent == "spt" else 100, env_options={"p": p})
        for p in (0, 0.01, 0.02)
        for agent in plan.agents
        for case in plan.cases
        for name in [case.instance.name]
    ]
    played = Played(problem, plan, rows, suite.reference)
    assert (played.worlds, played.instances) == (12, 2)
    (line,) = (line for line in played.lines() if line.agent == "spt")
    # Of two instances a draw holds one alone every fourth time; of six it hardly ever would.
    assert (line.relative.mean, line.relative.low, line.relative.high) == (-0.25, -0.5, 0.0)
