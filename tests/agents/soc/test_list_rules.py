"""List schedulers: published answers, and what must hold of any plan."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.agents.soc.lists import RULES, Lists, rank_upward
from makespan.agents.soc.problem import Plan, problem_of
from makespan.envs.core.errors import UnknownNameError
from makespan.envs.soc import catalogue
from makespan.envs.soc.instance import Application, Platform, SocInstance
from makespan.envs.soc.measure import graph_of, measure
from support.soc_graphs import PEFT_EDGES, PEFT_TIMES, instance, peft, random_instance, topcuoglu
from support.soc_plans import faults

EXACT_FIT = instance([[4, 5], [6, 4], [6, 5], [3, 6]], [(0, 2, 0), (1, 3, 1), (2, 3, 5)])
OPEN_GAP = instance([[5, 3], [3, 3], [2, 6], [3, 6]], [(0, 3, 0)])


def makespan(of: SocInstance, rule: str, insertion: bool | None = None) -> int:
    plan = Lists(of).plan(rule, insertion)
    assert faults(of, plan) == []
    return plan.makespan


@pytest.mark.parametrize(
    "rule, expected", [("heft", 80), ("cpop", 86), ("peft", 85), ("lookahead-heft", 76), ("dls", 91)]
)
def test_topcuoglus_graph(rule, expected):
    assert makespan(topcuoglu(), rule) == expected


@pytest.mark.parametrize(
    "rule, expected", [("heft", 133), ("cpop", 167), ("peft", 122), ("lookahead-heft", 127), ("dls", 134)]
)
def test_pefts_graph(rule, expected):
    assert makespan(peft(), rule) == expected


def test_topcuoglus_plan_is_the_published_one():
    plan = Lists(topcuoglu()).plan("heft")
    assert plan.pe.tolist() == [2, 0, 2, 1, 2, 1, 2, 0, 1, 1]
    assert plan.start.tolist() == [0, 27, 9, 18, 28, 26, 38, 57, 56, 73]


@pytest.mark.parametrize("of, with_insertion, without", [(EXACT_FIT, 15, 17), (OPEN_GAP, 6, 8)])
def test_heft_takes_gaps_exact_fits_too(of, with_insertion, without):
    assert makespan(of, "heft") == with_insertion
    assert makespan(of, "heft", insertion=False) == without


@pytest.mark.parametrize(
    "name, rule, expected",
    [
        ("wifi-rx", "heft", 291),
        ("wifi-rx", "dls", 288),
        ("wifi-rx", "cpop", 1032),
        ("wifi-rx", "etf", 1197),
        ("wifi-rx", "min-min", 307),
        ("wifi-rx", "mct", 301),
        ("wifi-rx", "heft-rt", 288),
        ("wifi-tx", "min-min", 71),
        ("wifi-tx", "met-rt", 71),
        ("paper-wifi-tx", "min-min", 69),
        ("paper-wifi-tx", "dls", 69),
        *((name, rule, 176) for name in ("range-detection", "paper-range-detection") for rule in ("met", "min-min")),
        *(("single-carrier-tx", rule, 56) for rule in ("met", "min-min", "heft")),
        *(("single-carrier-rx", rule, 153) for rule in ("met", "min-min", "heft")),
        *(("temporal-mitigation", rule, 79) for rule in ("met", "min-min", "heft")),
        ("paper-pulse-doppler", "heft-rt", 284),
    ],
)
def test_applications_of_ds3(name, rule, expected):
    assert makespan(catalogue.instance(name), rule) == expected


def test_the_random_rule_follows_its_key():
    lists = Lists(topcuoglu())
    plans = {key: lists.plan("random", key=key).makespan for key in range(20)}
    assert len(set(plans.values())) > 5
    assert all(lists.plan("random", key=key).makespan == value for key, value in plans.items())


def test_unknown_rules_are_refused_by_name():
    with pytest.raises(UnknownNameError, match="did you mean 'heft'"):
        Lists(topcuoglu()).plan("hefd")


def test_fast_upward_ranks_are_those_of_the_measures():
    rng = np.random.default_rng(5)
    for _ in range(50):
        problem = problem_of(random_instance(rng, 8, int(rng.integers(1, 5)), jobs=2))
        rank = np.zeros(len(problem.arrival))
        rank_upward(problem, rank)
        np.testing.assert_allclose(rank, measure(problem.graph).upward_rank, rtol=1e-13)


def test_several_jobs_are_one_graph_of_their_graphs():
    of = random_instance(np.random.default_rng(3), 6, 3, jobs=3, arrivals=9)
    problem = problem_of(of)
    offset = 0
    for a, arrival in of.jobs.tolist():
        graph = graph_of(of.applications[a], of.platform)
        whole = slice(offset, offset + len(graph.times))
        np.testing.assert_array_equal(problem.graph.times[whole], graph.times)
        np.testing.assert_array_equal(problem.graph.order[whole], graph.order + offset)
        assert (problem.arrival[whole] == arrival).all()
        for i in range(len(graph.times)):
            for first, other, volume in (("first_out", "out_task", "out_volume"), ("first_in", "in_task", "in_volume")):
                of_job = slice(*getattr(graph, first)[i : i + 2])
                of_all = slice(*getattr(problem.graph, first)[offset + i : offset + i + 2])
                np.testing.assert_array_equal(
                    getattr(graph, other)[of_job] + offset, getattr(problem.graph, other)[of_all]
                )
                np.testing.assert_array_equal(getattr(graph, volume)[of_job], getattr(problem.graph, volume)[of_all])
        offset = whole.stop


def simple_heft(of: SocInstance) -> int:
    """HEFT with insertion on one application, written anew with fractions and lists."""
    app, bandwidth = of.applications[0], of.platform.bandwidth.tolist()
    pes, times = range(of.num_pes), app.times.tolist()
    edges = {tuple(edge): v for edge, v in zip(app.edges.tolist(), app.volumes.tolist(), strict=True)}
    pairs = [(p, q) for p in pes for q in pes if p != q]

    def rank(i: int) -> Fraction:
        if i not in ranks:
            runs = [t for t in times[i] if t >= 0]
            after = [Fraction(0)]
            for (a, b), v in edges.items():
                if a == i:
                    mean = Fraction(sum(v // bandwidth[p][q] for p, q in pairs), len(pairs)) if pairs else Fraction(0)
                    after.append(mean + rank(b))
            ranks[i] = Fraction(sum(runs), len(runs)) + max(after)
        return ranks[i]

    ranks: dict[int, Fraction] = {}
    position = {i: k for k, i in enumerate(graph_of(app, of.platform).order.tolist())}
    busy: list[list[tuple[int, int]]] = [[] for _ in pes]
    where: dict[int, tuple[int, int]] = {}
    for i in sorted(range(len(times)), key=lambda i: (-rank(i), position[i])):
        best = None
        for p in pes:
            if times[i][p] < 0:
                continue
            ready = 0
            for (a, b), v in edges.items():
                if b == i:
                    q, done = where[a]
                    ready = max(ready, done + (0 if p == q else v // bandwidth[q][p]))
            begins = [ready, *(end for _, end in busy[p] if end >= ready)]
            end = min(b + times[i][p] for b in begins if all(b + times[i][p] <= x or b >= y for x, y in busy[p]))
            if best is None or end < best[0]:
                best = end, p
        assert best is not None
        where[i] = best[1], best[0]
        busy[best[1]].append((best[0] - times[i][best[1]], best[0]))
    return max(end for _, end in where.values())


def test_heft_is_that_of_a_plain_implementation():
    rng = np.random.default_rng(8)
    for _ in range(150):
        of = random_instance(rng, int(rng.integers(1, 12)), int(rng.integers(1, 5)), longest=20)
        # Where nothing takes no time, gaps are the same in whatever form they are kept.
        app = of.applications[0]
        app = Application(app.name, app.tasks, np.where(app.times == 0, 1, app.times), app.edges, app.volumes)
        of = SocInstance("positive", of.platform, (app,))
        assert makespan(of, "heft") == simple_heft(of)


def plans_of(of: SocInstance) -> dict[tuple[str, bool | None], Plan]:
    lists = Lists(of)
    choices = {name: (None,) if rule.appends else (True, False) for name, rule in RULES.items()}
    return {(name, choice): lists.plan(name, choice) for name in choices for choice in choices[name]}


def test_plans_are_valid():
    rng = np.random.default_rng(1)
    for _ in range(150):
        of = random_instance(
            rng, int(rng.integers(1, 9)), int(rng.integers(1, 5)), jobs=int(rng.integers(1, 4)), arrivals=9
        )
        for rule, plan in plans_of(of).items():
            assert faults(of, plan) == [], rule


def times_k(of: SocInstance, k: int) -> SocInstance:
    """All times and volumes times k; bandwidths stay. The volumes must be multiples of the bandwidths."""
    apps = tuple(
        Application(app.name, app.tasks, np.where(app.times < 0, -1, app.times * k), app.edges, app.volumes * k)
        for app in of.applications
    )
    return SocInstance("scaled", of.platform, apps, jobs=of.jobs * np.array([1, k]))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), k=st.integers(2, 1000))
def test_scaled_times_and_volumes_scale_plans(seed, k):
    of = random_instance(np.random.default_rng(seed), 7, 3, jobs=2, arrivals=5, unequal_links=False)
    scaled = times_k(of, k)
    for rule, plan in plans_of(of).items():
        assert Lists(scaled).plan(*rule).makespan == k * plan.makespan, rule


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_order_of_the_pes_makes_no_difference(seed):
    """But to rules that cannot tell PEs apart; times are so large that unlike PEs are hardly ever equally good."""
    rng = np.random.default_rng(seed)
    of = random_instance(rng, 8, 2, unequal_links=False, longest=10**6, volume=10**6)
    app = of.applications[0]
    makespans = []
    for columns in ([0, 0, 1, 1], [0, 1, 1, 0]):
        twice = Application(app.name, app.tasks, app.times[:, columns], app.edges, app.volumes)
        lists = Lists(SocInstance("twice", Platform.of_one_kind("chip", 4), (twice,)))
        makespans.append({rule: lists.plan(rule).makespan for rule in RULES if rule not in ("random", "heft-rt-blind")})
    assert makespans[0] == makespans[1]


def test_pefts_table_is_the_published_one():
    table = Lists(instance(PEFT_TIMES, PEFT_EDGES)).measures.oct
    assert table.astype(int).tolist() == [
        [64, 68, 86], [42, 39, 42], [27, 41, 43], [42, 39, 50], [28, 37, 28],
        [42, 39, 44], [13, 16, 22], [13, 16, 33], [13, 16, 20], [0, 0, 0],
    ]  # fmt: skip
