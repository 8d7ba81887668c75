"""The optimum of a world as it turned out, beside what agents reached in it."""

import json

import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena
from makespan.agents.hindsight import find_hindsight
from makespan.agents.job_shop.cp_sat import ExactResult, solve_job_shop
from makespan.envs.core.errors import UserError
from makespan.envs.job_shop.engine import JobShopEngine
from makespan.envs.job_shop.generator import resolve
from makespan.envs.job_shop.schedule import validate
from makespan.eval.hindsight import NAME, WorldSolver, evaluate_with_hindsight
from makespan.eval.judge import ImpossibleResultError
from makespan.eval.plan import Request, make_plan
from makespan.eval.store import HINDSIGHT, Store, open_store
from makespan.eval.table import cells, headings, make_notes, make_tables

SHOP = "makespan/JobShop-v0"
BREAKDOWNS = f"{SHOP}:law=bernoulli:p=0.01"
SMALL = {"instances": "random:size=4x3:count=2:seed=5", "seeds": "0-2", "hindsight": 60.0}
AGENTS = "spt,mwkr,random,best-rule:hindsight=1,random:samples=64,rollout"


def plan_of(env=BREAKDOWNS, agents="spt,random", **options):
    return make_plan(Request(env, agents, **{**SMALL, **options}))


@pytest.mark.parametrize(
    "options",
    [
        "",
        ":on_breakdown=repeat",
        ":on_breakdown=scrap",
        ":unload_when_down=false",
        ":blocking=no-swap",
        ":blocking=none",
        ":known_windows=true:p=0.02",
    ],
)
def test_it_lies_between_the_undisturbed_optimum_and_every_agent(options):
    env = f"{SHOP}:law=bernoulli{options if ':p=' in options else f'{options}:p=0.01'}"
    plan = plan_of(env, AGENTS)
    rows = evaluate_with_hindsight(plan, Store(None))
    assert all(row["hindsight_proved"] for row in rows)
    blocking = str(plan.variants[0].options.get("blocking", "swap"))
    undisturbed = {instance.name: solve_job_shop(instance, blocking).bound for instance in plan.instances or ()}
    for row in rows:
        assert undisturbed[row["instance"]] <= row["hindsight_objective"] == row["hindsight_bound"]
        assert row["hindsight_objective"] <= row["objective"]
    optima = {(row["instance"], row["seed"]): row["hindsight_objective"] for row in rows}
    assert len(optima) == 6
    assert any(optimum > undisturbed[name] for (name, _), optimum in optima.items()), "breakdowns must matter somewhere"


def best_of_all_plays(engine):
    """Least makespan over every sequence of actions in the true world, found by trying them all."""
    best, seen, waiting = None, set(), [engine.snapshot()]
    while waiting:
        here = waiting.pop()
        engine.restore(here)
        for action in np.flatnonzero(engine.masks[0]).tolist():
            engine.restore(here)
            engine.step([action])
            now = int(engine.objectives()[0])
            if engine.metrics(0)["finished"]:
                best = now if best is None else min(best, now)
            key = (now, engine.block.memory[0].tobytes())
            if engine.is_running()[0] and key not in seen and (best is None or now < best):
                seen.add(key)
                waiting.append(engine.snapshot())
    return best


@pytest.mark.parametrize("options", [{}, {"on_breakdown": "repeat"}, {"on_breakdown": "scrap"}, {"blocking": "none"}])
def test_nobody_who_tries_every_play_of_the_world_finds_a_better_one(options):
    for seed, instance in enumerate(resolve("random:size=3x2:count=2:seed=2")):
        chosen = {"law": "exponential", "mtbf": 60.0, "mttr": 20.0, "epoch_on_breakdown": True, **options}
        arena = open_arena(SHOP, 1, {**chosen, "instance": [instance]})
        result = find_hindsight(arena.setting)(arena.setting, instance, seed, 60.0, None)
        arena.reset([Case(instance, seed)])
        assert result.proved
        assert best_of_all_plays(arena.engine) == result.objective


def test_the_schedule_meets_the_down_times_of_the_world():
    (instance,) = resolve("random:size=4x3:count=1:seed=5")
    arena = open_arena(SHOP, 1, {"law": "exponential", "mtbf": 60.0, "mttr": 20.0, "instance": [instance]})
    result = find_hindsight(arena.setting)(arena.setting, instance, 3, 60.0, None)
    assert isinstance(result, ExactResult)
    assert result.schedule is not None
    assert result.objective is not None
    assert validate(result.schedule) == []
    engine = arena.engine
    assert isinstance(engine, JobShopEngine)
    for machine in range(instance.num_machines):
        begun = [window for window in result.schedule.windows(machine) if window[0] < result.objective]
        drawn = []
        for window in engine.drawn_windows(3, machine):
            if window[0] >= result.objective:
                break
            drawn.append(window)
        assert begun == drawn


def test_a_world_in_which_every_rule_deadlocks_has_an_optimum(monkeypatch):
    from makespan.agents.job_shop import hindsight as solver

    (instance,) = resolve("random:size=4x3:count=1:seed=5")
    setting = open_arena(SHOP, 1, {"law": "bernoulli", "p": 0.01}).setting
    expected = find_hindsight(setting)(setting, instance, 1, 60.0, None)
    best_rule = solver._best_rule
    monkeypatch.setattr(solver, "_best_rule", lambda *given: (best_rule(*given)[0], None))
    found = find_hindsight(setting)(setting, instance, 1, 60.0, None)
    assert found.proved
    assert found.objective == expected.objective


def test_windows_of_the_instance_and_shops_without_breakdowns(tmp_path):
    (instance,) = resolve("random:size=4x3:count=1:seed=5")
    data = {**instance.to_dict(), "windows": [[[0, 30]], [[5, 60]], []]}
    path = tmp_path / "down.json"
    path.write_text(json.dumps(data))
    options = {"instances": str(path), "seeds": "0"}
    row = evaluate_with_hindsight(plan_of(f"{SHOP}:law=windows", **options), Store(None))[0]
    calm = evaluate_with_hindsight(plan_of(f"{SHOP}:law=none", **options), Store(None))[0]
    assert row["hindsight_proved"]
    assert calm["hindsight_proved"]
    assert calm["hindsight_objective"] == solve_job_shop(instance, "swap").bound < row["hindsight_objective"]


def test_the_table_is_over_proved_worlds_and_says_how_many(monkeypatch):
    plan = plan_of(agents="spt,mwkr")
    solve = WorldSolver.solve
    given = []

    def sometimes(solver, variant, case, start):
        entry = solve(solver, variant, case, start)
        given.append(case)
        return entry if len(given) % 2 else {**entry, "objective": None, "bound": 1, "proved": False}

    monkeypatch.setattr(WorldSolver, "solve", sometimes)
    rows = evaluate_with_hindsight(plan, Store(None))
    tables = make_tables(plan, rows)
    assert headings(tables[0])[3] == "above hindsight optimum"
    line = tables[0].lines[0]
    mine = [row["objective"] / row["hindsight_objective"] - 1 for row in rows[:6] if row["hindsight_proved"]]
    assert line.above_hindsight is not None
    assert len(mine) == line.above_hindsight.count == 3
    assert line.above_hindsight.mean == pytest.approx(sum(mine) / 3)
    assert cells(tables[0])[0][3].endswith("(3 proved)")
    assert any("Proved in 3 of 6 worlds" in note for note in make_notes(plan, rows, tables))
    assert tables[0].to_dict()["agents"][0]["above_hindsight"]["count"] == 3


def test_without_it_nothing_is_said_of_it():
    from makespan.eval.evaluate import evaluate

    plan = make_plan(Request(SHOP, "spt", "ft06"))
    rows = evaluate(plan, Store(None))
    assert not any(key.startswith("hindsight_") for key in rows[0])
    assert "above hindsight optimum" not in headings(make_tables(plan, rows)[0])


def test_a_search_is_announced_before_it_begins(monkeypatch):
    told = []
    solve = WorldSolver.solve
    monkeypatch.setattr(WorldSolver, "solve", lambda *given: told.append("solve") or solve(*given))
    evaluate_with_hindsight(
        plan_of(SHOP, "spt", seeds="0-1"), Store(None), lambda who, cases: told.append((who, cases))
    )
    assert told[-12:] == [(NAME, 0), "solve", (NAME, 1)] * 4


def test_worlds_are_solved_once(tmp_path, monkeypatch):
    def played(**options):
        plan = plan_of(**options)
        record = {"command": "", "options": plan.request.to_dict(), "seeds": [], "fingerprint": plan.fingerprint}
        store = open_store(tmp_path / "x", record)
        try:
            return evaluate_with_hindsight(plan, store)
        finally:
            store.close()

    first = played()
    assert len(json.loads((tmp_path / "x" / HINDSIGHT).read_text())["worlds"]) == 6
    monkeypatch.setattr(WorldSolver, "solve", lambda *given: pytest.fail("solved again"))
    assert played() == first
    assert [row["hindsight_objective"] for row in played(hindsight=90.0)] == [
        row["hindsight_objective"] for row in first
    ]
    (tmp_path / "x" / HINDSIGHT).write_text('{"format": "makespan/hindsight", "version": 1, "worlds": [{}]}')
    with pytest.raises(UserError, match="worlds has not the form"):
        played()


def test_a_result_beyond_the_optimum_fails_loudly(monkeypatch):
    entry = {"seconds": 60.0, "objective": 10**6, "bound": 10**6, "proved": True}
    monkeypatch.setattr(WorldSolver, "solve", lambda *given: entry)
    with pytest.raises(ImpossibleResultError, match="beyond the bound 1000000 proved for this very world"):
        evaluate_with_hindsight(plan_of(), Store(None))


def test_what_has_none():
    told = []
    with pytest.raises(UserError, match="nobody solves worlds of 'test/ThreeJobs-v0'"):
        evaluate_with_hindsight(
            make_plan(Request("test/ThreeJobs-v0", "random", hindsight=1.0)), Store(None), lambda *told_: told.append(1)
        )
    with pytest.raises(UserError, match="under clock=busy machines break down by what they have processed"):
        evaluate_with_hindsight(plan_of(f"{BREAKDOWNS}:clock=busy"), Store(None))
    assert told == []


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), 1e9])
def test_seconds_that_are_none(seconds):
    with pytest.raises(UserError, match="option hindsight is"):
        plan_of(hindsight=seconds)


def test_not_together_with_anytime():
    with pytest.raises(UserError, match="cannot be given together"):
        plan_of(anytime="1")


@pytest.mark.parametrize("law", ["none", "windows"])
def test_a_shop_in_progress_is_solved_from_where_it_stands(law, tmp_path):
    (instance,) = resolve("random:size=4x3:count=1:seed=5")
    machine, time = (int(table[0, 0]) for table in (instance.machines, instance.times))
    begun = {"job": 0, "finished": 0, "processing": {"machine": machine, "since": 40, "remaining": time}}
    others = [{"job": job, "finished": 0} for job in (1, 2, 3)]
    data = {**instance.to_dict(), "start": {"time": 40, "jobs": [begun, *others]}}
    if law == "windows":
        data["windows"] = [[[10, 20], [60, 90]]] * 3  # one is over by now
    path = tmp_path / "begun.json"
    path.write_text(json.dumps(data))
    plan = plan_of(f"{SHOP}:law={law}", AGENTS, instances=str(path), seeds="0")
    rows = evaluate_with_hindsight(plan, Store(None))
    assert all(row["hindsight_proved"] for row in rows)
    fresh = solve_job_shop(instance, "swap").bound
    assert 40 < rows[0]["hindsight_objective"] <= min(row["objective"] for row in rows)
    assert rows[0]["hindsight_objective"] >= fresh
