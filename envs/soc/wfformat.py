"""WfFormat (wfcommons.org), versions 1.4 to 1.6: workflows that were run, as JSON.

Run times in seconds become integers of `Machines.unit`, rounded up; the volume of an edge is the bytes of the files
that its producer writes and its consumer reads (0 is valid). From 1.5 on structure and execution stand apart and tasks
are known by their ids; 1.4 is flat, and tasks are known by their names, too. Dependencies may be told at either end.
`Machines` says how a table of times is made.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core.errors import FieldError, UnknownNameError, UserError
from ..core.files import atomic_write
from ..core.instance import require_integer, require_list
from .checks import MAX_TASKS, MAX_TIME, MAX_VOLUME, located
from .instance import Application, SocInstance
from .machines import BYTES_PER_SECOND, UNITS, Machines

VERSIONS = ("1.4", "1.5", "1.6")
WRITTEN_VERSION = "1.5"
VERSION_KEY, PARENTS_KEY = '"schemaVersion"', '"parents"'
"""What the text of every file holds once, and once for each task."""

_FLAT_VERSION = "1.4"
_BETA = 0.5
_ID = re.compile(r"[0-9a-zA-Z._-]{1,200}\Z")


class _Task(NamedTuple):
    """A task of a workflow.

    Attributes:
        id: its own; of version 1.4 its name.
        alias: what it may be called besides.
        where: its field in the file.
        seconds: its run time.
        program: tasks of the same program are of one class; None for a class of its own.
        parents, children: ids or names of others.
        reads, writes: ids of files.
    """

    id: str
    alias: str | None
    where: str
    seconds: float
    program: str | None
    parents: list[Any]
    children: list[Any]
    reads: list[str]
    writes: list[str]


def read_wfformat(data: object, name: str, machines: Machines | None = None, source: str | None = None) -> SocInstance:
    """A workflow, as parsed from JSON.

    Args:
        name: what the instance is called.
        machines: its PEs; by default 4 unrelated ones with beta = 0.5 and links of 1 Gbit/s.
        source: a path, begins the messages.

    Raises:
        UserError: the schema is another one, or something is malformed.
    """
    document = _object("the document", data, source)
    version = document.get("schemaVersion")
    if version not in VERSIONS:
        expected = f"one of {', '.join(VERSIONS)}; WfFormat's own tools migrate older files"
        raise FieldError("schemaVersion", version, expected, source)
    workflow = _object("workflow", document.get("workflow"), source)
    sizes: dict[str, int] = {}
    tasks = _flat_tasks(workflow, sizes, source) if version == _FLAT_VERSION else _tasks(workflow, sizes, source)
    require_integer("number of tasks", len(tasks), 1, MAX_TASKS, source)
    machines = machines or Machines()
    machines = machines.with_defaults(_BETA, BYTES_PER_SECOND // UNITS[machines.unit])
    base = [_duration(task, UNITS[machines.unit], source) for task in tasks]
    edges = _wf_edges(tasks, source)
    volumes = [_volume(tasks[i], tasks[j], sizes, source) for i, j in edges]
    ids = tuple(task.id for task in tasks)
    times = machines.times(base, _classes([task.program for task in tasks]))
    application = located(
        source,
        lambda: Application("workflow", ids, times, np.array(edges), np.array(volumes)),
    )
    origin = str(document.get("name") or name)[:200]
    return located(
        source, lambda: SocInstance(name, machines.platform(), (application,), unit=machines.unit, source=origin)
    )


def _tasks(workflow: Mapping[str, Any], sizes: dict[str, int], source: str | None) -> list[_Task]:
    """Tasks from version 1.5 on; fills the sizes of files."""
    specification = _object("workflow.specification", workflow.get("specification"), source)
    execution = _object("workflow.execution", workflow.get("execution"), source)
    for k, entry in enumerate(_list("workflow.specification.files", specification.get("files", []), source)):
        where = f"workflow.specification.files[{k}]"
        entry = _object(where, entry, source)
        _add_size(sizes, _text(f"{where}.id", entry.get("id"), source), entry, where, source)
    ran: dict[str, Mapping[str, Any]] = {}
    for k, entry in enumerate(_list("workflow.execution.tasks", execution.get("tasks"), source)):
        where = f"workflow.execution.tasks[{k}]"
        entry = _object(where, entry, source)
        _add_once(ran, _text(f"{where}.id", entry.get("id"), source), entry, f"{where}.id", source)
    tasks = []
    for k, entry in enumerate(_list("workflow.specification.tasks", specification.get("tasks"), source)):
        where = f"workflow.specification.tasks[{k}]"
        entry = _object(where, entry, source)
        own = _text(f"{where}.id", entry.get("id"), source)
        if own not in ran:
            raise FieldError(f"{where}.id", own, "a task that workflow.execution.tasks has, too", source)
        files = [
            [_text(f"{where}.{key}", x, source) for x in _list(f"{where}.{key}", entry.get(key, []), source)]
            for key in ("inputFiles", "outputFiles")
        ]
        tasks.append(_task(own, None, where, entry, ran[own], files, source))
    return tasks


def _flat_tasks(workflow: Mapping[str, Any], sizes: dict[str, int], source: str | None) -> list[_Task]:
    """Tasks of version 1.4; fills the sizes of files."""
    tasks = []
    for k, entry in enumerate(_list("workflow.tasks", workflow.get("tasks"), source)):
        where = f"workflow.tasks[{k}]"
        entry = _object(where, entry, source)
        files: dict[str, list[str]] = {"input": [], "output": []}
        for f, file in enumerate(_list(f"{where}.files", entry.get("files", []), source)):
            place = f"{where}.files[{f}]"
            file = _object(place, file, source)
            link = file.get("link")
            if not isinstance(link, str) or link not in files:
                raise FieldError(f"{place}.link", link, "input or output", source)
            folder = _text(f"{place}.path", file["path"], source) if file.get("path") else ""
            own = folder + _text(f"{place}.name", file.get("name", file.get("id")), source)
            if own not in sizes or link == "output":
                _set_size(sizes, own, file, place, source)
            files[link].append(own)
        own = _text(f"{where}.name", entry.get("name"), source)
        alias = _text(f"{where}.id", entry["id"], source) if "id" in entry else None
        tasks.append(_task(own, alias, where, entry, entry, list(files.values()), source))
    return tasks


def _task(
    own: str,
    alias: str | None,
    where: str,
    entry: Mapping[str, Any],
    ran: Mapping[str, Any],
    files: list[list[str]],
    source: str | None,
) -> _Task:
    seconds = ran.get("runtimeInSeconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_TIME:
        raise FieldError(f"runtimeInSeconds of task {own[:80]!r}", seconds, f"a number from 0 to {MAX_TIME}", source)
    command = ran.get("command")
    program = command.get("program") if isinstance(command, dict) else None
    parents, children = (_list(f"{where}.{key}", entry.get(key, []), source) for key in ("parents", "children"))
    return _Task(own, alias, where, seconds, str(program) if program else None, parents, children, *files)


def _wf_edges(tasks: Sequence[_Task], source: str | None) -> list[tuple[int, int]]:
    """Edges told at either end, each once, in the order of the tasks."""
    numbers: dict[str, int] = {}
    for number, task in enumerate(tasks):
        _add_once(numbers, task.id, number, f"{task.where}.id", source)
    for number, task in enumerate(tasks):
        if task.alias is not None:
            numbers.setdefault(task.alias, number)
    found: dict[tuple[int, int], None] = {}
    for number, task in enumerate(tasks):
        for key, others in (("parents", task.parents), ("children", task.children)):
            for k, other in enumerate(others):
                if not isinstance(other, str) or other not in numbers:
                    where = f"{source + ': ' if source else ''}{task.where}.{key}[{k}] (of task {task.id[:80]!r}):"
                    raise UnknownNameError(f"task in {where}", str(other)[:80], numbers)
                pair = (numbers[other], number) if key == "parents" else (number, numbers[other])
                found[pair] = None
    return list(found)


def _volume(producer: _Task, consumer: _Task, sizes: Mapping[str, int], source: str | None) -> int:
    """Bytes of the files that one writes and the other reads."""
    total = 0
    for file in dict.fromkeys(producer.writes):
        if file in consumer.reads:
            if file not in sizes:
                raise FieldError(f"{producer.where}.outputFiles", file, "a file whose size is given", source)
            total += sizes[file]
    return total


def _add_size(sizes: dict[str, int], own: str, entry: Mapping[str, Any], where: str, source: str | None) -> None:
    if own in sizes:
        raise FieldError(f"{where}.id", own, "an id that no other has", source)
    _set_size(sizes, own, entry, where, source)


def _set_size(sizes: dict[str, int], own: str, entry: Mapping[str, Any], where: str, source: str | None) -> None:
    size = entry.get("sizeInBytes")
    if isinstance(size, float) and size == int(size):
        size = int(size)
    sizes[own] = require_integer(f"{where}.sizeInBytes (of file {own[:80]!r})", size, 0, MAX_VOLUME, source)


def _duration(task: _Task, per_second: int, source: str | None) -> int:
    """Seconds as integers of a unit, rounded up; 0.003 s are 3 ms, not 4."""
    value = math.ceil(Decimal(str(task.seconds)) * per_second)
    return require_integer(f"runtimeInSeconds of task {task.id[:80]!r} in time units", value, 0, MAX_TIME, source)


def _classes(programs: Sequence[str | None]) -> list[int]:
    """Tasks of the same program are of one class, numbered in the order of the tasks."""
    numbers: dict[object, int] = {}
    return [
        numbers.setdefault(program if program is not None else (k,), len(numbers)) for k, program in enumerate(programs)
    ]


def dumps_wfformat(instance: SocInstance) -> str:
    """An instance of one application as WfFormat `WRITTEN_VERSION`: mean times as run times, one file per edge.

    What WfFormat cannot hold is left out: times per PE, the platform, several jobs.

    Raises:
        UserError: it has several applications, or a unit of time that is none of `UNITS`.
    """
    if len(instance.applications) != 1:
        raise UserError(f"instance {instance.name!r} has {len(instance.applications)} applications, WfFormat holds one")
    if instance.unit not in UNITS:
        raise FieldError(f"unit of instance {instance.name!r}", instance.unit, f"one of {', '.join(UNITS)}")
    (application,) = instance.applications
    eligible = application.times >= 0
    mean = np.where(eligible, application.times, 0).sum(axis=1) / eligible.sum(axis=1)
    seconds = [float(Decimal(str(value)) / UNITS[instance.unit]) for value in mean.tolist()]
    ids = [task if _ID.match(task) else f"task-{i}" for i, task in enumerate(application.tasks)]
    rows = [
        {"name": task, "id": own, "parents": [], "children": [], "inputFiles": [], "outputFiles": []}
        for task, own in zip(application.tasks, ids, strict=True)
    ]
    files = []
    for (i, j), volume in zip(application.edges.tolist(), application.volumes.tolist(), strict=True):
        file = f"edge-{i}-{j}"
        files.append({"id": file, "sizeInBytes": volume})
        rows[i]["children"].append(ids[j])
        rows[i]["outputFiles"].append(file)
        rows[j]["parents"].append(ids[i])
        rows[j]["inputFiles"].append(file)
    ran = [{"id": own, "runtimeInSeconds": value} for own, value in zip(ids, seconds, strict=True)]
    execution = {"makespanInSeconds": sum(seconds), "executedAt": "1970-01-01T00:00:00Z", "tasks": ran}
    document = {
        "name": instance.name,
        "schemaVersion": WRITTEN_VERSION,
        "workflow": {"specification": {"tasks": rows, "files": files}, "execution": execution},
    }
    return json.dumps(document, indent=1) + "\n"


def save_wfformat(instance: SocInstance, path: str | Path) -> None:
    """Write an instance as `dumps_wfformat` has it, whole or not at all.

    Raises:
        UserError: WfFormat cannot hold it, or the file cannot be written.
    """
    atomic_write(path, dumps_wfformat(instance))


# --- what JSON must hold ----------------------------------------------------------------------------------------------


def _object(where: str, value: object, source: str | None) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FieldError(where, value, "an object", source)
    return value


def _list(where: str, value: object, source: str | None) -> list[Any]:
    return require_list(where, value, source)


def _text(where: str, value: object, source: str | None) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise FieldError(where, value, "a text of printable characters", source)
    return value


def _add_once(found: dict[str, Any], own: str, value: object, where: str, source: str | None) -> None:
    if own in found:
        raise FieldError(where, own, "an id that no other has", source)
    found[own] = value
