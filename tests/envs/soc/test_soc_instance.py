"""Instances of DAG scheduling and their files: what is malformed is refused in one line that says where."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.envs.core.errors import FieldError, UserError
from makespan.envs.soc.instance import Application, Kind, Platform, SocInstance

CHIP = Platform(
    "chip",
    (Kind("CPU", ((500, 900), (1000, 1100)), ((100, 180), (400, 700)), (5, 9)), Kind("FFT")),
    np.array([0, 0, 1]),
    np.array([[7, 1000, 10], [1000, 0, 10], [10, 10, 0]]),
    np.array([100, 100, 50]),
)
RADIO = Application(
    "radio",
    ("begin", "fft", "end"),
    np.array([[0, 0, -1], [50, 50, 4], [9, 9, -1]]),
    np.array([[1, 2], [0, 1]]),
    np.array([30, 20]),
)
SINGLE = Application("single", ("only",), np.array([[3, 3, 3]]), np.zeros((0, 2), dtype=int), np.zeros(0, dtype=int))
INSTANCE = SocInstance("small", CHIP, (RADIO, SINGLE), np.array([0.25, 0.75]), np.array([[1, 5], [0, 0]]), source="me")


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """The instance's JSON form with another value at a place."""
    data = json.loads(INSTANCE.dumps())
    at = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = to
    return data


def dag(times: Any, edges: Any = (), volumes: Any = None) -> Application:
    names = tuple(f"t{i}" for i in range(len(times)))
    return Application("x", names, np.array(times), np.array(edges), np.array(volumes or [1] * len(edges)))


# --- what an instance is ----------------------------------------------------------------------------------------------


def test_arrays_are_copies_sorted_and_read_only():
    edges = np.array([[1, 2], [0, 1]])
    mine = replace(RADIO, edges=edges, volumes=np.array([30, 20], dtype=np.int32))
    edges[:] = 0
    assert mine.edges.tolist() == [[0, 1], [1, 2]]
    assert mine.volumes.tolist() == [20, 30]
    assert mine.volumes.dtype == np.int64
    for array in (mine.edges, mine.times, CHIP.bandwidth, CHIP.kind, INSTANCE.jobs, INSTANCE.mix, INSTANCE.groups):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1


def test_defaults():
    bare = SocInstance("bare", CHIP, (RADIO, SINGLE))
    assert bare.mix.tolist() == [0.5, 0.5]
    assert bare.jobs.tolist() == [[0, 0], [1, 0]]
    assert bare.num_tasks == 4
    assert INSTANCE.jobs.tolist() == [[0, 0], [1, 5]]
    assert RADIO.dummy.tolist() == [True, False, False]
    assert RADIO.eligible[0].tolist() == [True, True, False]


def test_groups_are_pes_that_can_be_exchanged():
    assert INSTANCE.groups.tolist() == [0, 0, 1]
    slower = np.array(CHIP.bandwidth)
    slower[1, 2] = 11
    assert replace(INSTANCE, platform=replace(CHIP, bandwidth=slower)).groups.tolist() == [0, 1, 2]
    times = np.array(RADIO.times)
    times[1, 1] = 51
    assert replace(INSTANCE, applications=(replace(RADIO, times=times),), mix=[], jobs=[]).groups.tolist() == [0, 1, 2]
    memory = replace(CHIP, memory_bandwidth=np.array([1, 2, 1]))
    assert replace(INSTANCE, platform=memory).groups.tolist() == [0, 1, 2]
    assert SocInstance("four", Platform.of_one_kind("p", 4), (dag([[1] * 4]),)).groups.tolist() == [0] * 4


def test_the_diagonal_of_the_bandwidth_does_not_count():
    other = np.array(CHIP.bandwidth)
    np.fill_diagonal(other, -3)
    assert replace(INSTANCE, platform=replace(CHIP, bandwidth=other)).same_as(INSTANCE)


# --- files ------------------------------------------------------------------------------------------------------------


def test_the_instance_survives_its_file(tmp_path):
    INSTANCE.save(tmp_path / "small.json")
    found = SocInstance.load(tmp_path / "small.json")
    assert found.to_dict() == INSTANCE.to_dict()
    assert found.hash == INSTANCE.hash
    assert found.platform.kinds == CHIP.kinds


def test_names_and_sources_do_not_count():
    assert replace(INSTANCE, name="other", source="you").same_as(INSTANCE)
    assert not replace(INSTANCE, unit="ms").same_as(INSTANCE)
    assert not replace(INSTANCE, applications=(replace(RADIO, volumes=[21, 30]), SINGLE)).same_as(INSTANCE)


def test_a_file_needs_little():
    data = {
        "format": "makespan/soc",
        "version": 1,
        "name": "least",
        "platform": {"name": "two", "kinds": [{"name": "PE", "pes": 2}], "bandwidth": [[0, 1], [1, 0]]},
        "applications": [{"name": "a", "tasks": [{"name": "t", "times": [1, 2]}], "edges": []}],
    }
    instance = SocInstance.from_dict(data)
    assert instance.platform.kinds[0].power_mw == ((1000, 2000),)
    assert instance.unit == "us"


@st.composite
def instances(draw) -> SocInstance:
    pes = draw(st.integers(1, 4))
    kinds = draw(st.integers(1, pes))
    kind = np.sort(np.array([*range(kinds), *draw(st.lists(st.integers(0, kinds - 1), max_size=pes - kinds))]))
    pes = len(kind)
    number = st.integers(1, 10**6)
    platform = Platform(
        "p",
        tuple(Kind(f"k{k}", power_mw=((7,) * pes,)) for k in range(kinds)),
        kind,
        np.array(draw(st.lists(st.lists(number, min_size=pes, max_size=pes), min_size=pes, max_size=pes))),
        np.array(draw(st.lists(number, min_size=pes, max_size=pes))),
    )
    applications = []
    for a in range(draw(st.integers(1, 3))):
        count = draw(st.integers(1, 6))
        row = st.lists(st.integers(-1, 10**6), min_size=pes, max_size=pes).filter(lambda x: max(x) >= 0)
        times = np.array(draw(st.lists(row, min_size=count, max_size=count)))
        order = draw(st.permutations(range(count)))
        pairs = [(order[i], order[j]) for j in range(count) for i in range(j)]
        edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
        volumes = draw(st.lists(st.integers(0, 10**9), min_size=len(edges), max_size=len(edges)))
        names = draw(st.lists(st.text("abü\"'\\/ ", min_size=1), min_size=count, max_size=count, unique=True))
        applications.append(Application(f"a{a}", tuple(names), times, np.array(edges), np.array(volumes)))
    weights = draw(st.lists(st.integers(1, 9), min_size=len(applications), max_size=len(applications)))
    jobs = draw(st.lists(st.tuples(st.integers(0, len(applications) - 1), st.integers(0, 10**9)), max_size=5))
    return SocInstance("r", platform, tuple(applications), np.array(weights) / sum(weights), np.array(jobs))


@settings(max_examples=100, deadline=None)
@given(instances())
def test_any_instance_survives_its_text(instance):
    found = SocInstance.from_dict(json.loads(instance.dumps()))
    assert found.to_dict() == instance.to_dict()
    assert found.same_as(instance)


@pytest.mark.parametrize(
    "data, says",
    [
        (changed("format", to="makespan/dag"), "FILE: format is 'makespan/dag', expected 'makespan/soc'"),
        (changed("version", to=2), "FILE: version is 2, expected one of 1"),
        (changed("platfrom", to=1), "key of FILE: the instance: 'platfrom'; did you mean 'platform'?"),
        (changed("name", to="a/b"), "FILE: name is 'a/b', expected a name"),
        (changed("unit", to=""), "FILE: unit is '', expected a name"),
        (changed("source", to=3), "FILE: source is 3, expected a text"),
        (changed("applications", to=[]), "FILE: number of applications is 0, expected an integer from 1"),
        (
            changed("applications", 1, "name", to="radio"),
            "FILE: name of applications[1] is 'radio', expected a name tha",
        ),
        (changed("mix", to=[0.5, 0.6]), "FILE: mix is [0.5, 0.6], expected probabilities that sum to 1"),
        (changed("mix", to=[1.5, -0.5]), "FILE: mix is [1.5, -0.5], expected probabilities that sum to 1"),
        (changed("mix", to=[1]), "FILE: mix is [1.0], expected 2 probabilities, one per application"),
        (changed("mix", to=["a", 1]), "FILE: mix is ['a', 1], expected 2 probabilities"),
        (changed("mix", to=1), "FILE: mix is 1, expected a list"),
        (changed("mix", to=[10**400, 1]), "expected 2 probabilities"),
        (changed("jobs", to=[[[], 0]]), "FILE: jobs is [[[], 0]], expected an integer array with 2 dimensions"),
        (changed("jobs", to=[[2, 0]]), "FILE: jobs[0]: application is 2, expected an integer from 0 to 1"),
        (changed("jobs", to=[[0, 0], [0, -1]]), "FILE: jobs[1]: arrival is -1, expected an integer from 0"),
        (changed("jobs", to=[[0, 0, 0]]), "FILE: jobs: shape is (1, 3), expected (1, 2)"),
        (changed("jobs", to=[[0, 0.5]]), "FILE: jobs is 'float64 array with 2 dimensions', expected an integer array"),
        (changed("platform", "bandwidth", 0, 1, to=0), "FILE: platform 'chip': bandwidth[0][1] is 0, expected an inte"),
        (
            changed("platform", "bandwidth", to=[[1]]),
            "FILE: platform 'chip': bandwidth: shape is (1, 1), expected (3, 3)",
        ),
        (changed("platform", "memory_bandwidth", to=[1, 1, 0]), "FILE: platform 'chip': memory_bandwidth[2] is 0"),
        (
            changed("platform", "kinds", to=[]),
            "FILE: platform 'chip': number of PEs is 0, expected an integer from 1 to",
        ),
        (changed("platform", "kinds", 0, "pes", to=0), "FILE: platform.kinds[0].pes is 0, expected an integer from 1"),
        (changed("platform", "kinds", 0, "pes", to=3), "kind 'CPU': power_mw[0] is (100, 180), expected 3 powers"),
        (changed("platform", "kinds", 1, "name", to="CPU"), "name of kinds[1] is 'CPU', expected a name that no other"),
        (
            changed("platform", "kinds", 0, "levels", to=[]),
            "FILE: kind 'CPU': levels is [], expected a list of one row",
        ),
        (
            changed("platform", "kinds", 0, "levels", 1, to=[500, 9]),
            "levels[1] is (500, 9), expected a higher frequency",
        ),
        (
            changed("platform", "kinds", 0, "levels", 1, to=[900]),
            "levels[1] is (900,), expected (frequency in MHz, vol",
        ),
        (changed("platform", "kinds", 0, "levels", 1, 0, to=0.5), "levels[1][0] is 0.5, expected an integer from 1"),
        (
            changed("platform", "kinds", 0, "idle_mw", to=[1]),
            "kind 'CPU': idle_mw is (1,), expected 2 entries, one per",
        ),
        (
            changed("platform", "kinds", 0, "idle_mw", to=[1, -1]),
            "kind 'CPU': idle_mw[1] is -1, expected an integer fr",
        ),
        (
            changed("applications", 0, "tasks", 1, "times", to=[-1, -1, -1]),
            "FILE: application 'radio': times of task 'fft' is [-1, -1, -1], expected a PE that can run it",
        ),
        (
            changed("applications", 0, "tasks", 1, "times", to=[3, -2, 4]),
            "FILE: application 'radio': time of task 'fft' on PE 1 is -2, expected an integer from 0 to 1000000000000, "
            "or -1 where it cannot run",
        ),
        (changed("applications", 0, "tasks", 1, "times", to=[3, 2]), "tasks[1].times is [3, 2], expected 3 times, one"),
        (
            changed("applications", 0, "tasks", 1, "times", to=[3, 2, 0.5]),
            "tasks[1].times[2] is 0.5, expected an integer",
        ),
        (changed("applications", 0, "tasks", 1, "times", to=[3, 2, 10**30]), "tasks[1].times[2] is 1000000"),
        (
            changed("applications", 0, "tasks", 1, "name", to="end"),
            "name of tasks[2] is 'end', expected a name that no",
        ),
        (
            changed("applications", 0, "tasks", 1, "name", to=""),
            "name of tasks[1] is '', expected 1 to 200 printable",
        ),
        (
            changed("applications", 1, to={"name": "x", "tasks": [], "edges": []}),
            "FILE: applications[1]: number of tasks is 0, expec",
        ),
        (changed("applications", 0, "edges", 1, 0, to="end"), "edges[1] is 'end -> end', expected an edge between two"),
        (
            changed("applications", 0, "edges", 1, 0, to="fff"),
            "unknown task of FILE: applications[0].edges[1]: 'fff'; did you mean 'fft'?",
        ),
        (changed("applications", 0, "edges", 1, 0, to=3), "unknown task of FILE: applications[0].edges[1]: '3'"),
        (
            changed("applications", 0, "edges", 1, to=["fft", "end"]),
            "edges[1] is ['fft', 'end'], expected [producer, co",
        ),
        (
            changed("applications", 0, "edges", 1, 2, to=-1),
            "FILE: applications[0].edges[1] volume is -1, expected an int",
        ),
        (
            changed("applications", 0, "edges", 1, 2, to=None),
            "FILE: applications[0].edges[1] volume is None, expected an",
        ),
        (
            changed("applications", 0, "edges", to=[["fft", "end", 1], ["begin", "fft", 1], ["fft", "end", 2]]),
            "FILE: application 'radio': edges is 'fft -> end', expected each edge once, but this one is there twice",
        ),
        (
            changed("applications", 0, "edges", to=[["fft", "end", 1], ["begin", "fft", 1], ["end", "begin", 2]]),
            "FILE: application 'radio': its edges form a cycle: begin -> fft -> end -> begin",
        ),
    ],
)
def test_what_is_malformed_is_named(tmp_path, data, says):
    path = tmp_path / "instance.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UserError) as caught:
        SocInstance.load(path)
    message = str(caught.value).replace(str(path), "FILE")
    assert says in message
    assert "FILE" in message
    assert "\n" not in message


def test_keys_that_are_missing_are_named():
    data = changed("name", to="x")
    del data["applications"][0]["edges"]
    with pytest.raises(FieldError, match=r"applications\[0\] is .*expected an object with the key 'edges'"):
        SocInstance.from_dict(data)


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: dag([[1, 2.5]]), "application 'x': times is 'float64 array with 2 dimensions', expected an integer"),
        (lambda: dag([1, 2]), "application 'x': times is 'int64 array with 1 dimensions', expected an integer array"),
        (lambda: dag([[1], [2]], [[0, 2]]), r"application 'x': edges\[0\]\[1\] is 2, expected an integer from 0 to 1"),
        (lambda: dag([[1], [2]], [[0, 1]], [-5]), "volume of edge 't0' -> 't1' is -5, expected an integer from 0"),
        (lambda: dag([[1], [2]], [[0, 1]], [5, 6]), r"application 'x': volumes: shape is \(2,\), expected \(1,\)"),
        (lambda: dag([[1], [2]], [[0, 1], [1, 0]]), "its edges form a cycle: t0 -> t1 -> t0"),
        (lambda: SocInstance("y", CHIP, (dag([[1]]),)), "application 'x': number of PEs is 1, expected 3, as platform"),
        (lambda: Platform("p", CHIP.kinds, np.array([0, 1, 0]), CHIP.bandwidth, np.ones(3, dtype=int)), "kind of each"),
        (
            lambda: Platform("p", CHIP.kinds, np.array([0, 0, 0]), CHIP.bandwidth, np.ones(3, dtype=int)),
            "at least once",
        ),
        (lambda: Platform("p", CHIP.kinds, np.array([0, 0, 9**9]), CHIP.bandwidth, np.ones(3, dtype=int)), "ascending"),
        (lambda: Platform.of_one_kind("p", 300), "number of PEs is 300, expected an integer from 1 to 256"),
        (
            lambda: SocInstance("z", Platform.of_one_kind("p", 1), (dag([[10**12]] * 2000),)),
            "sum of all times and transfers is 2000000000000000, expected at most",
        ),
        (
            lambda: SocInstance("z", Platform.of_one_kind("p", 1), (dag([[1]] * 1000),), jobs=np.zeros((1001, 2), int)),
            "number of tasks of all jobs is 1001000, expected an integer from 1 to 1000000",
        ),
    ],
)
def test_objects_are_checked_as_files_are(make, says):
    with pytest.raises(UserError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_long_cycles_are_shown_in_part():
    ring = [[i, (i + 1) % 50] for i in range(50)]
    with pytest.raises(UserError, match=r"cycle: t0 -> t1 -> t2 -> t3 -> \.\.\. -> t47 -> t48 -> t49 -> t0"):
        dag([[1]] * 50, ring)


def test_a_file_of_a_million_tasks_is_refused_before_it_is_parsed(tmp_path):
    path = tmp_path / "large.json"
    path.write_text("[" + ",".join(['{"name":"t","times":[1]}'] * 1_000_000) + "]")
    begin = time.perf_counter()
    with pytest.raises(UserError, match="about 1000000 tasks, at most 200000 can be read"):
        SocInstance.load(path)
    assert time.perf_counter() - begin < 5


def test_a_large_application_is_checked_in_reasonable_time():
    count = 100_000
    edges = np.stack([np.arange(1, count), np.arange(count - 1)], axis=1)
    begin = time.perf_counter()
    large = dag(np.ones((count, 4), dtype=np.int64), edges)
    assert time.perf_counter() - begin < 10
    assert large.edges[0].tolist() == [1, 0]
    with pytest.raises(FieldError, match="number of tasks is 100001, expected an integer from 1 to 100000"):
        dag(np.ones((count + 1, 1), dtype=np.int64))


def test_nothing_half_written(tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        INSTANCE.save(tmp_path / "none" / "x.json")
    assert not list(tmp_path.iterdir())
