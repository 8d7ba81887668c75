"""Searches over plans, and the agents that propose plans to `makespan/StaticDag-v0`."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from makespan.agents.agent import Proposer
from makespan.agents.arena import open_arena
from makespan.agents.catalogue import make_agent
from makespan.agents.soc.agent import plan_of
from makespan.agents.soc.lists import Lists
from makespan.agents.soc.search import PlanSearch
from makespan.envs.core.errors import FieldError, MissingExtraError, UnknownNameError, UserError
from makespan.envs.soc import catalogue
from makespan.envs.soc.instance import SocInstance
from support.soc_graphs import peft, random_instance, topcuoglu
from support.soc_plans import faults

pytest.importorskip("pymoo")

from makespan.agents.soc.genetic import GeneticSearch

SEARCHES = [(PlanSearch, "changes", 20_000), (GeneticSearch, "generations", 20)]


@pytest.mark.parametrize("search, unit, amount", SEARCHES)
@pytest.mark.parametrize("of", [topcuoglu(), peft()])
def test_searches_are_no_worse_than_where_they_begin_and_repeat_themselves(search, unit, amount, of):
    found: list[int] = []
    runs = []
    for _ in range(2):
        one = search(of, key=5)
        first = one.best
        one.run(**{unit: amount}, found=lambda plan: found.append(plan.makespan))
        plan = one.plan()
        assert faults(of, plan) == []
        assert plan.makespan == one.best <= first
        runs.append((plan.pe.tolist(), plan.start.tolist()))
    assert runs[0] == runs[1]
    assert found[: len(found) // 2] == sorted(set(found), reverse=True)


@pytest.mark.parametrize("of, optimum", [(topcuoglu(), 73), (peft(), 113)])
def test_annealing_finds_the_optima_of_small_graphs(of, optimum):
    search = PlanSearch(of, key=1)
    search.run(changes=100_000)
    assert search.best == optimum


def test_annealing_keeps_jobs_arrivals_and_ineligible_pairs():
    rng = np.random.default_rng(2)
    for _ in range(40):
        of = random_instance(rng, int(rng.integers(1, 9)), int(rng.integers(1, 5)), jobs=3, arrivals=20)
        search = PlanSearch(of, start=Lists(of).plan("random"))
        begins = search.best
        search.run(changes=3000)
        assert faults(of, search.plan()) == []
        assert search.plan().makespan == search.best <= begins


def test_a_search_ends_at_the_bound_at_once():
    search = PlanSearch(catalogue.instance("range-detection"))
    search.run(seconds=100.0)
    assert (search.best, search.changes) == (176, 0)


@pytest.mark.parametrize("search", [PlanSearch, GeneticSearch])
def test_a_search_needs_a_limit(search):
    with pytest.raises(ValueError, match="limit"):
        search(topcuoglu()).run()


def test_without_pymoo_the_genetic_algorithm_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymoo.algorithms.soo.nonconvex.ga", None)
    with pytest.raises(MissingExtraError, match=r"'dag-ga' needs 'pymoo'.*makespan\[search\]"):
        make_agent("dag-ga:time=1", setting())


# --- agents -----------------------------------------------------------------------------------------------------------


def setting(instance: str = "topcuoglu", env_id: str = "makespan/StaticDag-v0", **options):
    return open_arena(env_id, 1, {"instance": instance, **options}).setting


def proposed(text: str, of: SocInstance, **options):
    agent = make_agent(text, setting(**options))
    assert isinstance(agent, Proposer)
    schedule = agent.propose(of, 3)
    assert schedule.instance is of
    assert faults(of, plan_of(schedule)) == [] or options
    return schedule


@pytest.mark.parametrize(
    "text, expected",
    [
        ("list", 80),
        ("list:rule=heft", 80),
        ("list:rule=cpop", 86),
        ("list:rule=dls", 91),
        ("lookahead-heft", 76),
        ("best-of-lists", 76),
        ("dag-search:changes=50000", 73),
        ("cp-sat:time=20", 73),
    ],
)
def test_agents_propose_plans(text, expected):
    assert plan_of(proposed(text, topcuoglu())).makespan == expected


def test_insertion_can_be_switched_off():
    of = catalogue.instance("gap-exact")
    assert plan_of(proposed("list:rule=heft", of)).makespan == 15
    assert plan_of(proposed("list:rule=heft:insertion=0", of)).makespan == 17


def test_plans_are_for_the_level_at_which_the_chip_runs():
    of = catalogue.instance("wifi-tx")
    fast, slow = (proposed("best-of-lists", of, dvfs=level) for level in ("performance", "powersave"))
    assert plan_of(slow).makespan > plan_of(fast).makespan
    assert slow.settings.levels == (0,) * len(of.platform.kinds)


class Told:
    def __init__(self) -> None:
        self.schedules, self.bounds = [], []

    def found(self, schedule, /) -> None:
        self.schedules.append(plan_of(schedule).makespan)

    def bounded(self, bound: float, /) -> None:
        self.bounds.append(bound)


@pytest.mark.parametrize("text", ["dag-search", "dag-ga", "cp-sat"])
def test_searching_agents_tell_of_better_and_better_plans(text):
    of, told = peft(), Told()
    agent = make_agent(text, setting())
    agent.improve(of, lambda copies, keys: pytest.fail("no look ahead"), 3.0, told)
    assert told.schedules == sorted(set(told.schedules), reverse=True)
    assert min(told.schedules) <= 122
    if text == "cp-sat":
        assert (min(told.schedules), max(told.bounds)) == (113, 113)


@pytest.mark.parametrize(
    "text, error, message",
    [
        ("list:rule=hefd", FieldError, "option rule of agent 'list' is 'hefd'"),
        ("list:rule=dls:insertion=1", UserError, "rule 'dls' knows no insertion"),
        ("list:insertion=2", FieldError, "option insertion"),
        ("dag-search:time=1:changes=5", UserError, "exclude each other"),
        ("dag-serch", UnknownNameError, "did you mean 'dag-search'"),
    ],
)
def test_wrong_options_are_refused(text, error, message):
    with pytest.raises(error, match=message):
        make_agent(text, setting())


@pytest.mark.parametrize(
    "text, options, message",
    [
        ("list", {"noise": 0.1}, "nobody can foresee"),
        ("best-of-lists", {"contention": "bus"}, "contention=none"),
        ("list", {"overhead_call": 2.0}, "not charged"),
        ("dag-search", {"objective": "energy"}, "makespan least"),
        ("cp-sat", {"objective": "energy"}, "makespan least"),
        ("list", {"env_id": "makespan/JobShop-v0", "instance": "ft06"}, "no static DAG"),
    ],
)
def test_where_plans_do_not_stand_it_is_said(text, options, message):
    with pytest.raises(UserError, match=message):
        make_agent(text, setting(**options))
