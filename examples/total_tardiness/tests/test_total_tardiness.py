"""What must hold: the contract, the rules against their definitions, and optima that were found apart from it."""

from itertools import permutations
from math import exp

import gymnasium
import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.envs.core.check import check_contract
from makespan.envs.core.errors import FieldError, UserError

from total_tardiness.agents import in_order
from total_tardiness.exact import TooManySetsError, optimum
from total_tardiness.instance import Family, TotalTardinessInstance, load, read_table, resolve
from total_tardiness.orders import arrays_of, cost_of, eddc_order, mdd_order, psk_order
from total_tardiness.plugin import ENV_ID
from total_tardiness.schedule import Schedule

CHALLENGER = resolve("challenger6")[0]


def played(names: list[str], instances: list[TotalTardinessInstance]) -> dict[str, list[Schedule]]:
    """The schedules of agents."""
    arena = open_arena(ENV_ID, len(instances), {"instance": instances})
    cases = [Case(instance, 0) for instance in instances]
    return {
        name: [one.schedule for one in play(arena, make_agent(name, arena.setting), cases)]  # type: ignore[misc]
        for name in names
    }


def order_of(schedule: Schedule) -> list[int]:
    return sorted(range(len(schedule.starts)), key=schedule.starts.__getitem__)


@pytest.mark.parametrize("options", [{}, {"instance": "tiny5,tiny8,challenger6"}])
def test_the_environment_keeps_the_contract(options):
    assert [finding for finding in check_contract(ENV_ID, options) if finding.outcome == "failed"] == []


# --- rules ------------------------------------------------------------------------------------------------------------


def mddc(p, d, t, waiting):
    longest, mean = max(p[j] for j in waiting), sum(p[j] for j in waiting) / len(waiting)

    def score(j):
        rho = min(p[j] / (t + longest), 1)
        return max(1.1 * p[j] + t, d[j]) * (1 + rho**2 / (1 + rho**2)) + p[j] / (t + mean), p[j], d[j]

    return score


def atc(p, d, t, waiting):
    mean = sum(p[j] for j in waiting) / len(waiting)
    return lambda j: -exp(-max(d[j] - p[j] - t, 0) / (2 * mean)) / p[j]


def mdd_short(p, d, t, waiting):
    total = sum(p)
    weight = max(1 - 2 * t / total, 0)
    return lambda j: (max(t + p[j], d[j]) + weight * p[j], p[j])


# Each rule's priority, smallest first, made from (processing times, due dates, clock, waiting jobs).
DEFINITIONS = {
    "edd": lambda p, d, t, waiting: lambda j: d[j],
    "spt": lambda p, d, t, waiting: lambda j: p[j],
    "slack": lambda p, d, t, waiting: lambda j: d[j] - p[j] - t,
    "mdd": lambda p, d, t, waiting: lambda j: (max(t + p[j], d[j]), p[j]),
    "atc": atc,
    "mddc": mddc,
    "mdd-short": mdd_short,
}


@pytest.mark.parametrize("rule", DEFINITIONS)
def test_rules_are_what_they_are_called(rule):
    instances = [Family(12).instance(seed) for seed in range(20)]
    for instance, schedule in zip(instances, played([rule], instances)[rule], strict=True):
        p, d = instance.times, instance.due_dates
        waiting, clock, order = set(range(len(p))), 0, order_of(schedule)
        for job in order:
            priority = DEFINITIONS[rule](p, d, clock, waiting)
            least = min(map(priority, waiting))
            assert np.allclose(priority(job), least, rtol=1e-5), (instance.name, clock)
            waiting.remove(job)
            clock += p[job]


def test_mddc_on_the_papers_example():
    (schedule,) = played(["mddc"], [CHALLENGER])["mddc"]
    assert order_of(schedule) == [3, 5, 2, 0, 1, 4]
    assert schedule.objective == 141 == optimum(CHALLENGER)[0]
    assert in_order(CHALLENGER, [1, 0, 2, 3, 5, 4]).objective == 144, "the paper's MDD"


def psk_by_steps(instance):
    """The eight steps as they are published, one after the other."""
    p, d = instance.times, instance.due_dates
    unscheduled, scheduled, c = sorted(range(len(p)), key=lambda j: (p[j], d[j], j)), [], 0
    while len(unscheduled) > 1:
        i, step = 0, 2
        while step != 8:
            if step == 2:
                step = 8 if c + p[unscheduled[i]] >= d[unscheduled[i]] else 3
            elif step == 3:
                j, step = i + 1, 4 if i + 1 < len(unscheduled) else 8
            elif step == 4:
                step = 8 if d[unscheduled[i]] <= c + p[unscheduled[j]] else 5
            elif step == 5:
                step = 7 if d[unscheduled[i]] <= d[unscheduled[j]] else 6
            elif step == 6:
                i, step = j, 8 if j == len(unscheduled) - 1 else 2
            elif j == len(unscheduled) - 1:
                step = 8
            else:
                j, step = j + 1, 4
        scheduled.append(unscheduled.pop(i))
        c += p[scheduled[-1]]
    return scheduled + unscheduled


def test_psk_takes_its_published_steps():
    for seed in range(60):
        instance = Family(12).instance(seed)
        assert psk_order(instance) == psk_by_steps(instance)


def test_heuristics_by_hand():
    instance = TotalTardinessInstance("four", (2, 3, 4, 6), (20, 6, 5, 9))
    # By time: 0 1 2 3. Job 1 (due 6) passes job 0, which ends at 2 and is due at 20; job 2 (5) passes 0 (ends at 5),
    # then 1 (ends at 3, due at 6); job 3 (9) passes 0, which would end at 9.
    assert eddc_order(instance) == [2, 1, 3, 0]
    assert mdd_order(instance) == [2, 1, 3, 0]
    assert in_order(instance, [2, 1, 3, 0]).objective == 0 + 1 + 4 + 0


# --- optima -----------------------------------------------------------------------------------------------------------


def small_instance(seed: int) -> TotalTardinessInstance:
    """Up to seven jobs; every other one has few different times and due dates, so that ties abound."""
    rng = np.random.default_rng(seed)
    jobs = int(rng.integers(1, 8))
    if seed % 2:
        return Family(jobs).instance(seed)
    times, due = rng.integers(1, 6, jobs), rng.integers(0, 16, jobs)
    return TotalTardinessInstance(f"small-{seed}", tuple(times.tolist()), tuple(due.tolist()))


def test_the_exact_program_finds_the_best_of_all_orders():
    for seed in range(80):
        instance = small_instance(seed)
        orders = permutations(range(len(instance.times)))
        least = min(in_order(instance, order).objective for order in orders)  # type: ignore[type-var]
        cost, order = optimum(instance)
        assert cost == least, instance
        assert in_order(instance, order).objective == least
        assert gymnasium.make(ENV_ID).unwrapped.bound(instance) <= least  # type: ignore[attr-defined]


def test_the_exact_program_agrees_with_cp_sat():
    cp_model = pytest.importorskip("ortools.sat.python.cp_model")
    for seed, (tf, rdd) in enumerate([(0.2, 0.2), (0.6, 0.2), (0.8, 0.2), (0.4, 0.4), (0.6, 0.6)]):
        instance = Family(10, tf, rdd).instance(seed)
        model, total = cp_model.CpModel(), sum(instance.times)
        tasks, late = [], []
        for time, due in zip(instance.times, instance.due_dates, strict=True):
            start = model.new_int_var(0, total - time, "")
            tasks.append(model.new_fixed_size_interval_var(start, time, ""))
            late.append(model.new_int_var(0, total, ""))
            model.add(late[-1] >= start + time - due)
        model.add_no_overlap(tasks)
        model.minimize(sum(late))
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.max_time_in_seconds = 60
        assert solver.solve(model) == cp_model.OPTIMAL
        assert round(solver.objective_value) == optimum(instance)[0]


def test_hard_instances_of_fifty_jobs_are_solved_and_no_order_is_better():
    instances = [Family(50, 0.6, 0.2).instance(seed) for seed in range(5)]
    for instance, found, tried in zip(
        instances, *played(["exact", "search:iterations=20"], instances).values(), strict=True
    ):
        assert found.violations() == []
        assert found.objective == optimum(instance)[0] <= tried.objective <= 1.01 * found.objective  # type: ignore[operator]
        assert cost_of(np.array(mdd_order(instance)), *arrays_of(instance)) >= found.objective


def test_too_many_sets_are_said():
    instance = Family(50, 0.6, 0.2).instance(0)
    with pytest.raises(TooManySetsError):
        optimum(instance, most_sets=10)
    with pytest.raises(
        UserError, match="'exact' cannot solve instance 'random-50-t0.6-r0.2-s0': it needs more than 10"
    ):
        played(["exact:sets=10"], [instance])


def test_the_search_is_the_same_for_the_same_work_and_starts_from_mdd():
    instances = [Family(40, 0.6, 0.4).instance(seed) for seed in range(4)]
    one, other = (played(["search:iterations=5"], instances)["search:iterations=5"] for _ in range(2))
    assert one == other
    before = [in_order(instance, mdd_order(instance)).objective for instance in instances]
    after = [schedule.objective for schedule in one]
    assert all(cost <= start for cost, start in zip(after, before, strict=True))
    assert sum(after) < sum(before)


def test_the_bound_of_a_state_is_never_above_what_can_still_be_reached():
    from total_tardiness.dynamics import lower_bound

    for seed in range(10):
        instance = small_instance(seed)
        arena = open_arena(ENV_ID, 1, {"instance": [instance]})
        engine = arena.engine
        assert engine is not None
        arena.reset([Case(instance, 0)])
        for job in optimum(instance)[
            1
        ]:  # the best that can still be reached is the optimum, all along an optimal order
            assert lower_bound(engine.problem, engine.state, 0) <= optimum(instance)[0]
            engine.step([job])
        assert lower_bound(engine.problem, engine.state, 0) == engine.objectives()[0] == optimum(instance)[0]


# --- instances and schedules ------------------------------------------------------------------------------------------


def test_random_instances_are_potts_and_van_wassenhoves():
    instance = Family(200, 0.6, 0.4).instance(7)
    total = sum(instance.times)
    assert instance.name == "random-200-t0.6-r0.4-s7"
    assert 1 <= min(instance.times) < 5 < 95 < max(instance.times) <= 100
    assert round(0.2 * total) <= min(instance.due_dates) < 0.22 * total
    assert 0.58 * total < max(instance.due_dates) <= round(0.6 * total)
    classes = {Family(3).instance(seed).name.rpartition("-s")[0] for seed in range(300)}
    assert len(classes) == 20
    with pytest.raises(FieldError, match="option tf is 2, expected a number from 0 to 1"):
        resolve("random:jobs=5:tf=2")


def test_a_table_of_jobs_is_read(tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text("due,job,time\n9,b,4\n5,a,2\n")
    assert read_table(path) == TotalTardinessInstance("shop", (4, 2), (9, 5)) == resolve(str(path))[0]
    for text, message in (
        ("time\n4\n", "a column 'due'"),
        ("time,due\n0,4\n", "row 2, column 'time' is '0', expected an integer from 1"),
        ("time,due\n3,x\n", "row 2, column 'due' is 'x'"),
        ("time,due,colour\n3,4,red\n", "colour"),
        ("time,due\n", "number of jobs is 0"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            read_table(path)


def test_files_are_read_back_and_malformed_ones_refused(tmp_path):
    CHALLENGER.save(tmp_path / "six.json")
    assert load(tmp_path / "six.json") == CHALLENGER
    (tmp_path / "bad.json").write_text((tmp_path / "six.json").read_text().replace("due_dates", "due"))
    with pytest.raises(UserError, match="due_dates"):
        load(tmp_path / "bad.json")


def test_violations_are_found():
    instance = TotalTardinessInstance("three", (4, 2, 6), (1, 2, 3))
    assert Schedule(instance, (0, 4, 6)).violations() == []
    assert Schedule(instance, (0, 3, 6)).violations() == ["job 1 starts at 3, before job 0 ends"]
    assert Schedule(instance, (0, 4, -1)).violations() == ["job 2 never starts"]
    with pytest.raises(FieldError, match="number of starts is 2"):
        Schedule(instance, (0, 4))


@pytest.mark.parametrize(
    "name, message",
    [
        ("search:time=0", "option time of agent 'search' is 0"),
        ("search:iterations=1.5", "option iterations of agent 'search' is 1.5"),
        ("exact:sets=0", "option sets of agent 'exact' is 0"),
        ("exact:set=5", "did you mean 'sets'"),
    ],
)
def test_options_of_agents_are_checked(name, message):
    with pytest.raises(UserError, match=message):
        make_agent(name, open_arena(ENV_ID, 1).setting)
