"""The job shop's static data: checks, files in three formats, and files that are damaged in every way."""

import copy
import dataclasses
import json
import os
import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.envs.core.errors import FieldError, UserError
from makespan.envs.job_shop.formats import dumps_standard, dumps_taillard, parse_text
from makespan.envs.job_shop.instance import JobShopInstance, validate

FT06_STANDARD = """\
# Fisher and Thompson 6x6
6 6
2 1 0 3 1 6 3 7 5 3 4 6
1 8 2 5 4 10 5 10 0 10 3 4
2 5 3 4 5 8 0 9 1 1 4 7
1 5 0 5 2 5 3 3 4 8 5 9
2 9 1 3 4 5 5 4 0 3 3 1
1 3 3 3 5 9 0 10 4 4 2 1
"""

TAILLARD_TEXT = """\
Nb of jobs, Nb of Machines, Time seed, Machine seed, Upper bound, Lower bound
           2           3   840612802   398197754        1251        1005
Times
 94  66  10
 53  26   0
Machines
  3   1   2
  1   2   3
"""

RAGGED = {
    "format": "makespan/job-shop",
    "version": 1,
    "name": "ragged",
    "machines": 4,
    "recirculation": True,
    "windows": [[], [[2, 5], [7, 8]], [], []],
    "jobs": [
        {"machines": [0, 1, 0], "times": [3, 0, 5]},
        {"machines": [2], "times": [10**9]},
        {"machines": [1, 1], "times": [1, 2]},
    ],
}


def from_routes(times=((3, 2), (2, 4)), machines=((0, 1), (1, 0)), num_machines=None, windows=()):
    return JobShopInstance.from_routes("case", times, machines, num_machines, windows)


def load_text(tmp_path, text, name="case.txt", **options):
    path = tmp_path / name
    path.write_text(text)
    return JobShopInstance.load(path, **options)


# What an instance is


def test_from_routes_fills_tables():
    instance = JobShopInstance.from_dict(RAGGED)
    assert (instance.name, instance.num_jobs, instance.num_machines) == ("ragged", 3, 4)
    assert instance.times.tolist() == [[3, 0, 5], [10**9, 0, 0], [1, 2, 0]]
    assert instance.machines.tolist() == [[0, 1, 0], [2, -1, -1], [1, 1, -1]]
    assert instance.lengths.tolist() == [3, 1, 2]
    assert (instance.times.dtype, instance.machines.dtype, instance.lengths.dtype) == (np.int64, np.int32, np.int64)
    assert instance.windows == ((), ((2, 5), (7, 8)), (), ())
    assert from_routes(machines=[[0, 5], [1, 0]]).num_machines == 6


def test_an_instance_cannot_change():
    times = np.array([[3, 2], [2, 4]])
    routes, lengths = np.array([[0, 1], [1, 0]], np.int8), np.array([2, 2], np.uint16)
    instance = JobShopInstance("x", times, routes, lengths, 2)  # type: ignore[arg-type]
    times[0, 0] = 7
    assert instance.times[0, 0] == 3
    for array in (instance.times, instance.machines, instance.lengths):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        instance.name = "y"  # type: ignore[misc]
    assert dataclasses.replace(instance, name="y").times.tolist() == instance.times.tolist()


def test_numpy_rows_are_taken():
    assert from_routes(np.array([[3, 2], [2, 4]]), np.array([[0, 1], [1, 0]])).same_as(from_routes())


def test_same_as():
    instance = from_routes()
    assert instance.same_as(dataclasses.replace(instance, name="other"))
    assert instance.same_as(dataclasses.replace(instance, windows=((), ())))
    wider = JobShopInstance("wide", np.pad(instance.times, ((0, 0), (0, 1))), np.array([[0, 1, -1], [1, 0, -1]]),
                            instance.lengths, 2)  # fmt: skip
    assert instance.same_as(wider)
    for other in (
        from_routes(times=[[3, 2], [2, 5]]),
        from_routes(machines=[[1, 0], [1, 0]]),
        from_routes(num_machines=3),
        from_routes([[3], [2, 4]], [[0], [1, 0]]),
    ):
        assert not instance.same_as(other)
        assert not instance.same_routes(other)
    windowed = from_routes(windows=[[(1, 2)], []])
    assert not instance.same_as(windowed)
    assert instance.same_routes(windowed)


def test_zero_times_and_unused_machines_are_legal():
    assert from_routes([[0], [0]], [[0], [0]], 5).times.sum() == 0


# What is refused

LONG = [[1] * 200_001]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"times": [[3, -1], [2, 4]]}, r"jobs[0].times[1] is -1, expected an integer from 0 to 1000000000"),
        ({"times": [[3, 2], [2, 10**9 + 1]]}, r"jobs[1].times[1] is 1000000001, expected an integer from 0"),
        ({"times": [[3, 2], [2, 10**30]]}, r"jobs[1].times[1] is 1000000000000000000000000000000, expected"),
        ({"times": [[3, 2], [1.5, 4]]}, r"jobs[1].times[0] is 1.5, expected an integer"),
        ({"times": [[3, 2], [2.0, 4]]}, r"jobs[1].times[0] is 2.0, expected an integer"),
        ({"times": [[3, True], [2, 4]]}, r"jobs[0].times[1] is True, expected an integer"),
        ({"times": [[3, "2"], [2, 4]]}, r"jobs[0].times[1] is '2', expected an integer"),
        ({"times": [[3, None], [2, 4]]}, r"jobs[0].times[1] is None, expected an integer"),
        ({"times": [[3], [2, 4]]}, r"jobs[0].times is [3], expected 2 times"),
        ({"times": [[3, 2, 1], [2, 4]]}, r"jobs[0].times is [3, 2, 1], expected 2 times"),
        ({"times": [[3, 2]]}, r"times is '1 jobs', expected 2 jobs"),
        ({"machines": [[0, 1], [-1, 0]]}, r"jobs[1].machines[0] is -1, expected an integer from 0"),
        (
            {"machines": [[0, 2], [1, 0]], "num_machines": 2},
            r"jobs[0].machines[1] is 2, expected an integer from 0 to 1",
        ),
        ({"machines": [[0, 10_000], [1, 0]]}, r"jobs[0].machines[1] is 10000, expected an integer from 0 to 9999"),
        ({"machines": [[], [1, 0]], "times": [[], [2, 4]]}, r"jobs[0].machines is [], expected at least one operation"),
        ({"machines": [], "times": []}, r"number of jobs is 0, expected an integer from 1 to 10000"),
        ({"machines": [[0]] * 10_001, "times": [[1]] * 10_001}, r"number of jobs is 10001"),
        ({"machines": LONG, "times": LONG}, r"number of operations is 200001"),
        ({"machines": [[0]] * 100 + [[0] * 20_000], "times": [[1]] * 100 + [[1] * 20_000]}, "table of jobs is '101 x"),
        ({"num_machines": 0}, r"number of machines is 0, expected an integer from 1 to 10000"),
        ({"num_machines": 10_001}, r"number of machines is 10001"),
        ({"num_machines": 2.0}, r"number of machines is 2.0"),
        ({"num_machines": True}, r"number of machines is True"),
        ({"windows": [[(1, 2)]]}, r"windows is (((1, 2),),), expected no entry or 2, one per machine"),
        ({"windows": [[], [(-1, 2)]]}, r"windows[1][0][0] is -1, expected an integer from 0"),
        ({"windows": [[], [(2, 2)]]}, r"windows[1][0] is (2, 2), expected a window (begin, end) with begin < end"),
        ({"windows": [[], [(3, 2)]]}, r"windows[1][0] is (3, 2), expected"),
        ({"windows": [[(1, 3), (2, 5)], []]}, r"windows[0][1] is (2, 5), expected a window that begins after 3"),
        ({"windows": [[(1, 3), (3, 5)], []]}, r"windows[0][1] is (3, 5), expected a window that begins after 3"),
        ({"windows": [[(4, 5), (1, 3)], []]}, r"windows[0][1] is (1, 3), expected a window that begins after 5"),
        ({"windows": [[(1, 3.0)], []]}, r"windows[0][0][1] is 3.0, expected an integer"),
        ({"windows": [[(1, 2**53 + 1)], []]}, r"windows[0][0][1] is 9007199254740993, expected an integer"),
        ({"windows": [[(1, 2, 3)], []]}, r"windows[0][0] is (1, 2, 3), expected a window"),
        ({"windows": [[1, 2], []]}, r"windows[0][0] is 1, expected a window"),
        ({"windows": ["ab", []]}, r"windows[0] is 'ab', expected a list of windows"),
        ({"windows": None}, r"windows is None, expected"),
    ],
    ids=lambda value: None if isinstance(value, dict) else re.sub(r"\W+", "_", str(value))[:40],
)
def test_malformed_routes(options, message):
    with pytest.raises(FieldError) as caught:
        from_routes(**options)
    assert message in str(caught.value)
    assert str(caught.value).startswith(caught.value.field)


def test_the_limits_themselves_are_legal():
    most_jobs = from_routes([[10**9] * 20] * 10_000, [[9_999] * 20] * 10_000)
    assert most_jobs.num_machines == 10_000
    assert int(most_jobs.times.sum()) < 2**53
    assert from_routes([[1] * 200_000] * 1, [[0] * 200_000]).num_jobs == 1
    assert from_routes(windows=[[(0, 1), (2, 2**53)], []]).windows[0][1] == (2, 2**53)


def test_many_windows_are_refused():
    windows = [[(3 * w, 3 * w + 1) for w in range(1000)]] + [[]] * 2000
    with pytest.raises(FieldError, match="table of windows is '2001 x 1000'"):
        from_routes(num_machines=2001, windows=windows)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"times": [[3, 2], [2, 4]]}, None),
        ({"times": np.array([[3.0, 2.0], [2.0, 4.0]])}, "times is 'float64 array with 2 dimensions'"),
        ({"times": np.array([[True, False], [True, True]])}, "times is 'bool array with 2 dimensions'"),
        ({"times": np.array([3, 2])}, "times is 'int64 array with 1 dimensions'"),
        ({"times": np.array([[3, 2, 1], [2, 4, 1]])}, "shape of machines is (2, 2)"),
        ({"times": np.array([[3, 2]])}, "shape of times is (1, 2)"),
        ({"times": np.array([[3, 2], [-2, 4]])}, "jobs[1].times[0] is -2"),
        ({"times": np.array([[3, 2], [2, 2**63]], np.uint64)}, "jobs[1].times[1] is -"),
        ({"machines": np.array([[0, 1], [1, 2**32]])}, "jobs[1].machines[1] is 4294967296, expected"),
        ({"machines": np.array([[0, 1], [1, -1]])}, "jobs[1].machines[1] is -1, expected an integer from 0 to 1"),
        ({"lengths": np.array([2, 0])}, "number of operations of jobs[1] is 0, expected an integer from 1 to 2"),
        ({"lengths": np.array([2, 3])}, "number of operations of jobs[1] is 3"),
        ({"lengths": np.array([2, 1])}, "times[1, 1] is 4, expected 0, the padding"),
        ({"lengths": np.array([], dtype=int)}, "number of jobs is 0"),
        ({"num_machines": 1}, "jobs[0].machines[1] is 1, expected an integer from 0 to 0"),
        ({"num_machines": None}, "number of machines is None"),
        ({"name": "a\nb"}, "name is 'a\\nb', expected a name"),
        ({"name": ""}, "name is '', expected a name"),
        ({"windows": ((), (), ())}, "windows is ((), (), ()), expected no entry or 2"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else str(value)[:25],
)
def test_malformed_arrays(change, message):
    good = {"name": "x", "times": np.array([[3, 2], [2, 4]]), "machines": np.array([[0, 1], [1, 0]]),
            "lengths": np.array([2, 2]), "num_machines": 2, "windows": ()}  # fmt: skip
    if message is None:
        assert JobShopInstance(**{**good, **change}).same_as(from_routes())
        return
    with pytest.raises(FieldError) as caught:
        JobShopInstance(**{**good, **change})
    assert str(caught.value).startswith(message)


def test_recirculation_is_a_choice_of_the_caller():
    revisiting = from_routes([[2, 3, 2], [3, 1, 1]], [[0, 1, 0], [0, 0, 1]])
    assert revisiting.recirculates
    assert not from_routes().recirculates
    validate(revisiting)
    validate(from_routes(), recirculation=False)
    with pytest.raises(FieldError, match=r"jobs\[0\]\.machines\[2\] is 0, expected a machine that .* not visited"):
        validate(revisiting, recirculation=False)


# JSON


def test_json_file(tmp_path):
    path = tmp_path / "other-name.json"
    path.write_text(json.dumps(RAGGED, indent=4))
    instance = JobShopInstance.load(path)
    assert instance.to_dict() == RAGGED
    instance.save(path)
    assert json.loads(path.read_text()) == RAGGED
    assert len(path.read_text().splitlines()) == len(RAGGED) + 1 + 3 + 2, "one line per key and per job"
    assert os.listdir(tmp_path) == ["other-name.json"]


def change(**fields):
    data = copy.deepcopy(RAGGED)
    data.update(fields)
    return {key: value for key, value in data.items() if value != "delete"}


def job(index, **fields):
    data = copy.deepcopy(RAGGED)
    data["jobs"][index].update(fields)
    return data


@pytest.mark.parametrize(
    "data, message",
    [
        (change(format="makespan/soc"), "format is 'makespan/soc', expected 'makespan/job-shop'"),
        (change(version=2), "version is 2, expected one of 1"),
        (change(name="delete"), "an object with the key 'name'"),
        (change(name=7), "name is 7"),
        (change(jobs="delete"), "an object with the key 'jobs'"),
        (change(jobs={}), "jobs is {}, expected a list"),
        (change(jobs=[]), "number of jobs is 0"),
        (change(jobs=[[0, 3]]), "jobs[0] is [0, 3], expected an object"),
        (change(machines=[4]), "machines is [4], expected an integer"),
        (change(machines=2), "jobs[1].machines[0] is 2, expected an integer from 0 to 1"),
        (change(machines="delete"), "an object with the key 'machines'"),
        (change(recirculation=1), "recirculation is 1, expected true or false"),
        (change(recirculation=False), "jobs[0].machines[2] is 0, expected a machine that the job has not visited"),
        (change(recirculation="delete"), "jobs[0].machines[2] is 0, expected a machine that the job has not visited"),
        (change(window=[]), "unknown key of FILE: the instance: 'window'; did you mean 'windows'?"),
        (change(windows={}), "windows is {}, expected"),
        (change(windows=[[[1, 2]]]), "windows is (((1, 2),),), expected no entry or 4"),
        (change(windows=[[], [[2, 5], [5, 8]], [], []]), "windows[1][1] is (5, 8), expected"),
        (job(1, time=[3]), "unknown key of FILE: jobs[1]: 'time'; did you mean 'times'?"),
        (job(1, times=3), "jobs[1].times is 3, expected a list"),
        (job(1, times={"0": 3}), "jobs[1].times is {'0': 3}, expected a list"),
        (job(1, times="3"), "jobs[1].times is '3', expected a list"),
        (job(1, times=[[3]]), "jobs[1].times[0] is [3], expected an integer"),
        (job(1, times=[3, 4]), "jobs[1].times is [3, 4], expected 1 times"),
        (job(1, machines=[], times=[]), "jobs[1].machines is [], expected at least one operation"),
        (job(2, times=[1, False]), "jobs[2].times[1] is False, expected an integer"),
    ],
    ids=lambda value: None if isinstance(value, dict) else re.sub(r"\W+", "_", value)[:40],
)
def test_malformed_json(tmp_path, data, message):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UserError) as caught:
        JobShopInstance.load(path)
    assert message.replace("FILE", str(path)) in str(caught.value)
    assert str(path) in str(caught.value)


# Text formats


def test_standard_text(tmp_path):
    instance = load_text(tmp_path, FT06_STANDARD, "my ft06.txt")
    assert (instance.name, instance.num_jobs, instance.num_machines) == ("my ft06", 6, 6)
    assert instance.machines[1].tolist() == [1, 2, 4, 5, 0, 3]
    assert instance.times[1].tolist() == [8, 5, 10, 10, 10, 4]
    assert load_text(tmp_path, "\n \n" + FT06_STANDARD.replace("\n", "  \r\n# c\r\n")).same_as(instance)
    assert dumps_standard(instance) == FT06_STANDARD.replace("Fisher and Thompson 6x6", "my ft06")


def test_taillard_text(tmp_path):
    instance = load_text(tmp_path, TAILLARD_TEXT)
    assert instance.times.tolist() == [[94, 66, 10], [53, 26, 0]]
    assert instance.machines.tolist() == [[2, 0, 1], [0, 1, 2]]
    assert load_text(tmp_path, "2 3\n" + TAILLARD_TEXT.partition("1005\n")[2].upper()).same_as(instance)
    assert dumps_taillard(instance).splitlines()[1] == "2 3 0 0 249 170"
    assert load_text(tmp_path, dumps_taillard(instance)).same_as(instance)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "the file is empty"),
        ("# only this\n", "the file is empty"),
        ("hello\n", "the line of sizes is 'hello', expected an integer"),
        ("2\n0 1\n", "the line of sizes is '2', expected 'n m'"),
        ("0 2\n", "number of jobs is 0"),
        ("2 0\n", "number of machines is 0"),
        ("10001 2\n", "number of jobs is 10001"),
        ("2 2\n0 1 1 2\n", "1 lines for 2 jobs"),
        ("1 2\n0 1 1 2\n0 1 1 2\n", "2 lines for 1 jobs"),
        ("1 2\n0 1 1\n", "jobs[0] is '0 1 1', expected 2 pairs 'machine time', not 3 numbers"),
        ("1 2\n0 1 1 2 0 3\n", "jobs[0] is '0 1 1 2 0 3', expected 2 pairs"),
        ("1 2\n0 1 1 1.5\n", "jobs[0].times[1] is '1.5', expected an integer"),
        ("1 2\n0 1 x 1\n", "jobs[0].machines[1] is 'x', expected an integer"),
        ("1 2\n0 1 1 1_0\n", "jobs[0].times[1] is '1_0', expected an integer"),
        ("1 2\n0 1 1 -1\n", "jobs[0].times[1] is -1, expected an integer from 0"),
        ("1 2\n0 1 2 1\n", "jobs[0].machines[1] is 2, expected an integer from 0 to 1"),
        ("1 2\n0 1 0 1\n", "jobs[0].machines[1] is 0, expected a machine that the job has not visited"),
        (f"1 2\n0 1 1 {'9' * 5000}\n", "jobs[0].times[1] is '9999"),
        (TAILLARD_TEXT.replace("Machines\n", ""), "expected a line 'Machines' after the times"),
        (TAILLARD_TEXT.replace("  1   2   3\n", ""), "1 lines of machines for 2 jobs"),
        (TAILLARD_TEXT + TAILLARD_TEXT, "lines of machines for 2 jobs"),
        (TAILLARD_TEXT.replace(" 53  26   0\n", ""), "1 lines of times for 2 jobs"),
        (TAILLARD_TEXT.replace("26   0", "26"), "jobs[1].times is [53, 26], expected 3 numbers, not 2"),
        (TAILLARD_TEXT.replace("  1   2   3", "  0   1   2"), "jobs[1].machines[0] (counted from 1) is 0, expected"),
        (TAILLARD_TEXT.replace("  1   2   3", "  1   2   4"), "jobs[1].machines[2] (counted from 1) is 4, expected"),
        (TAILLARD_TEXT.replace("  1   2   3", "  1   2   2"), "jobs[1].machines[2] is 1, expected a machine that"),
        (TAILLARD_TEXT.replace(" 1005", ""), "the line of sizes is "),
        ("Times\n1 2\nMachines\n1 2\n", "expected a line 'n m time_seed machine_seed upper lower' followed by 'Times'"),
    ],
    ids=lambda value: None if len(value) > 100 else re.sub(r"\W+", "_", value)[:40],
)
def test_malformed_text(tmp_path, text, message):
    with pytest.raises(UserError) as caught:
        load_text(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "case.txt"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_may_revisit_machines_when_asked(tmp_path):
    instance = load_text(tmp_path, "1 2\n0 1 0 1\n", recirculation=True)
    assert instance.machines.tolist() == [[0, 0]]
    assert load_text(tmp_path, dumps_taillard(instance), recirculation=True).same_as(instance)


@pytest.mark.parametrize("dumps", [dumps_standard, dumps_taillard])
def test_text_cannot_hold_everything(dumps):
    with pytest.raises(UserError, match=r"'ragged' cannot be written in .* job 0 has 3 operations, expected 4"):
        dumps(JobShopInstance.from_dict(RAGGED))
    with pytest.raises(UserError, match="it has down-times"):
        dumps(from_routes(windows=[[(1, 2)], []]))


def test_unreadable_files(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        JobShopInstance.load(tmp_path / "none.txt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe1\x00")
    with pytest.raises(UserError, match="not UTF-8"):
        JobShopInstance.load(tmp_path / "binary")
    with (tmp_path / "big").open("wb") as file:
        file.truncate(16 * 2**20 + 1)
    with pytest.raises(UserError, match="more than 16,777,216 bytes"):
        JobShopInstance.load(tmp_path / "big")


# Properties


@st.composite
def instances(draw, full_routes=False):
    num_machines = draw(st.integers(1, 6))
    num_jobs = draw(st.integers(1, 6))
    machine = st.integers(0, num_machines - 1)
    if full_routes:
        route = st.permutations(range(num_machines))
    else:
        route = st.lists(machine, min_size=1, max_size=7)
    machines = draw(st.lists(route, min_size=num_jobs, max_size=num_jobs))
    times = [[draw(st.integers(0, 10**9)) for _ in row] for row in machines]
    windows = []
    if not full_routes and draw(st.booleans()):
        gaps = st.lists(st.integers(1, 2**40), max_size=6).map(lambda steps: np.cumsum(steps).tolist())
        for _ in range(num_machines):
            ends = draw(gaps)
            windows.append(list(zip(ends[0::2], ends[1::2], strict=False)))
    return JobShopInstance.from_routes(draw(st.sampled_from(["a", "b c", "ä"])), times, machines, num_machines, windows)


@settings(deadline=None)
@given(instances())
def test_json_round_trip(instance):
    again = JobShopInstance.from_dict(json.loads(instance.dumps()))
    assert again.same_as(instance)
    assert again.name == instance.name
    assert again.dumps() == instance.dumps()


@settings(deadline=None)
@given(instances(full_routes=True), st.sampled_from([dumps_standard, dumps_taillard]))
def test_text_round_trip(instance, dumps):
    routes = parse_text(dumps(instance), "text")
    assert JobShopInstance.from_routes("again", *routes[:3]).same_as(instance)


# Damaged files

TOKENS = [
    *(b"-1", b"1.5", b"1e400", b"0", b"1000000001", b"9" * 30, b"9" * 5000, b"NaN", b"Infinity"),
    *(b'"7"', b"null", b"true", b"[]", b"{}", b"[[[", b",", b"", b"Times", b"Machines", b"#"),
    *(b"\xff", b"\x00", b"\xe2\x80\xa8"),
]
VALUES = [-1, 0, 1, 1.5, 2**63, 10**40, "7", "", None, True, [], {}, [[]], [[0, 1]], {"machines": [0], "times": [1]}]


def damage_text(rng, content):
    kind = rng.randrange(7)
    if kind == 0:
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(content))
            content = content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]
        return content
    if kind == 1:
        return content[: rng.randrange(len(content))]
    if kind == 2:
        chosen = rng.choice(list(re.finditer(rb"-?[0-9]+|\Z", content)))
        return content[: chosen.start()] + rng.choice(TOKENS) + content[chosen.end() :]
    if kind == 3:
        at = rng.randrange(len(content) + 1)
        return content[:at] + rng.choice(TOKENS) + content[at:]
    lines = content.splitlines(keepends=True)
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    if kind == 4:
        lines[a], lines[b] = lines[b], lines[a]
    elif kind == 5:
        del lines[a]
    else:
        lines.insert(b, lines[a])
    return b"".join(lines)


def damage_structure(rng, data):
    """Change one place of parsed JSON: replace, delete, double, or swap it with another value."""
    places = []

    def walk(container):
        for key in list(container if isinstance(container, dict) else range(len(container))):
            places.append((container, key))
            if isinstance(container[key], dict | list):
                walk(container[key])

    walk(data)
    container, key = rng.choice(places)
    kind = rng.randrange(4)
    if kind == 0:
        container[key] = copy.deepcopy(rng.choice(VALUES))
    elif kind == 1:
        del container[key]
    elif kind == 2 and isinstance(container, list):
        container.insert(key, copy.deepcopy(container[key]))
    else:
        other, other_key = rng.choice(places)
        container[key] = copy.deepcopy(other[other_key])
    return data


def test_damaged_files_are_read_or_refused(tmp_path):
    rng = random.Random(20)
    ft06 = load_text(tmp_path, FT06_STANDARD)
    originals = [
        FT06_STANDARD.encode(),
        TAILLARD_TEXT.encode(),
        dumps_taillard(ft06).encode(),
        json.dumps(RAGGED).encode(),
        JobShopInstance.from_dict(RAGGED).dumps().encode(),
        ft06.dumps().encode(),
    ]
    path = tmp_path / "damaged.txt"
    read, messages = 0, []
    for trial in range(4000):
        original = originals[trial % len(originals)]
        if original.startswith(b"{") and rng.random() < 0.5:
            content = json.dumps(damage_structure(rng, json.loads(original))).encode()
        else:
            content = original
            for _ in range(rng.randint(1, 2)):
                content = damage_text(rng, content) or b"\n"
        path.write_bytes(content)
        try:
            instance = JobShopInstance.load(path, recirculation=rng.random() < 0.5)
        except UserError as error:
            messages.append(str(error))
            continue
        validate(instance)
        assert JobShopInstance.from_dict(json.loads(instance.dumps())).same_as(instance)
        read += 1
    assert all(str(path) in message and "\n" not in message for message in messages)
    assert min(read, len(messages)) > 200, "the damage is too light or too heavy to test anything"
