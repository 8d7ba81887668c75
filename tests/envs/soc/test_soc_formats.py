"""Files of DAGs: WfFormat, STG and our JSON; what is malformed is refused in one line that says where."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.agents.soc.lists import Lists
from makespan.envs.core.errors import UserError
from makespan.envs.soc import catalogue
from makespan.envs.soc.formats import load
from makespan.envs.soc.generator import DagFamily, resolve
from makespan.envs.soc.instance import Application, Platform, SocInstance
from makespan.envs.soc.known import bounds
from makespan.envs.soc.machines import Machines
from makespan.envs.soc.stg import dumps_stg, read_stg
from makespan.envs.soc.wfformat import dumps_wfformat, read_wfformat, save_wfformat

SAME = Machines(pes=2, beta=0.0, bandwidth=10)

WORKFLOW: dict[str, Any] = {
    "name": "little",
    "schemaVersion": "1.5",
    "workflow": {
        "specification": {
            "tasks": [
                {
                    "name": "split",
                    "id": "split_1",
                    "parents": [],
                    "children": ["work_1", "work_2"],
                    "inputFiles": ["in"],
                    "outputFiles": ["a", "b", "log"],
                },
                {"name": "work", "id": "work_1", "parents": ["split_1"], "children": [], "inputFiles": ["a", "log"]},
                {"name": "work", "id": "work_2", "parents": [], "children": [], "inputFiles": ["b", "in"]},
                {"name": "end", "id": "end", "parents": ["work_1", "work_2"], "children": []},
            ],
            "files": [
                {"id": "in", "sizeInBytes": 7},
                {"id": "a", "sizeInBytes": 100},
                {"id": "b", "sizeInBytes": 0},
                {"id": "log", "sizeInBytes": 11.0},
            ],
        },
        "execution": {
            "makespanInSeconds": 4,
            "executedAt": "2024-01-01T00:00:00Z",
            "tasks": [
                {"id": "work_2", "runtimeInSeconds": 2.0001, "command": {"program": "work"}},
                {"id": "work_1", "runtimeInSeconds": 0.003, "command": {"program": "work"}},
                {"id": "split_1", "runtimeInSeconds": 1},
                {"id": "end", "runtimeInSeconds": 0},
            ],
        },
    },
}

FLAT: dict[str, Any] = {
    "name": "flat",
    "schemaVersion": "1.4",
    "workflow": {
        "makespanInSeconds": 4,
        "executedAt": "2021",
        "tasks": [
            {
                "name": "first",
                "id": "ID1",
                "runtimeInSeconds": 1.5,
                "parents": [],
                "children": ["second"],
                "files": [
                    {"link": "input", "name": "in", "sizeInBytes": 3},
                    {"link": "output", "name": "out", "path": "x/", "sizeInBytes": 50},
                ],
            },
            {
                "name": "second",
                "id": "ID2",
                "runtimeInSeconds": 2,
                "parents": ["ID1"],
                "files": [
                    {"link": "input", "name": "out", "path": "x/", "sizeInBytes": 50},
                    {"link": "input", "name": "in", "sizeInBytes": 3},
                ],
            },
        ],
    },
}

STG = """
         3
         0         0         0
         1        20         1         0
         2         7         1         0
         3         3         2         1         2
         4         0         1         3
# Standard Task Graph Set Project
#   Tasks : 3 (+dummy tasks : 2)
"""
STG_TALKS = "2\n0 0 0\n1 5 1\n0 0\n2 6 2\n0 3\n1 12\n3 0 1\n2 0\n# talks\n"


def edited(document: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    """A document with another value at a place; `...` removes what is there."""
    data = deepcopy(document)
    at = data
    for key in path[:-1]:
        at = at[key]
    if to is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = to
    return data


SPEC, RUN = ("workflow", "specification"), ("workflow", "execution")


# --- WfFormat ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.5", "1.6"])
def test_a_workflow(version):
    instance = read_wfformat(edited(WORKFLOW, "schemaVersion", to=version), "mine", SAME)
    (dag,) = instance.applications
    assert dag.tasks == ("split_1", "work_1", "work_2", "end")
    assert dag.times.tolist() == [[1000, 1000], [3, 3], [2001, 2001], [0, 0]]  # milliseconds, rounded up
    assert dag.edges.tolist() == [[0, 1], [0, 2], [1, 3], [2, 3]]
    assert dag.volumes.tolist() == [111, 0, 0, 0]
    assert dag.dummy.tolist() == [False, False, False, True]
    assert (instance.name, instance.unit, instance.source) == ("mine", "ms", "little")
    assert instance.platform.bandwidth[0, 1] == 10


def test_the_flat_form_names_tasks_by_names_or_ids():
    (dag,) = read_wfformat(FLAT, "mine", SAME).applications
    assert dag.tasks == ("first", "second")
    assert dag.times.tolist() == [[1500, 1500], [2000, 2000]]
    assert dag.edges.tolist() == [[0, 1]]
    assert dag.volumes.tolist() == [50]


def test_units_of_time_and_links():
    instance = read_wfformat(WORKFLOW, "mine", Machines(pes=1, beta=0, unit="us"))
    assert instance.applications[0].times[:, 0].tolist() == [1_000_000, 3000, 2_000_100, 0]
    assert read_wfformat(WORKFLOW, "mine", Machines(pes=2)).platform.bandwidth[0, 1] == 125_000
    assert read_wfformat(WORKFLOW, "mine", Machines(pes=2, unit="us")).platform.bandwidth[0, 1] == 125


def test_related_and_unrelated_machines():
    related = read_wfformat(WORKFLOW, "mine", Machines(speeds=(1, 2, 0.3))).applications[0].times
    assert related.tolist() == [[1000, 500, 3334], [3, 2, 10], [2001, 1001, 6670], [0, 0, 0]]
    instance = read_wfformat(WORKFLOW, "mine")
    times = instance.applications[0].times
    assert instance.num_pes == 4
    assert len(set(times[0].tolist())) == 4
    assert (np.abs(times[2] / 2001 - 1) <= 0.2501).all()
    program = times[2] / 2001  # tasks of a program have the same factors
    assert np.ceil(3 * program - 0.01).tolist() == times[1].tolist()
    assert times[3].tolist() == [0] * 4
    other = read_wfformat(WORKFLOW, "mine", Machines(seed=1)).applications[0].times
    assert other.tolist() != times.tolist()
    assert read_wfformat(WORKFLOW, "mine").same_as(instance)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["layered", "random", "montage", "fft"]), st.integers(11, 40))
def test_a_workflow_survives_its_file(seed, family, tasks):
    """On identical PEs, where the one time per task that WfFormat holds is all there is."""
    made = DagFamily((family,), (tasks,), (3,), beta=(0.0,)).instance(seed)
    made = SocInstance(made.name, Platform.of_one_kind("3-pes", 3, 7), made.applications, unit="ms")
    found = read_wfformat(json.loads(dumps_wfformat(made)), made.name, Machines(pes=3, beta=0.0, bandwidth=7))
    for name in ("tasks", "times", "edges", "volumes"):
        assert np.array_equal(getattr(found.applications[0], name), getattr(made.applications[0], name))
    assert found.name == made.name
    assert (found.platform.bandwidth == made.platform.bandwidth).all()


def test_exported_workflows_follow_the_schema(tmp_path):
    instance = catalogue.instance("wifi-rx")
    save_wfformat(instance, tmp_path / "x.json")
    document = json.loads((tmp_path / "x.json").read_text())
    assert set(document) >= {"name", "schemaVersion", "workflow"}
    assert document["schemaVersion"] == "1.5"
    for row in document["workflow"]["specification"]["tasks"]:
        assert set(row) == {"name", "id", "parents", "children", "inputFiles", "outputFiles"}
    execution = document["workflow"]["execution"]
    assert set(execution) == {"makespanInSeconds", "executedAt", "tasks"}
    runtimes = {row["id"]: row["runtimeInSeconds"] for row in execution["tasks"]}
    assert runtimes["descrambler"] == 2.5e-6  # the mean of 3 and 2 microseconds
    found = load(tmp_path / "x.json", Machines(beta=0.0, unit="us"))
    assert found.applications[0].edges.tolist() == instance.applications[0].edges.tolist()
    assert found.applications[0].volumes.tolist() == instance.applications[0].volumes.tolist()


def test_names_that_wfformat_forbids_are_replaced():
    dag = Application("x", ("a b", "ü"), np.array([[1], [2]]), np.array([[0, 1]]), np.array([3]))
    instance = SocInstance("x", Platform.of_one_kind("p", 1), (dag,), unit="s")
    document = json.loads(dumps_wfformat(instance))
    assert [row["id"] for row in document["workflow"]["specification"]["tasks"]] == ["task-0", "task-1"]
    assert read_wfformat(document, "x", SAME).applications[0].edges.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    "data, says",
    [
        (
            edited(WORKFLOW, "schemaVersion", to="1.3"),
            "FILE: schemaVersion is '1.3', expected one of 1.4, 1.5, 1.6; WfFormat's own tools migrate older files",
        ),
        (edited(WORKFLOW, "schemaVersion", to=1.5), "FILE: schemaVersion is 1.5, expected one of"),
        (edited(WORKFLOW, "workflow", to=3), "FILE: workflow is 3, expected an object"),
        (edited(WORKFLOW, *RUN, to=...), "FILE: workflow.execution is None, expected an object"),
        (edited(WORKFLOW, *RUN, "tasks", to=...), "FILE: workflow.execution.tasks is None, expected a list"),
        (
            edited(WORKFLOW, *RUN, "tasks", 1, to=...),
            "specification.tasks[1].id is 'work_1', expected a task that workflow.execution.tasks has, too",
        ),
        (
            edited(WORKFLOW, *RUN, "tasks", 1, "runtimeInSeconds", to=-0.5),
            "FILE: runtimeInSeconds of task 'work_1' is -0.5, expected a number from 0",
        ),
        (
            edited(WORKFLOW, *RUN, "tasks", 1, "runtimeInSeconds", to=...),
            "FILE: runtimeInSeconds of task 'work_1' is None, expected a number from 0",
        ),
        (
            edited(WORKFLOW, *RUN, "tasks", 1, "runtimeInSeconds", to=1e11),
            "FILE: runtimeInSeconds of task 'work_1' in time units is 100000000000000, expected an integer from 0",
        ),
        (
            edited(WORKFLOW, *RUN, "tasks", 1, "id", to="work_2"),
            "tasks[1].id is 'work_2', expected an id that no other",
        ),
        (
            edited(WORKFLOW, *SPEC, "tasks", 1, "id", to="work_2"),
            "tasks[2].id is 'work_2', expected an id that no other",
        ),
        (edited(WORKFLOW, *SPEC, "tasks", 1, "id", to=4), "specification.tasks[1].id is 4, expected a text"),
        (edited(WORKFLOW, *SPEC, "tasks", to=[]), "FILE: number of tasks is 0, expected an integer from 1"),
        (
            edited(WORKFLOW, *SPEC, "tasks", 3, "parents", 1, to="work_3"),
            "unknown task in FILE: workflow.specification.tasks[3].parents[1] (of task 'end'): 'work_3'; did you mean",
        ),
        (
            edited(WORKFLOW, *SPEC, "tasks", 0, "children", 1, to=7),
            "unknown task in FILE: workflow.specification.tasks[0].children[1] (of task 'split_1'): '7'",
        ),
        (edited(WORKFLOW, *SPEC, "tasks", 0, "children", to="x"), "tasks[0].children is 'x', expected a list"),
        (edited(WORKFLOW, *SPEC, "tasks", 0, "outputFiles", 0, to=1), "tasks[0].outputFiles is 1, expected a text"),
        (
            edited(WORKFLOW, *SPEC, "files", 1, "sizeInBytes", to=-1),
            "FILE: workflow.specification.files[1].sizeInBytes (of file 'a') is -1, expected an integer from 0",
        ),
        (edited(WORKFLOW, *SPEC, "files", 1, "sizeInBytes", to=...), "sizeInBytes (of file 'a') is None, expected an"),
        (edited(WORKFLOW, *SPEC, "files", 1, "sizeInBytes", to=0.5), "sizeInBytes (of file 'a') is 0.5, expected an"),
        (edited(WORKFLOW, *SPEC, "files", 1, "id", to="b"), "files[2].id is 'b', expected an id that no other has"),
        (
            edited(WORKFLOW, *SPEC, "files", 1, to=...),
            "tasks[0].outputFiles is 'a', expected a file whose size is given",
        ),
        (
            edited(WORKFLOW, *SPEC, "tasks", 0, "parents", to=["end"]),
            "FILE: application 'workflow': its edges form a cycle: split_1 -> work_2 -> end -> split_1",
        ),
        (edited(WORKFLOW, *SPEC, "tasks", 0, "parents", to=["split_1"]), "'split_1 -> split_1', expected an edge betw"),
        (edited(FLAT, "workflow", "tasks", to=...), "FILE: workflow.tasks is None, expected a list"),
        (
            edited(FLAT, "workflow", "tasks", 1, "name", to="first"),
            "tasks[1].id is 'first', expected an id that no other",
        ),
        (edited(FLAT, "workflow", "tasks", 1, "parents", 0, to="ID3"), "(of task 'second'): 'ID3'; did you mean 'ID"),
        (
            edited(FLAT, "workflow", "tasks", 0, "files", 1, "link", to="out"),
            "FILE: workflow.tasks[0].files[1].link is 'out', expected input or output",
        ),
        (
            edited(FLAT, "workflow", "tasks", 0, "files", 1, "sizeInBytes", to=...),
            "FILE: workflow.tasks[0].files[1].sizeInBytes (of file 'x/out') is None, expected an integer from 0",
        ),
        (edited(FLAT, "workflow", "tasks", 0, "files", 1, "link", to=[]), "files[1].link is [], expected input or"),
        (edited(FLAT, "workflow", "tasks", 0, "files", 1, "path", to=[1]), "files[1].path is [1], expected a text"),
        (edited(FLAT, "workflow", "tasks", 0, "id", to="\n"), "workflow.tasks[0].id is '\\n', expected a text"),
        (edited(FLAT, "workflow", "tasks", 0, "runtimeInSeconds", to="1"), "of task 'first' is '1', expected a number"),
    ],
)
def test_workflows_that_are_malformed(tmp_path, data, says):
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UserError) as caught:
        load(path)
    message = str(caught.value).replace(str(path), "FILE")
    assert says in message
    assert "FILE" in message
    assert "\n" not in message


def test_what_wfformat_cannot_hold():
    with pytest.raises(UserError, match="instance 'wifi' has 2 applications, WfFormat holds one"):
        dumps_wfformat(catalogue.instance("wifi"))
    with pytest.raises(UserError, match=r"unit of instance 'random-.*' is 'time unit', expected one of s, ms, us"):
        dumps_wfformat(resolve("random:tasks=20")[0])


# --- STG --------------------------------------------------------------------------------------------------------------


def test_a_standard_task_graph():
    instance = read_stg(STG, "g", Machines(pes=3))
    (dag,) = instance.applications
    assert dag.times.tolist() == [[0] * 3, [20] * 3, [7] * 3, [3] * 3, [0] * 3]
    assert dag.edges.tolist() == [[0, 1], [0, 2], [1, 3], [2, 3], [3, 4]]
    assert dag.volumes.tolist() == [0] * 5
    assert instance.groups.tolist() == [0, 0, 0]


def test_a_standard_task_graph_that_talks():
    instance = read_stg(STG_TALKS, "g")
    (dag,) = instance.applications
    assert dag.edges.tolist() == [[0, 1], [0, 2], [1, 2], [2, 3]]
    assert dag.volumes.tolist() == [0, 3, 12, 0]
    assert (instance.platform.bandwidth == 1).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["layered", "random", "in-tree"]), st.integers(2, 40), st.booleans())
def test_a_graph_survives_its_text(seed, family, tasks, talks):
    """Two dummies are added, which stand around it; its tasks stand in topological order already."""
    made = DagFamily((family,), (tasks,), (2,), beta=(0.0,)).instance(seed)
    (dag,) = made.applications
    if not talks:
        dag = Application("quiet", dag.tasks, dag.times, dag.edges, np.zeros(dag.num_edges, dtype=np.int64))
    text = dumps_stg(SocInstance("x", made.platform, (dag,)))
    (found,) = read_stg(text, "x", Machines(pes=2)).applications
    assert found.num_tasks == dag.num_tasks + 2
    assert found.times[1:-1].tolist() == dag.times.tolist()
    inner = ((found.edges > 0) & (found.edges < found.num_tasks - 1)).all(axis=1)
    assert (found.edges[inner] - 1).tolist() == dag.edges.tolist()
    assert found.volumes[inner].tolist() == dag.volumes.tolist()
    assert found.volumes[~inner].sum() == 0
    entries = found.edges[found.edges[:, 0] == 0, 1] - 1
    assert set(entries.tolist()) == set(range(dag.num_tasks)) - set(dag.edges[:, 1].tolist())
    exits = found.edges[found.edges[:, 1] == found.num_tasks - 1, 0] - 1
    assert set(exits.tolist()) == set(range(dag.num_tasks)) - set(dag.edges[:, 0].tolist())


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "FILE: the file is empty, expected a task graph"),
        ("# nothing", "FILE: the file is empty, expected a task graph"),
        ("hello", "FILE: the first line is 'hello', expected non-negative integers"),
        ("3 2\n", "FILE: the first line is '3 2', expected the number of tasks"),
        ("1000000\n0 0 0\n", "FILE: number of tasks is 1000000, expected an integer from 1 to 99998"),
        ("1\n0 0 0\n1 5 1 0\n", "FILE: 2 rows of tasks, expected 3: the tasks and two dummies"),
        ("1\n0 0 0\n1 5 1 0\n3 0 1 1\n", "FILE: row of task 2 is '3 0 1 1', expected '2 time count predecessors'"),
        (
            "1\n0 0 0\n1 5 1 0\n2 0 1 1\n3 0 0\n",
            "FILE: the row after the last task is '3 0 0', expected nothing: there",
        ),
        ("1\n0 0 0\n1 5 2 0\n2 0 1 1\n", "FILE: row of task 1 is '1 5 2 0', expected 2 predecessors, not 1"),
        ("1\n0 0 0\n1 -5 1 0\n2 0 1 1\n", "FILE: row of task 1 is '-5', expected non-negative integers"),
        ("1\n0 0 0\n1 5 1 7\n2 0 1 1\n", "FILE: predecessor of task 1 is 7, expected an integer from 0 to 2"),
        ("1\n0 0 0\n1 5 1 2\n2 0 1 1\n", "FILE: application 'graph': its edges form a cycle: t1 -> t2 -> t1"),
        ("1\n0 0 0\n1 5 2 0 0\n2 0 1 1\n", "FILE: application 'graph': edges is 't0 -> t1', expected each edge once"),
        (
            "1\n0 0 0\n1 5 2\n0 3\n2 0 1\n1 0\n",
            "FILE: row of task 1 is '1 5 2', expected 2 predecessors, or as many rows",
        ),
    ],
)
def test_graphs_that_are_malformed(tmp_path, text, says):
    path = tmp_path / "graph.stg"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load(path)
    message = str(caught.value).replace(str(path), "FILE")
    assert message.startswith(says)
    assert "\n" not in message


# --- all of them ------------------------------------------------------------------------------------------------------


def test_the_content_says_which_form_a_file_has(tmp_path):
    (tmp_path / "a.json").write_text(catalogue.instance("peft").dumps())
    (tmp_path / "b.json").write_text(json.dumps(WORKFLOW))
    (tmp_path / "c.stg").write_text(STG)
    (tmp_path / "d.txt").write_text(STG_TALKS)
    found = [x for pattern in ("*.json", "*.stg", "d.txt") for x in catalogue.named(f"{tmp_path}/{pattern}")]
    assert [x.name for x in found] == ["peft", "b", "c", "d"]
    assert found[0].same_as(catalogue.instance("peft"))
    (fast,) = resolve(f"{tmp_path}/b.json:speeds=1+2")
    assert fast.applications[0].times[0].tolist() == [1000, 500]


@pytest.mark.parametrize(
    "options, says",
    [
        ("pes=0", "option pes is 0, expected an integer from 1 to 256"),
        ("beta=3", "option beta is 3, expected a number from 0 to 2"),
        ("speeds=1+x", "option speeds is '1+x', expected numbers joined by '+'"),
        ("speeds=1+0", "option speeds is '1.0+0.0', expected up to 256 numbers from 0.001 to 1000"),
        ("speeds=1+2:pes=3", "option pes is 3, expected 2, as many as there are speeds, or nothing"),
        ("speeds=1+2:beta=1", "option beta is 1, expected nothing: speeds are given"),
        ("unit=h", "option unit is 'h', expected one of s, ms, us"),
        ("bandwidth=0", "option bandwidth is 0, expected an integer from 1"),
        ("seed=-1", "option seed is -1, expected an integer from 0"),
        ("cores=4", "unknown option of instance './x.json': 'cores'"),
    ],
)
def test_options_that_are_malformed(options, says):
    with pytest.raises(UserError) as caught:
        catalogue.named(f"./x.json:{options}")
    assert str(caught.value).startswith(says)


def test_instances_with_a_platform_take_no_other(tmp_path):
    catalogue.instance("peft").save(tmp_path / "a.json")
    with pytest.raises(UserError, match="options for PEs are given, but this instance has its own platform"):
        catalogue.named(f"{tmp_path}/a.json:pes=4")


def test_a_workflow_of_a_million_tasks_is_refused_before_it_is_parsed(tmp_path):
    path = tmp_path / "large.json"
    path.write_text('{"schemaVersion": "1.5", "x": [' + ",".join(['{"parents":[]}'] * 1_000_000) + "]}")
    begin = time.perf_counter()
    with pytest.raises(UserError, match=r"large.json: about 1000000 tasks, at most 100000 can be read$"):
        load(path)
    assert time.perf_counter() - begin < 5


def test_recipes_of_wfcommons_become_files_that_are_planned(tmp_path):
    """Structures of real workflows, made here: WfFormat 1.6, or what the installed version writes."""
    if importlib.util.find_spec("wfcommons") is None:
        refused = make_workflows(tmp_path / "none", check=False)
        assert refused.returncode == 1
        assert refused.stderr == "error: recipes need WfCommons: pip install wfcommons\n"
        assert not (tmp_path / "none").exists()
        pytest.skip("WfCommons is not installed")
    for folder in ("one", "other"):
        make_workflows(tmp_path / folder)
    instances, again = (catalogue.named(f"{tmp_path}/{folder}/*.json:pes=8") for folder in ("one", "other"))
    assert {one.name.split("-")[0] for one in instances} >= {"blast", "epigenomics", "genome", "montage", "srasearch"}
    for one, other in zip(instances, again, strict=True):
        application, same = one.applications[0], other.applications[0]
        assert 60 <= application.num_tasks <= 120
        assert application.num_edges >= application.num_tasks - 1
        for table in ("times", "edges", "volumes"):
            assert np.array_equal(getattr(application, table), getattr(same, table))
        plan = Lists(one).plan("heft")
        assert plan.makespan >= bounds(one).lower


def make_workflows(folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).parents[3] / "docs" / "workflows.py"
    command = [sys.executable, str(script), str(folder), "--tasks", "120"]
    return subprocess.run(command, capture_output=True, text=True, check=check)
