"""Lower bounds of static DAG scheduling: known answers, never above the optimum; and what is known of what ships."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.envs.core.errors import UserError
from makespan.envs.soc import bounds as module
from makespan.envs.soc import catalogue
from makespan.envs.soc.bounds import (
    critical_path_bound,
    fractional_load,
    least_latency,
    lower_bound,
    path_bound,
    work_bound,
)
from makespan.envs.soc.generator import DagFamily
from makespan.envs.soc.known import bounds, known
from scipy.optimize import linprog
from support.soc_exhaustive import optimum


@pytest.mark.parametrize(
    "name, path, work",
    [
        ("topcuoglu", 54, 31),
        ("peft", 86, 61),
        ("wifi-rx", 193, 103),
        ("wifi-rx-x4", 193, 410),
        ("range-detection", 176, 18),
        ("single-carrier-rx", 153, 24),
        ("temporal-mitigation", 79, 19),
    ],
)
def test_the_bounds_of_the_reference(name, path, work):
    instance = catalogue.instance(name)
    assert (path_bound(instance), work_bound(instance)) == (path, work)
    assert lower_bound(instance) == max(path, work)


def tiny(seed: int, jobs: int = 1) -> DagFamily:
    return DagFamily(
        ("layered", "random", "fork-join", "cholesky"),
        (4, 5) if jobs == 1 else (4,),
        (2, 3) if jobs == 1 else (2,),
        ccr=(0.1, 1.0, 5.0),
        beta=(0.5, 2.0),
        ineligible=(0.0, 0.4),
        jobs=(jobs,),
        links=("equal", "random"),
    )


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_no_bound_is_above_the_optimum(first):
    """And each of paths and work is the larger one somewhere."""
    larger = set()
    for seed in range(first, first + 50):
        instance = tiny(seed).instance(seed)
        best = optimum(instance)
        assert critical_path_bound(instance) <= path_bound(instance) <= best
        assert work_bound(instance) <= best
        larger.add(np.sign(path_bound(instance) - work_bound(instance)))
    assert larger >= {-1, 1}


def test_no_bound_is_above_the_optimum_of_several_jobs():
    for seed in range(8):
        instance = tiny(seed, jobs=2).instance(seed)
        instance = replace(instance, jobs=np.array([[0, 40], [1, 130]]))
        best = optimum(instance)
        assert max(path_bound(instance), work_bound(instance), critical_path_bound(instance)) <= best


def test_mean_transfers_would_be_no_bound():
    """PEFT's table takes mean transfers: with unequal links it exceeds optima, so bounds do not use it."""
    from makespan.envs.soc.measure import graph_of, measure

    exceeded = 0
    for seed in range(200):
        instance = DagFamily(("random",), (4,), (3,), links=("random",), ccr=(5.0,), degree=(3,)).instance(seed)
        (dag,) = instance.applications
        found = measure(graph_of(dag, instance.platform)).oct + dag.times
        exceeded += found.min(axis=1).max() > optimum(instance) + 1e-9
    assert exceeded > 0


def test_the_least_latency_is_met_when_there_are_pes_enough():
    assert least_latency(catalogue.application("range-detection", "ds3"), catalogue.platform("ds3")) == 176
    chain = catalogue.application("single-carrier-tx", "ds3")
    assert least_latency(chain, catalogue.platform("ds3")) == 56  # no volumes: the sum of least times


def load_by_program(times, count) -> float:
    """The linear program as it stands in textbooks."""
    rows, pes = times.shape
    task, pe = np.nonzero(times >= 0)
    load = np.zeros((pes, len(task) + 1))
    load[pe, np.arange(len(task))] = times[task, pe]
    load[:, -1] = -1
    whole = np.zeros((rows, len(task) + 1))
    whole[task, np.arange(len(task))] = 1
    cost = np.zeros(len(task) + 1)
    cost[-1] = 1
    return linprog(cost, A_ub=load, b_ub=np.zeros(pes), A_eq=whole, b_eq=count).fun


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 5), st.sampled_from([1, 30, 10**6]))
def test_the_load_is_that_of_the_linear_program_rounded_up(seed, tasks, pes, largest):
    random = np.random.default_rng(seed)
    times = random.integers(-1, largest + 1, (tasks, pes))
    times[np.arange(tasks), random.integers(0, pes, tasks)] = random.integers(0, largest + 1, tasks)
    count = random.integers(1, 4, tasks)
    exact = load_by_program(times, count)
    found = fractional_load(times, count)
    assert exact - 1e-6 * max(exact, 1) <= found <= np.ceil(exact + 1e-6 * max(exact, 1))


def test_a_program_too_large_is_bounded_by_mean_loads(monkeypatch):
    monkeypatch.setattr(module, "_MOST_PAIRS", 5)
    times = np.array([[3, 5], [7, 2], [4, 4]])
    assert fractional_load(times, np.ones(3, dtype=np.int64)) == 5  # (3 + 2 + 4) / 2, rounded up


def test_tasks_that_take_no_time_are_no_load():
    assert fractional_load(np.array([[0, 0], [0, -1]]), np.ones(2, dtype=np.int64)) == 0


def test_arrivals_shift_bounds():
    instance = catalogue.instance("wifi-rx")
    later = replace(instance, jobs=np.array([[0, 100], [0, 1000]]))
    assert path_bound(later) == 1193
    assert work_bound(later) == 100 + 205


# --- what is known ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, best",
    [
        ("topcuoglu", 73),
        ("peft", 113),
        ("gap-exact", 13),
        ("gap-open", 6),
        ("wifi-tx", 69),
        ("paper-wifi-tx", 69),
        ("wifi-rx", 288),
        ("paper-wifi-rx", 288),
        ("range-detection", 176),
        ("single-carrier-tx", 56),
        ("single-carrier-rx", 153),
        ("temporal-mitigation", 79),
    ],
)
def test_proved_optima(name, best):
    assert bounds(name)[:2] == (best, best)


def test_small_optima_are_those_of_exhaustive_search():
    for name in ("gap-exact", "gap-open"):
        assert optimum(catalogue.instance(name)) == bounds(name).upper


def test_four_receivers_at_once():
    found = bounds("wifi-rx-x4")
    assert found.lower >= 410
    assert found.upper == 478


def test_what_is_known_is_of_instances_that_ship():
    shipped = {catalogue.instance(name).hash: name for name in catalogue.names()}
    for key, entry in known().items():
        assert entry["name"] in catalogue.names()
        assert key in shipped
        instance = catalogue.instance(entry["name"])
        assert instance.hash == key
        assert lower_bound(instance) <= entry["lower"] <= entry["upper"]
    assert {entry["name"] for entry in known().values()} >= set(catalogue.sets()["soc-static"])


def test_a_known_name_with_other_content_is_not_known():
    instance = catalogue.instance("topcuoglu")
    (dag,) = instance.applications
    other = replace(instance, applications=(replace(dag, volumes=dag.volumes + 1),))
    assert bounds(other).upper is None
    assert bounds(other).lower == lower_bound(other)
    assert bounds(replace(instance, name="mine")).upper == 73
    with pytest.raises(UserError, match="unknown instance 'topcuoglo'; did you mean 'topcuoglu'"):
        bounds("topcuoglo")
