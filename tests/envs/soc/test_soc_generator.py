"""Random DAGs: their families, their parameters, and their names."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.envs.core.errors import UserError
from makespan.envs.soc.generator import MEAN_TIME, DagFamily, random_instance, resolve
from makespan.envs.soc.instance import Application, SocInstance
from makespan.envs.soc.measure import graph_of, measure
from makespan.envs.soc.shapes import FAMILIES, most_edges


def only(family: str, tasks: int = 50, seed: int = 3, **options) -> Application:
    options = {key: (value,) for key, value in options.items()}
    return DagFamily((family,), (tasks,), **options).instance(seed).applications[0]


def net(application: Application) -> networkx.DiGraph:
    graph = networkx.DiGraph(application.edges.tolist())
    graph.add_nodes_from(range(application.num_tasks))
    return graph


# --- shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tasks", [11, 12, 30, 100, 477])
def test_every_family_makes_acyclic_graphs_of_about_the_size(family, tasks):
    for seed in range(3):
        dag = only(family, tasks, seed)
        assert tasks / 3 < dag.num_tasks <= tasks
        assert (dag.edges[:, 0] < dag.edges[:, 1]).all()
        assert dag.num_edges <= most_edges(family, tasks, 4)
        if family not in ("layered", "random"):
            assert networkx.is_weakly_connected(net(dag))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_least_of_each_family(family):
    least = FAMILIES[family].least
    assert only(family, least).num_tasks == least


@pytest.mark.parametrize(
    "family, tasks, edges",
    [
        ("gauss", 14, 19),  # m = 5, Topcuoglu's figure 11(a)
        ("fft", 15, 22),  # m = 4, Topcuoglu's figure 13(b)
        ("cholesky", 20, 30),  # 4 tiles
        ("montage", 11, 15),
    ],
)
def test_published_structures(family, tasks, edges):
    dag = only(family, tasks)
    assert (dag.num_tasks, dag.num_edges) == (tasks, edges)


def test_gaussian_elimination_alternates_pivots_and_updates():
    """The longest path has 2 (m - 1) tasks; the first pivot is the only entry, the last update the only exit."""
    graph = net(only("gauss", 14))
    assert networkx.dag_longest_path_length(graph, default_weight=1) == 2 * 4 - 1
    assert sum(degree == 0 for _, degree in graph.in_degree()) == 1
    assert sum(degree == 0 for _, degree in graph.out_degree()) == 1


def test_all_paths_of_a_fourier_transform_are_critical():
    """Topcuoglu's FFT graphs: tasks of a level take the same, and so do the transfers between two levels."""
    dag = only("fft", 39)
    graph = graph_of(dag, DagFamily(("fft",), (39,), (4,)).instance(3).platform)
    found = measure(graph._replace(bandwidth=np.ones((dag.times.shape[1],) * 2, dtype=np.int64)))
    assert np.ptp(found.upward_rank + found.downward_rank) < 1e-6


def test_a_cholesky_factorisation_depends_as_its_kernels_do():
    """The longest path: potrf, trsm, syrk of each of the b - 1 first columns, and the last potrf."""
    assert networkx.dag_longest_path_length(net(only("cholesky", 35)), default_weight=1) == 3 * 4


def test_trees_have_one_parent_and_fork_joins_one_entry_and_exit():
    out, into = net(only("out-tree", 80)), net(only("in-tree", 80))
    assert sorted(dict(out.in_degree()).values()) == [0] + [1] * 79
    assert sorted(dict(into.out_degree()).values()) == [0] + [1] * 79
    fork = net(only("fork-join", 81))
    assert (fork.in_degree(0), fork.out_degree(80)) == (0, 0)
    assert all(fork.in_degree(i) for i in range(1, 81))
    assert all(fork.out_degree(i) for i in range(80))


def test_levels_are_wider_with_a_larger_alpha():
    depths = [
        np.mean([networkx.dag_longest_path_length(net(only("layered", 100, seed, alpha=alpha))) for seed in range(10)])
        for alpha in (0.5, 1.0, 2.0)
    ]
    assert depths[0] > 1.5 * depths[1] > 2.2 * depths[2]


def test_the_degree_bounds_the_predecessors():
    for degree in (1, 3):
        counts = np.bincount(only("layered", 200, degree=degree).edges[:, 1])
        assert counts.max() == degree
    mean = only("random", 2000, degree=3).num_edges / 2000
    assert 2.7 < mean <= 3.1


# --- costs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ccr", [0.1, 1.0, 5.0])
def test_ccr_is_mean_transfer_over_mean_time(ccr):
    dags = [only("layered", 200, seed, ccr=ccr) for seed in range(5)]
    times, volumes = (np.concatenate([getattr(x, name).reshape(-1) for x in dags]) for name in ("times", "volumes"))
    assert times.mean() == pytest.approx(MEAN_TIME, rel=0.05)
    assert volumes.mean() / times.mean() == pytest.approx(ccr, rel=0.06)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.5])
def test_beta_is_the_spread_of_a_task_over_pes(beta):
    times = only("random", 500, beta=beta, pes=16).times
    large = times[times.mean(axis=1) > 50]
    assert ((large.max(axis=1) - 0.5) * (1 - beta / 2) <= (large.min(axis=1) + 0.5) * (1 + beta / 2)).all()
    assert np.mean(large.std(axis=1) / large.mean(axis=1)) == pytest.approx(beta / 12**0.5, rel=0.1, abs=0.01)


def test_ineligible_pairs_leave_a_pe():
    times = only("layered", 1000, ineligible=0.3, pes=8).times
    assert (times >= 1).any(axis=1).all()
    assert (times == -1).mean() == pytest.approx(0.3 * 7 / 8, rel=0.1)
    assert ((only("random", 50, ineligible=1.0, pes=4).times >= 0).sum(axis=1) == 1).all()


def test_tasks_of_a_class_take_the_same():
    assert len(np.unique(only("cholesky", 100).times, axis=0)) == 4
    assert len(np.unique(only("montage", 100).times, axis=0)) == 9


def test_jobs_and_links():
    instance = DagFamily(("layered",), (20,), (5,), jobs=(3,), links=("random",)).instance(1)
    assert instance.jobs.tolist() == [[0, 0], [1, 0], [2, 0]]
    assert len({x.num_edges for x in instance.applications} | {x.times.sum() for x in instance.applications}) > 3
    bandwidth = instance.platform.bandwidth
    between = bandwidth[~np.eye(5, dtype=bool)]
    assert (bandwidth == bandwidth.T).all()
    assert 50 <= between.min() < between.max() <= 150


# --- names and seeds --------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**63 - 1),
    st.sampled_from(sorted(FAMILIES)),
    st.integers(11, 60),
    st.integers(1, 9),
    st.sampled_from([0.001, 0.1234, 1.0, 7, 1000.0]),
    st.sampled_from([0.0, 0.25, 2]),
    st.sampled_from([0.01, 1.5]),
    st.sampled_from([0.0, 0.0001, 0.5]),
    st.integers(1, 2),
    st.sampled_from(["equal", "random"]),
)
def test_an_instance_comes_back_by_its_name_and_from_its_file(
    seed, family, tasks, pes, ccr, beta, alpha, ineligible, jobs, links
):
    made = DagFamily(
        (family,), (tasks,), (pes,), (ccr,), (beta,), (alpha,), (3,), (ineligible,), (jobs,), (links,)
    ).instance(seed)
    (found,) = resolve(made.name)
    assert found.name == made.name
    assert found.same_as(made)
    assert SocInstance.from_dict(made.to_dict()).same_as(made)


def test_lists_are_drawn_from_and_seeds_count_up():
    found = resolve("random:tasks=20+50:pes=4+8:family=layered+cholesky:ccr=0.1+1+5:beta=0.5:count=40:seed=7")
    assert len({x.name for x in found}) == len(found) == 40
    assert [int(x.name.rsplit("-s", 1)[1]) for x in found] == list(range(7, 47))
    parts = {tuple(x.name.split("-")[k] for x in found) for k in (1, 2, 3, 4)}
    kinds = [set(part) for part in parts]
    assert {"layered", "cholesky"} in kinds
    assert {"20x4", "20x8", "50x4", "50x8"} in kinds
    assert {"c0.1", "c1", "c5"} in kinds
    assert {"b0.5"} in kinds
    again = resolve("random:tasks=20+50:pes=4+8:family=layered+cholesky:ccr=0.1+1+5:beta=0.5:count=40:seed=7")
    assert [x.hash for x in again] == [x.hash for x in found]
    assert len({x.hash for x in found}) == 40


def test_the_stream_of_seeds_does_not_change():
    """Figures in reports name instances by their seeds; whoever changes this makes them meaningless."""
    assert [x.hash for x in resolve("random:count=3:seed=5")] == [
        "9b5705873bf8b067",
        "e464cd297d321eb2",
        "2788fc73e1c5a6c6",
    ]


def test_random_instances_of_several_families():
    families = (DagFamily(("fft",)), DagFamily(("gauss",)))
    names = {random_instance(families, seed).name.split("-")[1] for seed in range(20)}
    assert names == {"fft", "gauss"}


def test_default_families_fit_the_tasks():
    assert "montage" not in DagFamily(tasks=(10, 50)).family
    assert set(DagFamily().family) == set(FAMILIES)


def test_the_room_is_enough():
    family = DagFamily(tasks=(11, 40), jobs=(1, 2), degree=(1, 5))
    for seed in range(60):
        instance = family.instance(seed)
        assert len(instance.jobs) <= family.room.jobs
        assert instance.num_pes <= family.room.pes
        assert max(x.num_tasks for x in instance.applications) <= family.room.tasks
        assert max(x.num_edges for x in instance.applications) <= family.room.edges


@pytest.mark.parametrize(
    "text, says",
    [
        ("random:size=50", "unknown option of instance 'random': 'size'"),
        ("random:tasks=1", "option tasks is '1', expected an integer from 2 to 100000; several joined by '+'"),
        ("random:tasks=20+x", "option tasks is '20+x', expected an integer"),
        ("random:tasks=20+", "option tasks is '20+', expected an integer"),
        ("random:tasks=1000000", "option tasks is '1000000', expected an integer from 2 to 100000"),
        ("random:pes=0", "option pes is '0', expected an integer from 1 to 256"),
        ("random:family=tree", "option family is 'tree', expected one of layered, random, fork-join"),
        ("random:ccr=0", "option ccr is '0', expected a number from 0.001 to 1000 with at most 4 decimals"),
        ("random:ccr=0.12345", "option ccr is '0.1235', expected a number from 0.001 to 1000 with at most 4 decimals"),
        ("random:ccr=nan", "option ccr is 'nan', expected a number from 0.001 to 1000"),
        ("random:beta=3", "option beta is '3', expected a number from 0 to 2"),
        ("random:ineligible=-0.1", "option ineligible is '-0.1', expected a number from 0 to 1"),
        ("random:links=slow", "option links is 'slow', expected equal or random"),
        ("random:family=montage:tasks=5+20", "option tasks is '5+20', expected at least 11, as family 'montage' has"),
        ("random:count=0", "option count is 0, expected an integer from 1 to 100000"),
        ("random:seed=-1", "option seed is -1, expected an integer from 0"),
        ("random-tree-50x4-c1-b0.5-a1-d3-s7", "option family is 'tree', expected one of"),
        ("random-layered-50x4", "unknown instance 'random-layered-50x4'"),
    ],
)
def test_what_is_malformed_is_named(text, says):
    with pytest.raises(UserError) as caught:
        resolve(text)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
