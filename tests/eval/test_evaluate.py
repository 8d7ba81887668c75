"""Rows: their keys, their truth, and that they depend on nothing but the plan."""

import json
import time
from dataclasses import replace

import numba
import numpy as np
import pytest
from makespan.agents.agent import Agent
from makespan.envs.core.errors import UnknownNameError, UserError
from makespan.envs.job_shop.env import JobShopEnv
from makespan.envs.job_shop.schedule import JobShopSchedule, validate
from makespan.eval import evaluate as module
from makespan.eval.evaluate import ROW_KEYS, evaluate
from makespan.eval.judge import ImpossibleResultError, plain
from makespan.eval.plan import Request, make_plan
from makespan.eval.store import Store

SHOP = "makespan/JobShop-v0"
THREE = "test/ThreeJobs-v0"


def rows_of(env, agents="random", progress=lambda agent, cases: None, **options):
    return evaluate(make_plan(Request(env, agents, **options)), Store(None), progress)


def timeless(rows):
    return [{key: value for key, value in row.items() if key not in ("seconds_per_decision", "batch")} for row in rows]


def test_a_row_has_the_keys_and_they_are_true():
    rows = rows_of(f"{SHOP}:blocking=none", "mwkr,spt", instances="ft06,la01", seeds="3")
    assert [list(row)[: len(ROW_KEYS)] for row in rows] == [list(ROW_KEYS)] * 4
    assert [(row["agent"], row["instance"], row["seed"]) for row in rows] == [
        ("mwkr", "ft06", 3),
        ("mwkr", "la01", 3),
        ("spt", "ft06", 3),
        ("spt", "la01", 3),
    ]
    first = rows[0]
    assert first["env"] == SHOP
    assert first["env_options"] == {"blocking": "none"}
    assert first["best_known"] == first["bound"] == 55
    assert first["gap"] == pytest.approx(first["objective"] / 55 - 1)
    assert first["valid"] is True
    assert first["metrics"]["finished"] is True
    assert 0 < first["seconds_per_decision"] < 0.1
    json.dumps(rows, allow_nan=False)


def test_breakdowns_leave_the_bound_alone():
    row = rows_of(f"{SHOP}:law=bernoulli:p=0.01", "mwkr", instances="ft06")[0]
    assert row["best_known"] is None
    assert row["gap"] == pytest.approx(row["objective"] / row["bound"] - 1)


def test_results_do_not_depend_on_the_batch():
    options = {"agents": "random,mwkr,random:samples=3", "instances": "la01,ft06,la06", "seeds": "0-4"}
    env = f"{SHOP}:law=bernoulli:p=0.01"
    expected = timeless(rows_of(env, **options, batch=64))
    for batch in (1, 4, 7):
        assert timeless(rows_of(env, **options, batch=batch)) == expected


def test_the_environment_chooses_where_no_instances_are_given():
    rows = rows_of(SHOP, "mwkr", instances="random:size=3x2,random:size=2x3", seeds="0-7")
    assert len({row["instance"] for row in rows}) == 8
    assert {row["instance"].rpartition("-")[0] for row in rows} == {"random-3x2", "random-2x3"}
    again = rows_of(SHOP, "mwkr", instances=rows[2]["instance"], seeds="2")
    assert again[0]["objective"] == rows[2]["objective"]


def test_plain_environments():
    rows = rows_of(f"{THREE}:stretch=2", "random,random:samples=12", instances="short1,short2,long1", seeds="0-1")
    assert [row["instance"] for row in rows[:6]] == ["short1"] * 2 + ["short2"] * 2 + ["long1"] * 2
    assert [row["valid"] for row in rows] == [True] * 12
    best = {row["instance"]: row for row in rows[6:]}
    # All six orders among twelve tries, or nearly so: the best is the order of increasing times.
    assert best["short1"]["objective"] == 20
    assert best["short1"]["gap"] == 0.0  # best known: 20
    assert best["short2"]["gap"] == pytest.approx((best["short2"]["objective"] - 16) / 16)  # bound alone
    assert best["long1"]["gap"] is None
    assert rows[0]["metrics"]["nothing"] is None  # was NaN
    assert rows[0]["stochastic"] is False
    assert rows[6]["hindsight"] is False


def test_best_of_many_is_hindsight_where_the_world_is_random():
    rows = rows_of(f"{SHOP}:law=bernoulli", "random,random:samples=2", instances="ft06")
    assert [row["hindsight"] for row in rows] == [False, True]


def test_a_refused_schedule_is_no_secret():
    rows = rows_of("test/Refused-v0", instances="short1")
    assert (rows[0]["valid"], rows[0]["problem"]) == (False, "it is Monday")


def test_a_result_below_a_proved_bound_fails_loudly():
    with pytest.raises(
        ImpossibleResultError, match=r"instance 'short1', seed 0: objective \d+ lies beyond .* bound 1000"
    ):
        rows_of("test/TooGood-v0", instances="short1")


def test_an_environment_that_does_not_say_what_it_reached():
    with pytest.raises(UserError, match=r"ended without info\['objective'\]; run 'makespan check test/Silent-v0'"):
        rows_of("test/Silent-v0", instances="short1")


def test_agents_are_made_before_any_plays():
    told = []
    with pytest.raises(UnknownNameError, match="did you mean 'mwkr'"):
        rows_of(SHOP, "spt,mwkrr", lambda agent, cases: told.append(agent), instances="ft06")
    assert told == []


def test_progress_counts_every_case():
    told = []
    rows = rows_of(SHOP, "spt,mwkr", lambda agent, cases: told.append(cases), instances="ft06,la01", batch=1)
    assert told == [1] * len(rows)


def test_a_store_that_has_rows_is_only_completed():
    plan = make_plan(Request(SHOP, "spt,mwkr", "ft06,la01", "0-2", batch=2))
    whole = Store(None)
    expected = evaluate(plan, whole)
    part = Store(None)
    part.rows = {key: row for number, (key, row) in enumerate(whole.rows.items()) if number % 3}
    kept = {key: id(row) for key, row in part.rows.items()}
    assert timeless(evaluate(plan, part)) == timeless(expected)
    assert {key: id(part.rows[key]) for key in kept} == kept


def compute(seconds):
    """Use so much CPU time."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


class Recorder(Agent):
    """Takes the first legal slot and writes down how large its batches are."""

    name = "recorder"

    def __init__(self):
        self.batches = []

    def begin(self, copies, instances, keys, imagine):
        self.batches.append(len(copies))

    def act(self, observation, mask):
        return mask.argmax(axis=1).astype(np.int64)


@pytest.mark.parametrize("fixed, expected", [(False, {3, 1}), (True, {3})])
def test_agents_that_ask_for_it_always_play_full_batches(monkeypatch, fixed, expected):
    agent = Recorder()
    agent.fixed_batch = fixed
    monkeypatch.setattr(module, "make_agent", lambda text, setting: agent)
    rows = rows_of(SHOP, "recorder", instances="ft06", seeds="0-6", batch=3)
    assert set(agent.batches) == expected
    assert [row["seed"] for row in rows] == list(range(7))
    assert len(agent.batches) == 4  # three batches, of which the first was played twice for its time


class Slow(Recorder):
    """Thinks for a tenth of a second about its first batch, and remembers what it thought."""

    known = False

    def begin(self, copies, instances, keys, imagine):
        if not self.known:
            compute(0.1)
        self.known = True


def test_what_an_agent_remembers_does_not_shorten_its_time(monkeypatch):
    monkeypatch.setattr(module, "make_agent", lambda text, setting: Slow())
    row = rows_of(SHOP, "slow", instances="ft06")[0]
    assert row["decisions"] * row["seconds_per_decision"] > 0.1


@numba.njit
def compiled_late(x):
    return np.sort(x).sum()


class Compiling(Recorder):
    """Needs code that nobody has compiled yet."""

    def begin(self, copies, instances, keys, imagine):
        compiled_late(np.arange(3.0))


class Steady(Recorder):
    """Takes a twentieth of a second for each try at a world."""

    samples = 4

    def begin(self, copies, instances, keys, imagine):
        compute(0.05 * len(copies))


def test_all_tries_are_paid_for_by_the_decisions_of_the_one_that_counts(monkeypatch):
    monkeypatch.setattr(module, "make_agent", lambda text, setting: Steady())
    for batch in (1, 8):
        for row in rows_of(SHOP, "steady", instances="ft06,la01", batch=batch):
            assert row["decisions"] == row["metrics"]["decisions"]
            assert row["batch"] == max(batch, 4)
            assert 0.15 < row["decisions"] * row["seconds_per_decision"] < 0.38


class Waiting(Recorder):
    """Waits, as one does for a processor that others use."""

    def begin(self, copies, instances, keys, imagine):
        time.sleep(0.2)


def test_who_waits_for_a_processor_does_not_pay_for_it(monkeypatch):
    monkeypatch.setattr(module, "make_agent", lambda text, setting: Waiting())
    row = rows_of(SHOP, "waiting", instances="ft06")[0]
    assert row["decisions"] * row["seconds_per_decision"] < 0.15


def test_compiling_is_no_part_of_a_decision_however_long_it_takes(monkeypatch):
    monkeypatch.setattr(module, "make_agent", lambda text, setting: Compiling())
    monkeypatch.setattr(module, "_WARM_UP_SECONDS", 0.2)
    row = rows_of(SHOP, "compiling", instances="ft06")[0]
    assert row["decisions"] * row["seconds_per_decision"] < 0.2


def test_schedules_that_reach_the_store_can_be_read_and_are_valid():
    kept = []

    class Keeper(Store):
        def add(self, entries):
            kept.extend(entries)
            super().add(entries)

    evaluate(make_plan(Request(f"{SHOP}:law=bernoulli:p=0.02", "mwkr", "ft06")), Keeper(None))
    schedule = JobShopSchedule.from_dict(json.loads(json.dumps(kept[0].schedule)))
    assert validate(schedule) == []
    assert schedule.objective == kept[0].row["objective"]


def test_the_job_shop_refuses_a_schedule_under_other_rules():
    env = JobShopEnv(instance="ft06")
    env.reset(seed=0)
    while env.action_masks().any():
        env.step(int(env.action_masks().argmax()))
    schedule = env.schedule()
    assert env.validate(schedule) == []
    assert env.validate(replace(schedule, blocking="none"))[0] == "blocking is 'none', but the environment's is 'swap'"


def test_only_json_is_stored():
    assert plain({"a": np.int64(3), 1: [np.nan, np.inf], "b": np.arange(2)}) == {"a": 3, "1": [None, None], "b": [0, 1]}
    with pytest.raises(UserError, match="gave a set"):
        plain({"a": {1}})


def test_more_copies_than_memory(monkeypatch):
    monkeypatch.setattr("makespan.eval.memory.free_memory", lambda: 2**20)
    with pytest.raises(UserError, match=r"'random:samples=10000': 10000 tries at once take .*smaller --batch"):
        rows_of(SHOP, "random:samples=10000", instances="ft06")
