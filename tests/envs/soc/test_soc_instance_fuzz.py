"""Whatever stands in a file, reading it gives an instance or a one-line error."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.envs.core.errors import UserError
from makespan.envs.soc import catalogue
from makespan.envs.soc.instance import SocInstance
from makespan.envs.soc.machines import Machines
from makespan.envs.soc.stg import dumps_stg, read_stg
from makespan.envs.soc.wfformat import dumps_wfformat, read_wfformat

OURS = catalogue.instance("gap-exact").to_dict()
WORKFLOW = json.loads(dumps_wfformat(catalogue.instance("range-detection")))
FLAT = {
    "schemaVersion": "1.4",
    "workflow": {
        "tasks": [
            {
                "name": "a",
                "id": "1",
                "runtimeInSeconds": 1,
                "parents": [],
                "children": ["b"],
                "files": [{"link": "output", "name": "f", "path": "p", "sizeInBytes": 4}],
            },
            {
                "name": "b",
                "id": "2",
                "runtimeInSeconds": 2.5,
                "parents": ["1"],
                "files": [{"link": "input", "name": "f", "path": "p", "sizeInBytes": 4}],
                "command": {"program": "x"},
            },
        ]
    },
}
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 2, 2**31, 2**63, -(2**63), 2**64, 10**30, 10**400]),
    st.sampled_from([0.5, -0.0, 1e300, 5e-324]),
    st.sampled_from(["", "a", "task_1", "task_2", "\n", "x" * 300, "1.4", "\ud800"]),
    st.sampled_from([[], {}, [1], [[1]], [[1], [1, 2]], [["a", "b", 1]], {"name": "a"}, [None], [10**400], [{}]]),
)
LARGEST = 500  # of a message; what is shown of values is cut


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a document."""
    found = [path] if path else []
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        found += places(value, (*path, key))
    return found


@st.composite
def spoilt(draw, document: Any) -> Any:
    """A document with one to three values replaced or removed."""
    data = deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        options = places(data)
        if not options:
            return data
        path = draw(st.sampled_from(options))
        at = data
        for key in path[:-1]:
            at = at[key]
        if isinstance(at, dict) and draw(st.booleans()):
            del at[path[-1]]
        else:
            at[path[-1]] = deepcopy(draw(JUNK))
    return data


def read_or_refuse(read: Callable[[], SocInstance]) -> None:
    refused, instance = "", None
    try:
        instance = read()
    except UserError as error:
        refused = str(error)
    assert "\n" not in refused
    assert len(refused) < LARGEST
    if instance is not None:
        assert SocInstance.from_dict(json.loads(instance.dumps())).same_as(instance)


@settings(max_examples=200, deadline=None)
@given(spoilt(OURS))
def test_our_form(data):
    read_or_refuse(lambda: SocInstance.from_dict(data, "FILE"))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([WORKFLOW, FLAT]).flatmap(spoilt))
def test_workflows(data):
    read_or_refuse(lambda: read_wfformat(data, "name", Machines(pes=2), "FILE"))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_task_graphs(data):
    words = dumps_stg(catalogue.instance("range-detection")).split(" ")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(words) - 1))
        words[place] = data.draw(st.sampled_from(["", "-1", "7", "99999", "1" * 30, "x", "\n", "3\n3", "0.5", "#"]))
    read_or_refuse(lambda: read_stg(" ".join(words), "name", Machines(pes=2), "FILE"))
